"""CSTrack's losses: box, objectness and identity, on the heads of `models.cstrack`.

Liang, Zhang, Zhou, Li, Zhu & Hu, "Rethinking the competition between detection and ReID in
multiobject tracking", IEEE Transactions on Image Processing 31, 2022: L = L_det + η·L_id, with the
detection loss of YOLOv5 (Ultralytics, 2020).
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
BALANCE = {8: 4.0, 16: 1.0, 32: 0.4}  # of objectness: fine levels have more, and smaller, people


def objectness(logits: Tensor, target: LevelTargets, fit: Tensor) -> Tensor:
    """YOLOv5's L_obj of one level: mean binary cross-entropy over all anchors, a scalar.

    `logits` (B, A, h, w); an anchor that is to find somebody should say its `fit` (m,), the CIoU
    of its box, at least 0; every other one 0. Of several people in an anchor, the last one of
    `target` counts.
    """
    _, anchors, rows, columns = logits.shape
    cell = (target.images * anchors + target.anchors) * rows + target.rows
    cell = cell * columns + target.columns  # (m,) into the flat logits
    order = torch.arange(len(cell), device=cell.device)
    last = torch.full((logits.numel(),), -1, device=cell.device)
    last.scatter_reduce_(0, cell, order, "amax")
    kept = last[cell] == order  # an assignment to repeated cells has no order on a GPU
    wanted = torch.zeros_like(logits, dtype=torch.float32).flatten()
    wanted[cell[kept]] = fit.detach().clamp(min=0)[kept]
    return F.binary_cross_entropy_with_logits(logits.float(), wanted.view_as(logits))


class CSTrackLoss(nn.Module):
    """The whole, with the classifier over the training identities that it needs.

    The authors multiply the total by the number of images in the batch; this one is per image.
    As by them, nothing teaches the logit of "a person": there is no other class.
    """

    def __init__(
        self,
        embedding_size: int,
        identities: int,
        anchors: Mapping[int, Sequence[tuple[int, int]]],
        eta: float = 0.02,
    ) -> None:
        """`identities` to tell apart; `anchors` widths and heights in network pixels by stride.

        `eta` weighs identity against detection; 0.02 is the authors' for MOT17.
        """
        super().__init__()
        self.classifier = nn.Linear(embedding_size, identities, bias=False)
        self.anchors = {stride: torch.tensor(shapes) / stride for stride, shapes in anchors.items()}
        self.eta = eta

    def forward(self, heads: dict[str, Tensor], targets: CSTrackTargets) -> dict[str, Tensor]:
        """The terms `box`, `objectness` and `identity`, unweighted scalars, and their `total`."""
        box = objects = heads["identity"].new_zeros((), dtype=torch.float32)
        for stride, target in targets.levels.items():
            head = heads[f"detection_{stride}"]  # (B, 18, h, w)
            head = head.reshape(len(head), -1, 6, *head.shape[2:]).permute(
                0, 1, 3, 4, 2
            )  # (B, 3, h, w, 6)
            loss = self._ciou(head, target, stride)  # (m,)
            box = box + loss.sum() / max(len(loss), 1)
            objects = objects + BALANCE[stride] * objectness(head[..., 4], target, 1 - loss)
        at = targets.images, slice(None), targets.rows, targets.columns
        embeddings = heads["identity"][at].float()  # (n, D)
        identity = cross_entropy(embeddings, targets.identities, self.classifier)
        total = BOX_WEIGHT * box + objects + self.eta * identity
        return {"box": box, "objectness": objects, "identity": identity, "total": total}

    def _ciou(self, head: Tensor, target: LevelTargets, stride: int) -> Tensor:
        """1 - CIoU of the boxes of one level's anchors that are to find somebody, (m,).

        Zheng, Wang, Liu, Li, Ye & Ren, "Distance-IoU loss", AAAI 2020, Eq. 10.
        """
        said = head[target.images, target.anchors, target.rows, target.columns].float().sigmoid()
        anchors = self.anchors[stride].to(said)[target.anchors]  # (m, 2)
        centre, sides = 2 * said[:, :2] - 0.5, (2 * said[:, 2:4]).square() * anchors
        boxes = torch.cat((centre, sides), 1), target.boxes  # (m, 4) centre and sides, in cells
        loss: Tensor = complete_box_iou_loss(*(box_convert(b, "cxcywh", "xyxy") for b in boxes))
        return loss
