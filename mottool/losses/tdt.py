"""TDT's losses: classification, box and distilled embedding, on the heads of `models.tdt`.

Yu, Wu, Gu & Fathy, "TDT: Teaching detectors to track without fully annotated videos", CVPR
Workshops 2022, §3.4, Eq. 1 and 2, with the constants of §4.2. The authors published no code. What
the paper leaves open is as in Google's RetinaNet, which has the same constants: the classification
and box losses are divided by the number of foreground anchors of the batch.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import sigmoid_focal_loss

from mottool.data.targets.tdt import TDTTargets
from mottool.errors import SettingError

__all__ = ["TDTLoss", "box", "distillation", "focal"]

ALPHA, GAMMA = 0.25, 1.5  # §4.2, of the focal loss
HUBER_DELTA = 0.1  # §4.2, where the box loss changes from quadratic to linear


def focal(scores: Tensor, foreground: Tensor) -> Tensor:
    """Compute the focal loss with α = 0.25, γ = 1.5, a scalar.

    RetinaNet Eq. 5. `scores` (B, N) are logits, `foreground` (B, N) int64, 1, 0, or -1 for anchors
    that are ignored. The sum is divided by the number of foreground anchors, or by 1 if there are
    none.
    """
    is_person = foreground == 1
    loss: Tensor = sigmoid_focal_loss(  # (B, N)
        scores.float(), is_person.float(), alpha=ALPHA, gamma=GAMMA
    )
    return (loss * (foreground >= 0)).sum() / is_person.sum().clamp(min=1)


def box(deltas: Tensor, target: Tensor) -> Tensor:
    """Compute the mean Huber loss (δ = 0.1) over foreground boxes (m, 4), a scalar; 0 if none."""
    loss = F.huber_loss(deltas.float(), target, delta=HUBER_DELTA, reduction="sum")
    return loss / max(target.numel(), 1)


def distillation(embeddings: Tensor, teacher: Tensor, images: Tensor, count: int) -> Tensor:
    """Compute the squared L2 distance to the teacher's embeddings, a scalar.

    §3.4, Eq. 1: the distances are averaged over the anchors of an image that have a person, then
    over the `count` images of the batch; an image without such anchors counts as 0. `embeddings`
    (m, D) are the student's, `images` (m,) int64 their images. `teacher` (m, E) has E >= D; its
    first D dimensions are the target. Raises `SettingError` if E < D.
    """
    size, teacher_size = embeddings.shape[1], teacher.shape[1]
    if teacher_size < size:
        raise SettingError(
            f"the labels hold {teacher_size}-d embeddings but the student's are {size}-d",
            f"train with an embedding size of at most {teacher_size}, or distill from a larger "
            "teacher",
        )
    squared = (embeddings.float() - teacher[:, :size]).square().sum(1)  # (m,)
    anchors = torch.bincount(images, minlength=count)  # (B,)
    return (squared / anchors[images]).sum() / max(count, 1)


class TDTLoss(nn.Module):
    """TDT's total loss, Eq. 2: α_c · focal + α_b · box + α_e · distillation."""

    def __init__(
        self,
        embed: Callable[[dict[str, Tensor], Tensor, Tensor], Tensor] | None,
        weights: tuple[float, float, float] = (1.0, 50.0, 10.0),
    ) -> None:
        """Create the loss with the weights (α_c, α_b, α_e), by default those of §4.2.

        `embed` is the student's method that embeds selected anchors only; None for a detector
        without embeddings, whose loss lacks the last term.
        """
        super().__init__()
        self.embed, self.weights = embed, weights

    def forward(self, heads: dict[str, Tensor], targets: TDTTargets) -> dict[str, Tensor]:
        """Return the unweighted scalars `class`, `box`, `embedding` and the weighted `total`."""
        assigned = targets.images, targets.anchors
        terms = {
            "class": focal(heads["scores"], targets.foreground),
            "box": box(heads["boxes"][assigned], targets.boxes),
        }
        if self.embed is not None and targets.embeddings is not None:
            embeddings = self.embed(heads, *assigned)
            images = len(targets.foreground)
            terms["embedding"] = distillation(
                embeddings, targets.embeddings, targets.images, images
            )
        weighted = zip(self.weights, terms.values(), strict=False)
        total = torch.stack([weight * term for weight, term in weighted]).sum()
        return terms | {"total": total}
