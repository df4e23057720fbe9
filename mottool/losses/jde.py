"""JDE's losses: classification, box and identity on three levels, on the heads of `models.jde`.

Wang, Zheng, Liu, Li & Wang, "Towards real-time multi-object tracking", ECCV 2020, Eq. 5: nine
tasks, three per level, combined by one of five weightings.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mottool.data.targets.jde import JDETargets
from mottool.errors import SettingError, did_you_mean
from mottool.losses.identity import cross_entropy, triplet, triplet_upper_bound
from mottool.losses.weighting import WEIGHTINGS, weighting

__all__ = ["OBJECTIVES", "JDELoss", "TaskWeights", "box", "classification"]

OBJECTIVES = ("cross-entropy", "triplet", "upper-bound")
# s of classification, box and identity in the authors' code
INITIAL_LOG_VARIANCES = (-4.15, -4.85, -2.3)


class TaskWeights(NamedTuple):
    """The two independent weights of "fixed": JDE §3.5, steps 1 and 2.

    `detection` weights classification and box regression of every head alike, w_α = w_β, and
    `identity` the embeddings of every head, w_γ.
    """

    detection: float = 1.0
    identity: float = 1.0


def classification(logits: Tensor, foreground: Tensor) -> Tensor:
    """Compute JDE's L_α, the mean cross-entropy of background and person over anchors, a scalar.

    `logits` (..., 2), `foreground` (...) int64, 1, 0, or -1 for anchors that are ignored.
    """
    logits, foreground = logits.flatten(0, -2).float(), foreground.flatten()
    total = F.cross_entropy(logits, foreground, ignore_index=-1, reduction="sum")
    return total / (foreground >= 0).sum().clamp(min=1)


def box(deltas: Tensor, target: Tensor) -> Tensor:
    """Compute JDE's L_β, the mean smooth L1 over foreground boxes (m, 4), a scalar; 0 if none."""
    return F.smooth_l1_loss(deltas.float(), target, reduction="sum") / max(target.numel(), 1)


class JDELoss(nn.Module):
    """JDE's total loss (Eq. 5), with its classifier over identities and the tasks' weights."""

    def __init__(
        self,
        embedding_size: int,
        identities: int,
        objective: str = "cross-entropy",
        weights: str = "uncertainty",
        fixed: TaskWeights | None = None,
        margin: float = 0.0,
        scale: float = 1.0,
        strides: Sequence[int] = (32, 16, 8),
    ) -> None:
        """Create the loss for a number of `identities`, one of `OBJECTIVES` and of `WEIGHTINGS`.

        `fixed` are the weights of "fixed", by default 1. `margin` is that of "triplet", `scale`
        that of "upper-bound". Raises `SettingError` for other names.
        """
        super().__init__()
        for option, name, known in (
            ("objective", objective, OBJECTIVES),
            ("weighting", weights, WEIGHTINGS),
        ):
            if name not in known:
                raise SettingError(f"JDE has no {option} {name!r}", did_you_mean(name, known))
        self.strides = tuple(strides)
        self.objective = objective
        self.margin, self.scale = margin, scale
        if objective == "cross-entropy":
            self.classifier = nn.Linear(embedding_size, identities)
        initial = INITIAL_LOG_VARIANCES * len(self.strides)
        fixed = fixed or TaskWeights()
        by_head = (fixed.detection, fixed.detection, fixed.identity)
        self.weighting = weighting(weights, initial, by_head * len(self.strides))

    def forward(
        self,
        heads: dict[str, Tensor],
        targets: JDETargets,
        shared: Sequence[Tensor] = (),
    ) -> dict[str, Tensor]:
        """Return the terms, unweighted scalars, and their weighted `total`.

        Terms are named `classification_32`, `box_32`, `identity_32`, and so on for each stride.
        `shared` are the backbone's feature maps, which the weighting "mgda" needs.
        """
        terms = {}
        for stride in self.strides:
            target = targets.levels[stride]
            head = heads[f"detection_{stride}"]  # (B, 24, h, w)
            head = head.reshape(len(head), -1, 6, *head.shape[2:])  # (B, 4, 6, h, w)
            head = head.permute(0, 1, 3, 4, 2)  # (B, 4, h, w, 6)
            is_person = target.foreground == 1  # (B, 4, h, w)
            terms[f"classification_{stride}"] = classification(head[..., 4:], target.foreground)
            terms[f"box_{stride}"] = box(head[..., :4][is_person], target.boxes[is_person])
            # The anchors of a cell share its embedding. If they are assigned to different people,
            # the highest identity is used, as in the authors' code.
            occupied = is_person.any(1)  # (B, h, w)
            embeddings = heads[f"embedding_{stride}"].permute(0, 2, 3, 1)  # (B, h, w, D)
            embeddings = embeddings[occupied].float()  # (n, D)
            identities = target.identities.amax(1)[occupied]  # (n,)
            terms[f"identity_{stride}"] = self._identity(embeddings, identities)
        return terms | {"total": self.weighting(torch.stack(list(terms.values())), shared)}

    def _identity(self, embeddings: Tensor, identities: Tensor) -> Tensor:
        """Compute JDE's L_γ with the chosen objective."""
        if self.objective == "triplet":
            return triplet(embeddings, identities, self.margin)
        if self.objective == "upper-bound":
            return triplet_upper_bound(embeddings, identities, self.scale)
        return cross_entropy(embeddings, identities, self.classifier)
