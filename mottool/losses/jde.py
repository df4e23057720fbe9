"""JDE's losses: classification, box and identity on three levels, on the heads of `models.jde`.

Wang, Zheng, Liu, Li & Wang, "Towards real-time multi-object tracking", ECCV 2020, Eq. 4: nine
tasks, three on each level, weighted against each other in one of five ways.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mottool.data.targets.jde import JDETargets
from mottool.errors import SettingError, did_you_mean
from mottool.losses.identity import (
    cross_entropy,
    embedding_scale,
    triplet,
    triplet_upper_bound,
)
from mottool.losses.weighting import WEIGHTINGS, weighting

__all__ = ["OBJECTIVES", "JDELoss", "box", "classification"]

OBJECTIVES = ("cross-entropy", "triplet", "upper-bound")
START = (-4.15, -4.85, -2.3)  # s of classification, box and identity in the authors' code


def classification(logits: Tensor, foreground: Tensor) -> Tensor:
    """JDE's L_α: mean cross-entropy of background and person over the anchors, a scalar.

    `logits` (..., 2), `foreground` (...) int64, 1, 0, or -1 where an anchor is neither.
    """
    logits, foreground = logits.flatten(0, -2).float(), foreground.flatten()
    total = F.cross_entropy(logits, foreground, ignore_index=-1, reduction="sum")
    return total / (foreground >= 0).sum().clamp(min=1)


def box(deltas: Tensor, target: Tensor) -> Tensor:
    """JDE's L_β: mean smooth L1 of the foreground anchors' boxes (m, 4), a scalar; 0 if none."""
    return F.smooth_l1_loss(deltas.float(), target, reduction="sum") / max(target.numel(), 1)


class JDELoss(nn.Module):
    """Eq. 4, with what it learns: the classifier over identities and, by default, the weights."""

    def __init__(
        self,
        embedding_size: int,
        identities: int,
        objective: str = "cross-entropy",
        weights: str = "uncertainty",
        strides: Sequence[int] = (32, 16, 8),
    ) -> None:
        """`identities` to tell apart by one of `OBJECTIVES`; `weights` is one of `WEIGHTINGS`.

        The weights of "fixed" are those that "uncertainty" starts from, near which the authors
        found theirs. Raises `SettingError` for other names.
        """
        super().__init__()
        for name, known in ((objective, OBJECTIVES), (weights, WEIGHTINGS)):
            if name not in known:
                raise SettingError(f"JDE has no loss {name!r}", did_you_mean(name, known))
        self.strides = tuple(strides)
        self.objective = objective
        self.scale = embedding_scale(identities)
        if objective == "cross-entropy":
            self.classifier = nn.Linear(embedding_size, identities)
        start = START * len(self.strides)
        self.weighting = weighting(weights, start, [math.exp(-s) / 2 for s in start])

    def forward(
        self,
        heads: dict[str, Tensor],
        targets: JDETargets,
        shared: Sequence[Tensor] = (),
    ) -> dict[str, Tensor]:
        """The terms, unweighted scalars named `classification_32` and so on, and their `total`.

        `shared` are the backbone's maps, which the weighting "mgda" needs.
        """
        terms = {}
        for stride in self.strides:
            target = targets.levels[stride]
            head = heads[f"detection_{stride}"]  # (B, 24, h, w)
            head = head.reshape(len(head), -1, 6, *head.shape[2:]).permute(
                0, 1, 3, 4, 2
            )  # (B, 4, h, w, 6)
            found = target.foreground == 1  # (B, 4, h, w)
            terms[f"classification_{stride}"] = classification(head[..., 4:], target.foreground)
            terms[f"box_{stride}"] = box(head[..., :4][found], target.boxes[found])
            # A cell's anchors share its embedding; should they find different people, the one
            # with the higher number is taken, as by the authors.
            occupied = found.any(1)  # (B, h, w)
            embeddings = (
                heads[f"embedding_{stride}"].permute(0, 2, 3, 1)[occupied].float()
            )  # (n, D)
            identities = target.identities.amax(1)[occupied]  # (n,)
            terms[f"identity_{stride}"] = self._identity(embeddings, identities)
        return terms | {"total": self.weighting(torch.stack(list(terms.values())), shared)}

    def _identity(self, embeddings: Tensor, identities: Tensor) -> Tensor:
        """JDE's L_γ, by the chosen objective."""
        if self.objective == "triplet":
            return triplet(embeddings, identities)
        if self.objective == "upper-bound":
            return triplet_upper_bound(embeddings, identities, self.scale)
        return cross_entropy(embeddings, identities, self.classifier)
