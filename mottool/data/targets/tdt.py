"""Targets of TDT: RetinaNet's assignment of anchors, and the teacher's embedding for each.

Yu, Wu, Gu & Fathy, "TDT: Teaching detectors to track without fully annotated videos", CVPR
Workshops 2022, §3.3, on Lin, Goyal, Girshick, He & Dollár, "Focal loss for dense object
detection", ICCV 2017 (RetinaNet), §4. The thresholds are those of Google's published RetinaNet,
whose constants the paper has: no anchor is ignored between foreground and background.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import box_iou

from mottool.data.targets.labels import Labels, Targets
from mottool.errors import InputError
from mottool.models.retinanet import deltas_from_boxes

__all__ = ["TDTTargets", "tdt_targets"]

MATCH = 0.5  # IoU; Google's code calls it match_threshold and unmatched_threshold


@dataclass(frozen=True)
class TDTTargets(Targets):
    """Targets of N anchors for B images, m of them foreground.

    `foreground` (B, N) int64: 1 person, 0 background. `images` and `anchors` (m,) int64
    are the indices of the foreground anchors; `boxes` (m, 4) float32 are their targets, as from
    `retinanet.deltas_from_boxes`; `embeddings` (m, D) float32 are the teacher's, or None.
    """

    foreground: Tensor
    images: Tensor
    anchors: Tensor
    boxes: Tensor
    embeddings: Tensor | None


def tdt_targets(labels: Sequence[Labels], anchors: Tensor, taught: bool = True) -> TDTTargets:
    """Return the targets of a batch at `anchors` (N, 4) x1 y1 x2 y2 in network pixels.

    An anchor is assigned to the box of highest IoU: foreground from 0.5, background below. If no
    anchor of a box reaches 0.5, its best anchors are foreground too, as in the published code;
    otherwise people smaller than the anchors would never be learned. If `taught`, raises
    `InputError` for an image without a teacher's embeddings.
    """
    foreground, images, rows, boxes, embeddings = [], [], [], [], []
    for number, image in enumerate(labels):
        if taught and image.embeddings is None:
            raise InputError(
                "an image has no teacher embeddings, but TDT needs them for training",
                "run distill-labels on the dataset and train with its labels",
            )
        people = image.boxes[image.with_area].to(anchors)  # (n, 4)
        state, person = _assign(people, anchors)  # (N,)
        row = torch.nonzero(state == 1).flatten()
        person = person[row]
        foreground.append(state)
        images.append(torch.full_like(row, number))
        rows.append(row)
        boxes.append(deltas_from_boxes(people[person], anchors[row]))
        if taught and image.embeddings is not None:
            embeddings.append(image.embeddings[image.with_area].to(anchors)[person])
    return TDTTargets(
        torch.stack(foreground),
        torch.cat(images),
        torch.cat(rows),
        torch.cat(boxes),
        torch.cat(embeddings) if embeddings else None,
    )


def _assign(people: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor]:
    """Return the state of each anchor (N,), as in `foreground`, and its row of `people` (n, 4)."""
    zeros = torch.zeros(len(anchors), dtype=torch.int64, device=anchors.device)
    if not len(people):
        return zeros, zeros
    overlaps = box_iou(anchors, people)  # (N, n)
    overlap, person = overlaps.max(1)
    foreground = (overlap >= MATCH).long()
    best = overlaps.amax(0)  # (n,)
    row, forced = torch.nonzero((overlaps == best) & (best > 0), as_tuple=True)
    unreached = best[forced] < MATCH
    foreground[row[unreached]], person[row[unreached]] = 1, forced[unreached]
    return foreground, person
