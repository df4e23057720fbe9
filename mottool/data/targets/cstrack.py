"""Targets of CSTrack: YOLOv5's assignment of people to anchors in up to three cells each.

Liang, Zhang, Zhou, Li, Zhu & Hu, "Rethinking the competition between detection and ReID in
multiobject tracking", IEEE Transactions on Image Processing 31, 2022, trains its detector as
YOLOv5 (Ultralytics, 2020) does: every anchor less than four times as long or as short as the
person is positive, in the cell of the person's centre and in the two nearest adjacent cells. In
Eq. 6 of the paper it is positive in the cell of the centre only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import box_convert

from mottool.data.targets.labels import Labels, Targets

__all__ = ["CSTrackTargets", "LevelTargets", "cstrack_targets"]

MAX_RATIO = 4.0  # between a side of the person and the anchor's
IDENTITY_STRIDE = 8
MAX_DISTANCE = 0.5  # in cells, from a centre to an adjacent cell that is positive too

# The cell itself, then those to the left, above, to the right and below.
NEIGHBOURS = (
    (0.0, 0.0),
    (MAX_DISTANCE, 0.0),
    (0.0, MAX_DISTANCE),
    (-MAX_DISTANCE, 0.0),
    (0.0, -MAX_DISTANCE),
)


@dataclass(frozen=True)
class LevelTargets(Targets):
    """The m positive anchors of one level, of all images of the batch.

    `images`, `anchors`, `rows`, `columns` (m,) int64; `boxes` (m, 4) float32, centre x y relative
    to the cell's corner, width and height, in cells. `people` (m,) int64 are the rows of the
    people in the identity targets.
    """

    images: Tensor
    anchors: Tensor
    rows: Tensor
    columns: Tensor
    boxes: Tensor
    people: Tensor


@dataclass(frozen=True)
class CSTrackTargets(Targets):
    """Detection targets by stride in `levels`, and identity targets of n people.

    `images`, `rows`, `columns` (n,) int64 are the cells of the centres at stride 8; `identities`
    (n,) int64, -1 where unknown.
    """

    levels: dict[int, LevelTargets]
    images: Tensor
    rows: Tensor
    columns: Tensor
    identities: Tensor


def cstrack_targets(
    labels: Sequence[Labels],
    size: tuple[int, int],
    anchors: Mapping[int, Sequence[tuple[int, int]]],
    neighbours: bool = True,
) -> CSTrackTargets:
    """Return the targets of a batch of images of `size` (width, height) network pixels.

    `anchors` are widths and heights in network pixels by stride. Without `neighbours` a person is
    assigned to anchors of one cell only (Eq. 6).
    """
    people = torch.cat([image.boxes[image.with_area] for image in labels])  # (n, 4)
    people = box_convert(people, "xyxy", "cxcywh")
    counts = torch.tensor([int(image.with_area.sum()) for image in labels])
    images = torch.arange(len(labels)).repeat_interleave(counts).to(people.device)  # (n,)
    grid = people.new_tensor((size[0] // IDENTITY_STRIDE, size[1] // IDENTITY_STRIDE))
    columns, rows = _cells(people[:, :2] / IDENTITY_STRIDE, grid).T
    levels = {
        stride: _level(people / stride, images, torch.tensor(shapes) / stride, cells, neighbours)
        for stride, shapes in anchors.items()
        for cells in [(size[0] // stride, size[1] // stride)]
    }
    identities = torch.cat([image.identities[image.with_area] for image in labels])
    return CSTrackTargets(levels, images, rows, columns, identities)


def _level(
    people: Tensor, images: Tensor, anchors: Tensor, cells: tuple[int, int], neighbours: bool
) -> LevelTargets:
    """Return the targets of one level of `cells` (columns, rows).

    `people` (n, 4) centre and sides, `anchors` (A, 2), in cells.
    """
    anchors = anchors.to(people)
    grid = people.new_tensor(cells)
    ratio = people[None, :, 2:] / anchors[:, None]  # (A, n, 2)
    fits = torch.maximum(ratio, 1 / ratio).amax(-1) < MAX_RATIO
    anchor, person = torch.nonzero(fits, as_tuple=True)  # (m,)
    centre = people[person, :2]
    left, above = ((centre % 1 < MAX_DISTANCE) & (centre > 1)).T
    opposite = grid - centre
    right, below = ((opposite % 1 < MAX_DISTANCE) & (opposite > 1)).T
    positive = torch.stack((torch.ones_like(left), left, above, right, below))  # (5, m)
    positive = positive if neighbours else positive[:1]
    neighbour, match = torch.nonzero(positive, as_tuple=True)
    anchor, person, centre = anchor[match], person[match], centre[match]
    cell = _cells(centre - people.new_tensor(NEIGHBOURS)[neighbour], grid)
    boxes = torch.cat((centre - cell, people[person, 2:]), 1)
    return LevelTargets(images[person], anchor, cell[:, 1], cell[:, 0], boxes, person)


def _cells(points: Tensor, grid: Tensor) -> Tensor:
    """Return the cells (n, 2) int64 x y of points; the nearest cells of points outside."""
    return torch.minimum(points.clamp(min=0), grid - 1).long()
