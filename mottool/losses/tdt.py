"""TDT's losses: classification, box and distilled embedding, on the heads of `models.tdt`.

Yu, Wu, Gu & Fathy, "TDT: Teaching detectors to track without fully annotated videos", CVPR
Workshops 2022, §3.3. The authors published no code: where the paper leaves a constant open, it is
RetinaNet's (Lin, Goyal, Girshick, He & Dollár, "Focal loss for dense object detection", ICCV 2017)
or that of Google's published one, whose box weight of 50 the paper has.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import sigmoid_focal_loss

from mottool.data.targets.tdt import TDTTargets
from mottool.errors import SettingError

__all__ = ["TDTLoss", "box", "distillation", "focal"]

CLASS_WEIGHT, BOX_WEIGHT, EMBEDDING_WEIGHT = 1.0, 50.0, 10.0  # §3.3
HUBER = 0.1  # where the box loss turns from quadratic to linear


def focal(scores: Tensor, foreground: Tensor) -> Tensor:
    """RetinaNet Eq. 5 with α = 0.25, γ = 2, over the number of foreground anchors, a scalar.

    `scores` (B, N) before their sigmoid, `foreground` (B, N) int64, 1, 0, or -1 where an anchor
    is neither.
    """
    person = foreground == 1
    loss: Tensor = sigmoid_focal_loss(scores.float(), person.float(), alpha=0.25, gamma=2)  # (B, N)
    return (loss * (foreground >= 0)).sum() / person.sum().clamp(min=1)


def box(deltas: Tensor, target: Tensor) -> Tensor:
    """Mean Huber loss of the foreground anchors' boxes (m, 4), δ = 0.1, a scalar; 0 if none."""
    loss = F.huber_loss(deltas.float(), target, delta=HUBER, reduction="sum")
    return loss / max(target.numel(), 1)


def distillation(embeddings: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared L2 distance from the teacher's embeddings, a scalar; 0 if there are none.

    `embeddings` (m, D) of the student, `teacher` (m, at least D), of which the first D
    dimensions are taught. Raises `SettingError` if the teacher has fewer.
    """
    size, given = embeddings.shape[1], teacher.shape[1]
    if given < size:
        raise SettingError(
            f"the labels hold {given}-d embeddings but the student is to learn {size}-d ones",
            f"train with an embedding size of at most {given}, or distill from a larger teacher",
        )
    squared = (embeddings.float() - teacher[:, :size]).square().sum(1)  # (m,)
    return squared.sum() / max(len(squared), 1)


class TDTLoss(nn.Module):
    """§3.3: focal + 50 · box + 10 · distillation."""

    def __init__(self, embed: Callable[[dict[str, Tensor], Tensor, Tensor], Tensor]) -> None:
        """`embed` is the student's own, which makes embeddings for chosen anchors only."""
        super().__init__()
        self.embed = embed

    def forward(self, heads: dict[str, Tensor], targets: TDTTargets) -> dict[str, Tensor]:
        """The terms `class`, `box` and `embedding`, unweighted scalars, and their `total`."""
        at = targets.images, targets.anchors
        terms = {
            "class": focal(heads["scores"], targets.foreground),
            "box": box(heads["boxes"][at], targets.boxes),
            "embedding": distillation(self.embed(heads, *at), targets.embeddings),
        }
        total = (
            CLASS_WEIGHT * terms["class"]
            + BOX_WEIGHT * terms["box"]
            + EMBEDDING_WEIGHT * terms["embedding"]
        )
        return terms | {"total": total}
