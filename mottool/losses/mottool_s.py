"""The loss of mottool-s: detection, occlusion centres, and embeddings from three sources.

Detection: Zhang, Wang, Wang, Zeng & Liu, "FairMOT", IJCV 2021, §4.2, with the generalised IoU of
Rezatofighi, Tsoi, Gwak, Sadeghian, Reid & Savarese, CVPR 2019. Occlusion centres: as in OUTrack.

Embeddings learn from a re-identification teacher where there are labels of `distill-labels`, as in
TDT (Yu, Wu, Gu & Fathy, CVPR Workshops 2022, §3.3). They learn from identities where these are
known, as in JDE and FairMOT. Without both they learn from pairs of frames, as in OUTrack (Liu et
al., Neurocomputing 2022).
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torchvision.ops import generalized_box_iou_loss

from mottool.data.targets.mottool_s import MottoolSTargets
from mottool.losses.centre import focal
from mottool.losses.identity import UNKNOWN, cross_entropy, similarities
from mottool.losses.outrack import occlusion_terms
from mottool.losses.unsupervised import reid_terms
from mottool.models.parts import HEIGHTS, join_parts

__all__ = ["MottoolSLoss", "imitation", "relations", "relative_l1"]

MAX_RELATED = 768  # people of a batch whose similarities to each other are compared, at most

Heads = Mapping[str, Tensor]


def relative_l1(error: Tensor, scale: Tensor, weights: Tensor) -> Tensor:
    """Compute the weighted sum of L1 distances relative to a scale, a scalar.

    `error` and `scale` are (m, C), `weights` (m,): Σ w Σ |error| / scale.
    """
    return ((error.abs() / scale).sum(1) * weights).sum()


def imitation(embeddings: Tensor, teacher: Tensor) -> Tensor:
    """Compute the mean of 1 - cosine between student and teacher, a scalar; 0 if there are none.

    `embeddings` and `teacher` are (n, D).
    """
    cosines = F.cosine_similarity(embeddings.float(), teacher.float(), dim=1)  # (n,)
    return (1 - cosines).sum() / max(len(cosines), 1)


def relations(embeddings: Tensor, teacher: Tensor) -> Tensor:
    """Compute the mean squared difference of student and teacher in cosines of pairs, a scalar.

    The pairs are those of n people; 0 if there are none. `embeddings` (n, D) and `teacher` (n, E)
    may differ in size. Park, Kim, Lu & Cho, "Relational knowledge distillation", CVPR 2019.
    """
    student, teacher = F.normalize(embeddings.float(), dim=1), F.normalize(teacher.float(), dim=1)
    difference = similarities(student, student) - similarities(teacher, teacher)  # (n, n)
    return difference.square().mean() if len(student) else difference.sum()


class MottoolSLoss(nn.Module):
    """The terms of mottool-s, with the layers that only training needs.

    `classifier` classifies the dataset's identities. `translator` maps the network's embeddings
    to the teacher's space, which may be larger.
    """

    def __init__(self, embedding_size: int, identities: int, distilled_dimensions: int) -> None:
        """Create the layers for a number of `identities` and the teacher's dimensions.

        Without identities or without a teacher, the number is 0.
        """
        super().__init__()
        size = len(HEIGHTS) * embedding_size
        self.classifier = nn.Linear(size, identities) if identities > 1 else None
        self.translator = (
            nn.Linear(size, distilled_dimensions, bias=False) if distilled_dimensions else None
        )

    def forward(
        self,
        heads: Heads,
        targets: MottoolSTargets,
        previous: Heads | None = None,
        previous_targets: MottoolSTargets | None = None,
    ) -> dict[str, Tensor]:
        """Return the terms of the given heads, unweighted scalars.

        `previous` are the heads of the pairs' second images.
        """
        terms = dict[str, Tensor]()
        if "heatmap" in heads:
            terms |= _detection_terms(heads, targets)
        if "identity" in heads:
            terms |= self._embedding_terms(heads, targets)
        if "occlusion" in heads:
            terms |= occlusion_terms(dict(heads), targets.occlusions)
        if previous is not None and previous_targets is not None and "identity" in heads:
            first, first_valid = _by_image(heads["identity"], targets)
            second, second_valid = _by_image(previous["identity"], previous_targets)
            negative = torch.zeros(len(first), dtype=torch.bool, device=first.device)
            terms |= reid_terms(first, second, first_valid, second_valid, negative)
        return terms

    def _embedding_terms(self, heads: Heads, targets: MottoolSTargets) -> dict[str, Tensor]:
        """Return `imitation` and `relations` with a teacher, and `identity` with a classifier.

        People who are too small (not `embedded`) are left out of all three. A teacher embedding of
        zeros means that there is none.
        """
        terms = {}
        embeddings = _embeddings(heads["identity"], targets)  # (n, 3·D)
        if self.translator is not None and targets.embeddings is not None:
            distilled = targets.embedded & targets.embeddings.any(1)  # (n,)
            teacher, student = targets.embeddings[distilled], embeddings[distilled]
            terms["imitation"] = imitation(self.translator(student), teacher)
            terms["relations"] = relations(student[:MAX_RELATED], teacher[:MAX_RELATED])
        if self.classifier is not None:
            identities = torch.where(targets.embedded, targets.identities, UNKNOWN)
            terms["identity"] = cross_entropy(embeddings, identities, self.classifier)
        return terms


def _detection_terms(heads: Heads, targets: MottoolSTargets) -> dict[str, Tensor]:
    """Return the unweighted scalars `heatmap`, `offset`, `size` and `giou`."""
    people, weights = targets.people, targets.weights
    width = heads["heatmap"].shape[3]
    offset = _values(heads["offset"], targets.images, targets.cells)  # (m, 2)
    size = _values(heads["size"], targets.images, targets.cells)  # (m, 4)
    centre, box = targets.centres[people], targets.boxes[people]
    distances = torch.cat((centre - box[:, :2], box[:, 2:] - centre), 1)  # (m, 4)
    sides = (box[:, 2:] - box[:, :2]).repeat(1, 2).clamp(min=1)
    corner = torch.stack((targets.cells % width, targets.cells // width), 1)
    predicted = corner + offset  # centres, (m, 2)
    decoded = torch.cat((predicted - size[:, :2], predicted + size[:, 2:]), 1)
    giou_loss = generalized_box_iou_loss(decoded, box)  # (m,)
    return {
        "heatmap": focal(heads["heatmap"], targets.heatmap),
        "offset": relative_l1(offset - targets.offset, torch.ones_like(offset), weights),
        "size": relative_l1(size - distances, sides, weights),
        "giou": (giou_loss * weights).sum(),
    }


def _values(head: Tensor, images: Tensor, cells: Tensor) -> Tensor:
    """Return the values (…, C) float32 of a head (B, C, h, w) in cells (…) of images (…)."""
    return head.flatten(2)[images, :, cells].float()


def _embeddings(identity: Tensor, targets: MottoolSTargets) -> Tensor:
    """Return L2-normalised embeddings (n, 3·D) of the people from the head (B, D, h, w)."""
    images = targets.image_of[:, None].expand_as(targets.parts)
    return join_parts(_values(identity, images, targets.parts))  # from (n, 3, D)


def _by_image(identity: Tensor, targets: MottoolSTargets) -> tuple[Tensor, Tensor]:
    """Return the people's embeddings (B, k, 3·D) by image, and the mask (B, k) of valid rows."""
    embeddings = _embeddings(identity, targets)  # (n, 3·D)
    groups = [
        embeddings[(targets.image_of == number) & targets.embedded]
        for number in range(len(identity))
    ]
    valid = [torch.ones(len(group), dtype=torch.bool, device=group.device) for group in groups]
    return pad_sequence(groups, batch_first=True), pad_sequence(valid, batch_first=True)
