"""FairMOT's losses: heatmap, offset, size and identity, on the heads of `models.fairmot`.

Zhang, Wang, Wang, Zeng & Liu, "FairMOT: On the fairness of detection and re-identification in
multiple object tracking", IJCV 2021, §4.2-4.4, after Zhou, Wang & Krähenbühl, "Objects as
points", 2019 (CenterNet). The terms serve every centre-point network.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mottool.data.targets.centre import CentreTargets
from mottool.losses.identity import cross_entropy
from mottool.losses.weighting import Fixed, Uncertainty
from mottool.models.centre_heads import gather

__all__ = [
    "IDENTITY_WEIGHT",
    "SIZE_WEIGHT",
    "START",
    "FairMOTLoss",
    "detection_terms",
    "focal",
    "l1",
]

START = (-1.85, -1.05)  # s of detection and of identity in the authors' code
SIZE_WEIGHT = 0.1  # λ_s of FairMOT's L_box
IDENTITY_WEIGHT = 0.1  # where the weights are fixed: the authors' YOLOv5s
EPSILON = 1e-4  # minimum distance of a score to 0 and to 1 in the focal loss


def focal(heatmap: Tensor, target: Tensor) -> Tensor:
    """Return the pixel-wise focal loss (CenterNet Eq. 1, FairMOT L_heat; α = 2, β = 4), a scalar.

    `heatmap` (B, C, h, w) before its sigmoid, `target` (B, C, h, w) in [0, 1], 1 at centres. The
    sum over the batch is divided by the number of centres, if there are any.
    """
    scores = heatmap.float().sigmoid().clamp(EPSILON, 1 - EPSILON)
    centre = target == 1
    at_centres = (1 - scores) ** 2 * torch.log(scores)
    elsewhere = (1 - target) ** 4 * scores**2 * torch.log(1 - scores)
    return -torch.where(centre, at_centres, elsewhere).sum() / centre.sum().clamp(min=1)


def l1(head: Tensor, cells: Tensor, valid: Tensor, target: Tensor) -> Tensor:
    """Return the mean L1 distance at object cells (CenterNet Eq. 2, 3, FairMOT L_box), a scalar.

    `head` (B, C, h, w), `cells` (B, k), `valid` (B, k), `target` (B, k, C). The mean is over
    objects and channels (CenterNet's sums over channels).
    """
    error = F.l1_loss(gather(head, cells), target, reduction="none") * valid[..., None]
    return error.sum() / (valid.sum() * head.shape[1] + 1e-4)


def detection_terms(heads: dict[str, Tensor], targets: CentreTargets) -> dict[str, Tensor]:
    """Return the unweighted scalar losses `heatmap`, `offset` and `size`."""
    at = targets.cells, targets.valid
    return {
        "heatmap": focal(heads["heatmap"], targets.heatmap),
        "offset": l1(heads["offset"], *at, targets.offset),
        "size": l1(heads["size"], *at, targets.size),
    }


class FairMOTLoss(nn.Module):
    """FairMOT's L_total, with its classifier over the training identities."""

    def __init__(self, embedding_size: int, identities: int, uncertainty: bool = True) -> None:
        """Classify `identities`; without `uncertainty`, weigh identity by 0.1 (YOLOv5s)."""
        super().__init__()
        self.classifier = nn.Linear(embedding_size, identities)
        self.weighting = Uncertainty(START) if uncertainty else Fixed((1.0, IDENTITY_WEIGHT))

    def forward(self, heads: dict[str, Tensor], targets: CentreTargets) -> dict[str, Tensor]:
        """Return the unweighted scalar losses and their weighted `total`."""
        terms = detection_terms(heads, targets)
        embeddings = gather(heads["identity"], targets.cells)[targets.valid]  # (n, D)
        identities = targets.identities[targets.valid]
        terms["identity"] = cross_entropy(embeddings, identities, self.classifier)
        detection = terms["heatmap"] + terms["offset"] + SIZE_WEIGHT * terms["size"]
        total = self.weighting(torch.stack((detection, terms["identity"])))
        return terms | {"total": total}
