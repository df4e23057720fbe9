"""OUTrack's loss: FairMOT's detection, occlusion centres, and identities that nobody told it.

Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, "Online multi-object tracking with unsupervised
re-identification learning and occlusion estimation", Neurocomputing 2022, on the heads of
`models.outrack`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mottool.data.targets.centre import CentreTargets, OcclusionTargets
from mottool.data.targets.labels import Targets
from mottool.losses.centre import SIZE_WEIGHT, START, detection_terms, focal, l1
from mottool.losses.unsupervised import Assignment, cycas, reid_terms
from mottool.losses.weighting import Uncertainty
from mottool.models.centre_heads import gather

__all__ = ["OCCLUSION_WEIGHT", "OUTrackLoss", "OUTrackTargets", "occlusion_terms"]

OCCLUSION_WEIGHT = 0.5  # of the occlusion heatmap and of its offset, in the authors' code


@dataclass(frozen=True)
class OUTrackTargets(Targets):
    """Targets of B pairs of frames.

    `people` and `occlusions` of the current frames; `previous`, the people of the frames that
    they are compared with; `negative` (B,) bool, which of those show other people altogether.
    """

    people: CentreTargets
    occlusions: OcclusionTargets
    previous: CentreTargets
    negative: Tensor


def occlusion_terms(heads: dict[str, Tensor], targets: OcclusionTargets) -> dict[str, Tensor]:
    """The scalars `occlusion` and `occlusion_offset`, unweighted, as FairMOT's of the people."""
    return {
        "occlusion": focal(heads["occlusion"], targets.heatmap),
        "occlusion_offset": l1(
            heads["occlusion_offset"], targets.cells, targets.valid, targets.offset
        ),
    }


class OUTrackLoss(nn.Module):
    """The whole, with its learned weights of detection and re-identification.

    For OUTrack trained with identities, as some of its tables have it, see `FairMOTLoss`.
    """

    def __init__(
        self,
        assignment: Assignment | None = None,
        intra: float = 1.0,
        inter: float = 1.0,
        cycle: float = 1.0,
        baseline: bool = False,
    ) -> None:
        """`intra`, `inter`, `cycle` weigh the terms of re-identification against each other.

        With `baseline` CycAs replaces all three. (To learn from CrowdHuman's still images the
        authors weigh re-identification 10, for MOT17 1.)
        """
        super().__init__()
        self.assignment = assignment or Assignment()
        self.intra, self.inter, self.cycle = intra, inter, cycle
        self.baseline = baseline
        self.weighting = Uncertainty(START)

    def forward(
        self, heads: dict[str, Tensor], targets: OUTrackTargets, previous: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """The terms, unweighted scalars, and their `total`; `previous` frames' heads too."""
        terms = detection_terms(heads, targets.people)
        terms |= occlusion_terms(heads, targets.occlusions)
        detection = (
            terms["heatmap"]
            + terms["offset"]
            + SIZE_WEIGHT * terms["size"]
            + OCCLUSION_WEIGHT * (terms["occlusion"] + terms["occlusion_offset"])
        )
        reid = self._reid(heads, targets, previous)
        if self.baseline:
            identity = reid["cycas"]
        else:
            identity = (
                self.intra * reid["intra"] + self.inter * reid["inter"] + self.cycle * reid["cycle"]
            )
        return terms | reid | {"total": self.weighting(torch.stack((detection, identity)))}

    def _reid(
        self, heads: dict[str, Tensor], targets: OUTrackTargets, previous: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        people, before = targets.people, targets.previous
        pair = (
            gather(heads["identity"], people.cells),  # (B, k, D)
            gather(previous["identity"], before.cells),  # (B, l, D)
            people.valid,
            before.valid,
        )
        if self.baseline:
            return {"cycas": cycas(*pair)}
        return reid_terms(*pair, targets.negative, self.assignment)
