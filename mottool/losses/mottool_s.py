"""The loss of mottool-s: FairMOT's detection, and embeddings taught in every way there is.

Detection: Zhang, Wang, Wang, Zeng & Liu, "FairMOT", IJCV 2021, §4.2, with the generalised IoU of
Rezatofighi, Tsoi, Gwak, Sadeghian, Reid & Savarese, CVPR 2019. Embeddings: a re-identification
teacher's, as in TDT (Yu, Wu, Gu & Fathy, CVPR Workshops 2022, §3.3), where there are labels of
`distill-labels`; identities, as in JDE and FairMOT, where they are known; and OUTrack's pairs of
frames (Liu et al., Neurocomputing 2022), where there is neither. Occlusion centres as in OUTrack.
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
from mottool.models.parts import HEIGHTS, joined

__all__ = ["MottoolSLoss", "imitation", "relations", "relative_l1"]

MOST_RELATED = 768  # people of a batch whose similarities to each other are compared

Heads = Mapping[str, Tensor]


def relative_l1(error: Tensor, scale: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of L1 distances `error` (m, C), each in parts of `scale` (m, C), a scalar."""
    return ((error.abs() / scale).sum(1) * weights).sum()


def imitation(embeddings: Tensor, teacher: Tensor) -> Tensor:
    """Mean of 1 - cosine between embeddings (n, D) and a teacher's (n, D), a scalar; 0 for none."""
    cosines = F.cosine_similarity(embeddings.float(), teacher.float(), dim=1)  # (n,)
    return (1 - cosines).sum() / max(len(cosines), 1)


def relations(embeddings: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of the cosines among n people by student and teacher, a scalar.

    `embeddings` (n, D) and `teacher` (n, E) may differ in size. Park, Kim, Lu & Cho, "Relational
    knowledge distillation", CVPR 2019.
    """
    ours, theirs = F.normalize(embeddings.float(), dim=1), F.normalize(teacher.float(), dim=1)
    difference = similarities(ours, ours) - similarities(theirs, theirs)  # (n, n)
    return difference.square().mean() if len(ours) else difference.sum()


class MottoolSLoss(nn.Module):
    """The whole, with the parts that only training needs.

    `classifier` tells the dataset's identities apart; `translator` maps the network's embeddings
    into the teacher's space, which may be larger.
    """

    def __init__(self, embedding_size: int, identities: int, taught: int) -> None:
        """`identities` of the dataset and `taught` dimensions of the teacher; 0 for none."""
        super().__init__()
        size = len(HEIGHTS) * embedding_size
        self.classifier = nn.Linear(size, identities) if identities > 1 else None
        self.translator = nn.Linear(size, taught, bias=False) if taught else None

    def forward(
        self,
        heads: Heads,
        targets: MottoolSTargets,
        previous: Heads | None = None,
        previous_targets: MottoolSTargets | None = None,
    ) -> dict[str, Tensor]:
        """The terms of the heads that are given, unweighted scalars.

        `previous` are the heads of the pairs' second images.
        """
        terms = dict[str, Tensor]()
        if "heatmap" in heads:
            terms |= _detection_terms(heads, targets)
        if "identity" in heads:
            terms |= self._taught_terms(heads, targets)
        if "occlusion" in heads:
            terms |= occlusion_terms(dict(heads), targets.occlusions)
        if previous is not None and previous_targets is not None and "identity" in heads:
            pair = (
                *_by_image(heads["identity"], targets),
                *_by_image(previous["identity"], previous_targets),
            )
            now, seen, before, seen_before = pair
            negative = torch.zeros(len(now), dtype=torch.bool, device=now.device)
            terms |= reid_terms(now, before, seen, seen_before, negative)
        return terms

    def _taught_terms(self, heads: Heads, targets: MottoolSTargets) -> dict[str, Tensor]:
        """`imitation` and `relations` where a teacher spoke, `identity` where one is known."""
        terms = {}
        embeddings = _embeddings(heads["identity"], targets)  # (n, 3·D)
        if self.translator is not None and targets.embeddings is not None:
            taught = targets.embedded & targets.embeddings.any(1)  # (n,)
            teacher, learned = targets.embeddings[taught], embeddings[taught]
            terms["imitation"] = imitation(self.translator(learned), teacher)
            terms["relations"] = relations(learned[:MOST_RELATED], teacher[:MOST_RELATED])
        if self.classifier is not None:
            identities = torch.where(targets.embedded, targets.identities, UNKNOWN)
            terms["identity"] = cross_entropy(embeddings, identities, self.classifier)
        return terms


def _detection_terms(heads: Heads, targets: MottoolSTargets) -> dict[str, Tensor]:
    """The scalars `heatmap`, `offset`, `size` and `giou`, unweighted."""
    at, people, weights = (targets.images, targets.cells), targets.people, targets.weights
    width = heads["heatmap"].shape[3]
    offset, size = _at(heads["offset"], *at), _at(heads["size"], *at)  # (m, 2), (m, 4)
    centre, box = targets.centres[people], targets.boxes[people]
    distances = torch.cat((centre - box[:, :2], box[:, 2:] - centre), 1)  # (m, 4)
    sides = (box[:, 2:] - box[:, :2]).repeat(1, 2).clamp(min=1)
    corner = torch.stack((targets.cells % width, targets.cells // width), 1)
    middle = corner + offset
    decoded = torch.cat((middle - size[:, :2], middle + size[:, 2:]), 1)
    overlap = generalized_box_iou_loss(decoded, box)  # (m,)
    return {
        "heatmap": focal(heads["heatmap"], targets.heatmap),
        "offset": relative_l1(offset - targets.offset, torch.ones_like(offset), weights),
        "size": relative_l1(size - distances, sides, weights),
        "giou": (overlap * weights).sum(),
    }


def _at(head: Tensor, images: Tensor, cells: Tensor) -> Tensor:
    """What a head (B, C, h, w) says in cells (…) of images (…): (…, C) float32."""
    return head.flatten(2)[images, :, cells].float()


def _embeddings(identity: Tensor, targets: MottoolSTargets) -> Tensor:
    """Unit embeddings (n, 3·D) of the people, from the identity head (B, D, h, w)."""
    cells, of_image = targets.parts, targets.image_of[:, None].expand_as(targets.parts)
    return joined(_at(identity, of_image, cells))  # from (n, 3, D)


def _by_image(identity: Tensor, targets: MottoolSTargets) -> tuple[Tensor, Tensor]:
    """Embeddings (B, k, 3·D) of the people of every image, and which rows are somebody, (B, k)."""
    embeddings = _embeddings(identity, targets)  # (n, 3·D)
    groups = [
        embeddings[(targets.image_of == number) & targets.embedded]
        for number in range(len(identity))
    ]
    present = [torch.ones(len(each), dtype=torch.bool, device=each.device) for each in groups]
    return pad_sequence(groups, batch_first=True), pad_sequence(present, batch_first=True)
