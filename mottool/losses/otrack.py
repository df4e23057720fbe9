"""OTrack's loss: CenterTrack's, and OUTrack's of the occlusion heads, on those of `models.otrack`.

Zhou, Koltun & Krähenbühl, "Tracking objects as points", ECCV 2020, §3 and Eq. 3, weighted as in its
code for MOT17; Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, Neurocomputing 2022 (occlusion estimation).
"""

from torch import Tensor

from mottool.data.targets.otrack import OTrackTargets
from mottool.losses.centre import SIZE_WEIGHT, detection_terms, l1
from mottool.losses.outrack import OCCLUSION_WEIGHT, occlusion_terms

__all__ = ["otrack_loss"]

AMODAL_WEIGHT = 0.1  # in the authors' code


def otrack_loss(heads: dict[str, Tensor], targets: OTrackTargets) -> dict[str, Tensor]:
    """Return the unweighted scalar losses and their weighted `total`.

    The displacement loss (Eq. 3) is a mean over the objects present in both images.
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
        occlusion_losses = occlusion_terms(heads, targets.occlusions)
        total = total + OCCLUSION_WEIGHT * (
            occlusion_losses["occlusion"] + occlusion_losses["occlusion_offset"]
        )
        terms |= occlusion_losses
    return terms | {"total": total}
