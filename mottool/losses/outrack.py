"""OUTrack's loss: FairMOT's detection, occlusion centres and unsupervised re-identification.

Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, "Online multi-object tracking with unsupervised
re-identification learning and occlusion estimation", Neurocomputing 2022, on the heads of
`models.outrack`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mottool.data.targets.centre import CentreTargets, OcclusionTargets
from mottool.data.targets.labels import Targets
from mottool.losses.centre import (
    INITIAL_LOG_VARIANCES,
    SIZE_WEIGHT,
    detection_terms,
    focal,
    l1,
)
from mottool.losses.unsupervised import Assignment, cycas, reid_terms
from mottool.losses.weighting import Uncertainty
from mottool.models.centre_heads import gather

__all__ = ["OCCLUSION_WEIGHT", "OUTrackLoss", "OUTrackTargets", "occlusion_terms"]

OCCLUSION_WEIGHT = 0.5  # of the occlusion heatmap and of its offset, in the authors' code


@dataclass(frozen=True)
class OUTrackTargets(Targets):
    """Targets of B pairs of frames.

    `people` and `occlusions` are those of the current frames; `occlusions` are None if they are not
    learned. `previous` holds the people of the
    frames that they are compared with. `negative` (B,) bool marks pairs without common people.
    """

    people: CentreTargets
    occlusions: OcclusionTargets | None
    previous: CentreTargets
    negative: Tensor


def occlusion_terms(heads: dict[str, Tensor], targets: OcclusionTargets) -> dict[str, Tensor]:
    """Return the unweighted scalars `occlusion` and `occlusion_offset`.

    They are FairMOT's heatmap and offset terms, for occlusion centres.
    """
    return {
        "occlusion": focal(heads["occlusion"], targets.heatmap),
        "occlusion_offset": l1(
            heads["occlusion_offset"], targets.cells, targets.valid, targets.offset
        ),
    }


class OUTrackLoss(nn.Module):
    """OUTrack's total loss, with learned weights of detection and re-identification.

    To train OUTrack with known identities, as in some of its tables, see `FairMOTLoss`.
    """

    def __init__(
        self,
        assignment: Assignment | None = None,
        intra: float = 1.0,
        inter: float = 1.0,
        cycle: float = 1.0,
        baseline: bool = False,
        id_weight: float = 1.0,
    ) -> None:
        """Create the loss; `intra`, `inter`, `cycle` are the weights of the `reid_terms`.

        With `baseline`, CycAs replaces all three. `id_weight` is the weight of re-identification
        before its learned weight; the authors give it 10 for CrowdHuman's still images.
        """
        super().__init__()
        self.assignment = assignment or Assignment()
        self.intra, self.inter, self.cycle = intra, inter, cycle
        self.baseline, self.id_weight = baseline, id_weight
        self.weighting = Uncertainty(INITIAL_LOG_VARIANCES)

    def forward(
        self, heads: dict[str, Tensor], targets: OUTrackTargets, previous: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the terms, unweighted scalars, and their weighted `total`.

        `heads` are those of the current frames, `previous` those of the previous frames.
        """
        terms = detection_terms(heads, targets.people)
        detection = terms["heatmap"] + terms["offset"] + SIZE_WEIGHT * terms["size"]
        if targets.occlusions is not None:
            terms |= occlusion_terms(heads, targets.occlusions)
            occlusion = terms["occlusion"] + terms["occlusion_offset"]
            detection = detection + OCCLUSION_WEIGHT * occlusion
        reid = self._reid(heads, targets, previous)
        if self.baseline:
            identity = reid["cycas"]
        else:
            identity = (
                self.intra * reid["intra"] + self.inter * reid["inter"] + self.cycle * reid["cycle"]
            )
        weighted = self.weighting(torch.stack((detection, self.id_weight * identity)))
        return terms | reid | {"total": weighted}

    def _reid(
        self, heads: dict[str, Tensor], targets: OUTrackTargets, previous: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return `cycas` for the baseline, else `intra`, `inter` and `cycle`."""
        current_people, previous_people = targets.people, targets.previous
        pairs = (
            gather(heads["identity"], current_people.cells),  # (B, k, D)
            gather(previous["identity"], previous_people.cells),  # (B, l, D)
            current_people.valid,
            previous_people.valid,
        )
        if self.baseline:
            return {"cycas": cycas(*pairs)}
        return reid_terms(*pairs, targets.negative, self.assignment)
