"""FairMOT's losses: heatmap, offset, size and identity, on the heads of `models.fairmot`.

Zhang, Wang, Wang, Zeng & Liu, "FairMOT: On the fairness of detection and re-identification in
multiple object tracking", IJCV 2021, §4.2-4.4, after Zhou, Wang & Krähenbühl, "Objects as
points", 2019 (CenterNet). All centre-point networks use these terms.
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
    "INITIAL_LOG_VARIANCES",
    "SIZE_WEIGHT",
    "FairMOTLoss",
    "detection_terms",
    "focal",
    "l1",
]

INITIAL_LOG_VARIANCES = (-1.85, -1.05)  # s of detection and identity in the authors' code
SIZE_WEIGHT = 0.1  # λ_s of FairMOT's L_box
IDENTITY_WEIGHT = 0.1  # with fixed weights, as in the authors' YOLOv5s
MIN_PROBABILITY = 1e-4  # the focal loss clips probabilities to this distance from 0 and 1


def focal(heatmap: Tensor, target: Tensor) -> Tensor:
    """Compute the pixel-wise focal loss with α = 2, β = 4, a scalar.

    CenterNet Eq. 1, FairMOT's L_heat. `heatmap` (B, C, h, w) holds logits, `target` (B, C, h, w)
    values in [0, 1], exactly 1 at centres. The sum over the batch is divided by the number of
    centres, or by 1 if there are none.
    """
    probability = heatmap.float().sigmoid().clamp(MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    is_centre = target == 1
    at_centres = (1 - probability) ** 2 * torch.log(probability)
    elsewhere = (1 - target) ** 4 * probability**2 * torch.log(1 - probability)
    return -torch.where(is_centre, at_centres, elsewhere).sum() / is_centre.sum().clamp(min=1)


def l1(head: Tensor, cells: Tensor, valid: Tensor, target: Tensor) -> Tensor:
    """Compute the mean L1 distance at the objects' cells, a scalar.

    CenterNet Eq. 2 and 3, FairMOT's L_box. `head` (B, C, h, w), `cells` (B, k), `valid` (B, k),
    `target` (B, k, C). The mean is over objects and channels (CenterNet sums over channels).
    """
    error = F.l1_loss(gather(head, cells), target, reduction="none") * valid[..., None]
    return error.sum() / (valid.sum() * head.shape[1] + 1e-4)


def detection_terms(heads: dict[str, Tensor], targets: CentreTargets) -> dict[str, Tensor]:
    """Return the unweighted scalars `heatmap`, `offset` and `size`."""
    objects = targets.cells, targets.valid
    return {
        "heatmap": focal(heads["heatmap"], targets.heatmap),
        "offset": l1(heads["offset"], *objects, targets.offset),
        "size": l1(heads["size"], *objects, targets.size),
    }


class FairMOTLoss(nn.Module):
    """FairMOT's L_total, with its classifier over the training identities."""

    def __init__(self, embedding_size: int, identities: int, uncertainty: bool = True) -> None:
        """Create the classifier for a number of `identities`, and the weights of the two tasks.

        The weights are learned; without `uncertainty` they are fixed, 0.1 for identity (YOLOv5s).
        """
        super().__init__()
        self.classifier = nn.Linear(embedding_size, identities)
        self.weighting = (
            Uncertainty(INITIAL_LOG_VARIANCES) if uncertainty else Fixed((1.0, IDENTITY_WEIGHT))
        )

    def forward(self, heads: dict[str, Tensor], targets: CentreTargets) -> dict[str, Tensor]:
        """Return the terms, unweighted scalars, and their weighted `total`."""
        terms = detection_terms(heads, targets)
        embeddings = gather(heads["identity"], targets.cells)[targets.valid]  # (n, D)
        identities = targets.identities[targets.valid]  # (n,)
        terms["identity"] = cross_entropy(embeddings, identities, self.classifier)
        detection = terms["heatmap"] + terms["offset"] + SIZE_WEIGHT * terms["size"]
        total = self.weighting(torch.stack((detection, terms["identity"])))
        return terms | {"total": total}
