"""TDT's losses: classification, box and distilled embedding, on the heads of `models.tdt`.

Yu, Wu, Gu & Fathy, "TDT: Teaching detectors to track without fully annotated videos", CVPR
Workshops 2022, §3.3. The authors published no code. Constants that the paper leaves open are
RetinaNet's (Lin, Goyal, Girshick, He & Dollár, "Focal loss for dense object detection", ICCV 2017)
or those of Google's published implementation, which has the paper's box weight of 50.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import sigmoid_focal_loss

from mottool.data.targets.tdt import TDTTargets
from mottool.errors import SettingError

__all__ = ["TDTLoss", "box", "distillation", "focal"]

CLASS_WEIGHT, BOX_WEIGHT, EMBEDDING_WEIGHT = 1.0, 50.0, 10.0  # §3.3
HUBER_DELTA = 0.1  # where the box loss changes from quadratic to linear


def focal(scores: Tensor, foreground: Tensor) -> Tensor:
    """Compute the focal loss with α = 0.25, γ = 2, a scalar.

    RetinaNet Eq. 5. `scores` (B, N) are logits, `foreground` (B, N) int64, 1, 0, or -1 for anchors
    that are ignored. The sum is divided by the number of foreground anchors, or by 1 if there are
    none.
    """
    is_person = foreground == 1
    loss: Tensor = sigmoid_focal_loss(  # (B, N)
        scores.float(), is_person.float(), alpha=0.25, gamma=2
    )
    return (loss * (foreground >= 0)).sum() / is_person.sum().clamp(min=1)


def box(deltas: Tensor, target: Tensor) -> Tensor:
    """Compute the mean Huber loss (δ = 0.1) over foreground boxes (m, 4), a scalar; 0 if none."""
    loss = F.huber_loss(deltas.float(), target, delta=HUBER_DELTA, reduction="sum")
    return loss / max(target.numel(), 1)


def distillation(embeddings: Tensor, teacher: Tensor) -> Tensor:
    """Compute the mean squared L2 distance to the teacher's embeddings, a scalar; 0 if none.

    `embeddings` (m, D) are the student's. `teacher` (m, E) has E >= D; its first D dimensions are
    the target. Raises `SettingError` if E < D.
    """
    size, teacher_size = embeddings.shape[1], teacher.shape[1]
    if teacher_size < size:
        raise SettingError(
            f"the labels hold {teacher_size}-d embeddings but the student's are {size}-d",
            f"train with an embedding size of at most {teacher_size}, or distill from a larger "
            "teacher",
        )
    squared = (embeddings.float() - teacher[:, :size]).square().sum(1)  # (m,)
    return squared.sum() / max(len(squared), 1)


class TDTLoss(nn.Module):
    """TDT's total loss (§3.3): focal + 50 · box + 10 · distillation."""

    def __init__(self, embed: Callable[[dict[str, Tensor], Tensor, Tensor], Tensor]) -> None:
        """Create the loss; `embed` is the student's method that embeds selected anchors only."""
        super().__init__()
        self.embed = embed

    def forward(self, heads: dict[str, Tensor], targets: TDTTargets) -> dict[str, Tensor]:
        """Return the unweighted scalars `class`, `box`, `embedding` and the weighted `total`."""
        assigned = targets.images, targets.anchors
        terms = {
            "class": focal(heads["scores"], targets.foreground),
            "box": box(heads["boxes"][assigned], targets.boxes),
            "embedding": distillation(self.embed(heads, *assigned), targets.embeddings),
        }
        total = (
            CLASS_WEIGHT * terms["class"]
            + BOX_WEIGHT * terms["box"]
            + EMBEDDING_WEIGHT * terms["embedding"]
        )
        return terms | {"total": total}
