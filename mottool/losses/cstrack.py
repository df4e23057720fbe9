"""CSTrack's losses: box, objectness and identity, on the heads of `models.cstrack`.

Liang, Zhang, Zhou, Li, Zhu & Hu, "Rethinking the competition between detection and ReID in
multi-object tracking", IEEE Transactions on Image Processing 31, 2022: L = L_det + η·L_id (Eq. 10).
The detection loss of the authors' code is that of YOLOv5 (Ultralytics, 2020); that of the paper is
Eq. 5 to 8.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import box_convert, complete_box_iou_loss

from mottool.data.targets.cstrack import CSTrackTargets, LevelTargets
from mottool.losses.identity import cross_entropy

__all__ = ["CSTrackLoss", "classification", "objectness"]

BOX_WEIGHT = 0.05  # β of Eq. 8
ALPHA, GAMMA = 0.25, 0.0  # of Eq. 5
OBJECTNESS_BALANCE = {8: 4.0, 16: 1.0, 32: 0.4}  # by stride: fine levels have more, smaller people


def objectness(logits: Tensor, target: LevelTargets, ciou: Tensor) -> Tensor:
    """Compute the mean binary cross-entropy over all anchors of one level, a scalar.

    YOLOv5's L_obj. `logits` are (B, A, h, w). The target of an anchor assigned to a person is the
    CIoU of its predicted box, `ciou` (m,), at least 0; the target of other anchors is 0. If
    several people are assigned to one anchor, the last one in `target` is used.
    """
    _, anchors, rows, columns = logits.shape
    cell = (target.images * anchors + target.anchors) * rows + target.rows
    cell = cell * columns + target.columns  # (m,) into the flat logits
    order = torch.arange(len(cell), device=cell.device)
    last = torch.full((logits.numel(),), -1, device=cell.device)
    last.scatter_reduce_(0, cell, order, "amax")
    keep = last[cell] == order  # an assignment to repeated cells has no defined order on a GPU
    expected = torch.zeros_like(logits, dtype=torch.float32).flatten()
    expected[cell[keep]] = ciou.detach().clamp(min=0)[keep]
    return F.binary_cross_entropy_with_logits(logits.float(), expected.view_as(logits))


def classification(logits: Tensor, target: LevelTargets) -> Tensor:
    """Compute the sum of -α·(1 - p_t)^γ·ln p_t over all anchors of one level, a scalar.

    Eq. 5 and 6 of the paper, with α = 0.25 and γ = 0. `logits` are (B, A, h, w); p_t is p at the
    anchors that are assigned to people and 1 - p elsewhere.
    """
    positive = torch.zeros_like(logits, dtype=torch.bool)
    positive[target.images, target.anchors, target.rows, target.columns] = True
    signed = torch.where(positive, logits.float(), -logits.float())  # logit of p_t
    return -ALPHA * ((1 - signed.sigmoid()) ** GAMMA * F.logsigmoid(signed)).sum()


class CSTrackLoss(nn.Module):
    """CSTrack's total loss, with its classifier over the training identities.

    The total is per image; the authors multiply it by the number of images in the batch. As in
    their code, the logit of the class "person" is not trained: there is no other class.
    """

    def __init__(
        self,
        embedding_size: int,
        identities: int,
        anchors: Mapping[int, Sequence[tuple[int, int]]],
        eta: float = 0.02,
        detection: str = "code",
    ) -> None:
        """Create the classifier for a number of `identities`.

        `anchors` are widths and heights in network pixels, by stride. `eta` is the weight of
        identity relative to detection, 0.02 in the paper. `detection` is the detection loss: `code`
        for YOLOv5's, `paper` for Eq. 5 to 8, whose targets have no neighbours.
        """
        super().__init__()
        self.classifier = nn.Linear(embedding_size, identities, bias=False)
        self.anchors = {stride: torch.tensor(shapes) / stride for stride, shapes in anchors.items()}
        self.eta = eta
        self.as_in_paper = detection == "paper"

    def forward(self, heads: dict[str, Tensor], targets: CSTrackTargets) -> dict[str, Tensor]:
        """Return the unweighted scalars `box`, `objectness`, `identity` and the weighted `total`.

        In the authors' form the levels' objectness is already balanced by `OBJECTNESS_BALANCE`. In
        the paper's both terms of detection are sums over all levels, divided by the number of
        positive anchors (Eq. 8).
        """
        box = objects = heads["identity"].new_zeros((), dtype=torch.float32)
        for stride, target in targets.levels.items():
            head = heads[f"detection_{stride}"]  # (B, 18, h, w)
            head = head.reshape(len(head), -1, 6, *head.shape[2:])  # (B, 3, 6, h, w)
            head = head.permute(0, 1, 3, 4, 2)  # (B, 3, h, w, 6)
            loss = self._ciou_loss(head, target, stride)  # (m,)
            if self.as_in_paper:
                box = box + loss.sum()
                objects = objects + classification(head[..., 4], target)
            else:
                box = box + loss.sum() / max(len(loss), 1)
                level_objectness = objectness(head[..., 4], target, 1 - loss)
                objects = objects + OBJECTNESS_BALANCE[stride] * level_objectness
        if self.as_in_paper:
            positive = max(sum(len(level.boxes) for level in targets.levels.values()), 1)
            box, objects = box / positive, objects / positive
        embeddings, identities = _embeddings(heads, targets)
        identity = cross_entropy(embeddings, identities, self.classifier)
        total = BOX_WEIGHT * box + objects + self.eta * identity
        return {"box": box, "objectness": objects, "identity": identity, "total": total}

    def _ciou_loss(self, head: Tensor, target: LevelTargets, stride: int) -> Tensor:
        """Compute 1 - CIoU of the boxes of one level's m assigned anchors, (m,).

        Zheng, Wang, Liu, Li, Ye & Ren, "Distance-IoU loss", AAAI 2020, Eq. 10.
        """
        outputs = head[target.images, target.anchors, target.rows, target.columns]  # (m, 6)
        outputs = outputs.float().sigmoid()
        anchors = self.anchors[stride].to(outputs)[target.anchors]  # (m, 2)
        centre, sides = 2 * outputs[:, :2] - 0.5, (2 * outputs[:, 2:4]).square() * anchors
        boxes = torch.cat((centre, sides), 1), target.boxes  # (m, 4) centre and sides, in cells
        loss: Tensor = complete_box_iou_loss(*(box_convert(b, "cxcywh", "xyxy") for b in boxes))
        return loss


def _embeddings(heads: dict[str, Tensor], targets: CSTrackTargets) -> tuple[Tensor, Tensor]:
    """Return the embeddings (n, D) of people in their centres' cells, and their identities (n,).

    They are those at stride 8, or with a basic head those of every level where an anchor is
    assigned to the person.
    """
    if "identity_16" not in heads:
        centres = targets.images, slice(None), targets.rows, targets.columns
        return heads["identity"][centres].float(), targets.identities
    finest = min(targets.levels)
    embeddings, identities = [], []
    for stride, level in targets.levels.items():
        head = heads["identity" if stride == finest else f"identity_{stride}"]
        people, ratio = torch.unique(level.people), stride // finest
        rows, columns = targets.rows[people] // ratio, targets.columns[people] // ratio
        embeddings.append(head[targets.images[people], :, rows, columns].float())
        identities.append(targets.identities[people])
    return torch.cat(embeddings), torch.cat(identities)
