"""CSTrack's losses: box, objectness and identity, on the heads of `models.cstrack`.

Liang, Zhang, Zhou, Li, Zhu & Hu, "Rethinking the competition between detection and ReID in
multiobject tracking", IEEE Transactions on Image Processing 31, 2022: L = L_det + η·L_id. The
detection loss is that of YOLOv5 (Ultralytics, 2020).
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import box_convert, complete_box_iou_loss

from mottool.data.targets.cstrack import CSTrackTargets, LevelTargets
from mottool.losses.identity import cross_entropy

__all__ = ["CSTrackLoss", "objectness"]

BOX_WEIGHT = 0.05
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
    ) -> None:
        """Create the classifier for a number of `identities`.

        `anchors` are widths and heights in network pixels, by stride. `eta` is the weight of
        identity relative to detection; the authors use 0.02 for MOT17.
        """
        super().__init__()
        self.classifier = nn.Linear(embedding_size, identities, bias=False)
        self.anchors = {stride: torch.tensor(shapes) / stride for stride, shapes in anchors.items()}
        self.eta = eta

    def forward(self, heads: dict[str, Tensor], targets: CSTrackTargets) -> dict[str, Tensor]:
        """Return the unweighted scalars `box`, `objectness`, `identity` and the weighted `total`.

        The levels' objectness is already balanced by `OBJECTNESS_BALANCE`.
        """
        box = objects = heads["identity"].new_zeros((), dtype=torch.float32)
        for stride, target in targets.levels.items():
            head = heads[f"detection_{stride}"]  # (B, 18, h, w)
            head = head.reshape(len(head), -1, 6, *head.shape[2:])  # (B, 3, 6, h, w)
            head = head.permute(0, 1, 3, 4, 2)  # (B, 3, h, w, 6)
            loss = self._ciou_loss(head, target, stride)  # (m,)
            box = box + loss.sum() / max(len(loss), 1)
            level_objectness = objectness(head[..., 4], target, 1 - loss)
            objects = objects + OBJECTNESS_BALANCE[stride] * level_objectness
        centres = targets.images, slice(None), targets.rows, targets.columns
        embeddings = heads["identity"][centres].float()  # (n, D)
        identity = cross_entropy(embeddings, targets.identities, self.classifier)
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
