"""OTrack's loss: CenterTrack's, plus OUTrack's occlusion terms, on the heads of `models.otrack`.

Zhou, Koltun & Krähenbühl, "Tracking objects as points", ECCV 2020, §3 and Eq. 3, with the weights
of its code for MOT17; Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, Neurocomputing 2022 (occlusion
estimation).
"""

from torch import Tensor

from mottool.data.targets.otrack import OTrackTargets
from mottool.losses.centre import SIZE_WEIGHT, detection_terms, l1
from mottool.losses.outrack import OCCLUSION_WEIGHT, occlusion_terms

__all__ = ["otrack_loss"]

AMODAL_WEIGHT = 0.1  # in the authors' code


def otrack_loss(heads: dict[str, Tensor], targets: OTrackTargets) -> dict[str, Tensor]:
    """Return the terms, unweighted scalars, and their weighted `total`.

    Eq. 3, the displacement, is the mean over the people that are in both images.
    """
    people = targets.people
    terms = detection_terms(heads, people)
    terms["displacement"] = l1(
        heads["displacement"], people.cells, targets.known, targets.displacement
    )
    terms["amodal"] = l1(heads["amodal"], people.cells, people.valid, targets.amodal)
    total = (
        terms["heatmap"]
        + terms["offset"]
        + SIZE_WEIGHT * terms["size"]
        + terms["displacement"]
        + AMODAL_WEIGHT * terms["amodal"]
    )
    if targets.occlusions is not None:
        occlusion = occlusion_terms(heads, targets.occlusions)
        total = total + OCCLUSION_WEIGHT * (occlusion["occlusion"] + occlusion["occlusion_offset"])
        terms |= occlusion
    return terms | {"total": total}
