"""Targets of JDE: foreground, box and identity of each anchor.

Wang, Zheng, Liu, Li & Wang, "Towards real-time multi-object tracking", ECCV 2020, "Learning to
detect": an anchor that overlaps a person by an IoU above 0.5 is foreground, one below 0.4 is
background, and those between are ignored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import box_convert

from mottool.data.targets.labels import Labels, Targets

__all__ = [
    "AnchorTargets",
    "JDETargets",
    "anchor_targets",
    "jde_targets",
]

FOREGROUND, BACKGROUND = 0.5, 0.4  # IoU


@dataclass(frozen=True)
class AnchorTargets(Targets):
    """Targets of one level for B images, with A anchors in each of h x w cells.

    `foreground` (B, A, h, w) int64: 1 person, 0 background, -1 ignored. `boxes` (B, A, h, w, 4)
    float32: offset x y in anchor sides and logarithm of the sides over the anchor's, 0 at anchors
    that are not foreground. `identities` (B, A, h, w) int64, -1 for unknown or no person.
    """

    foreground: Tensor
    boxes: Tensor
    identities: Tensor


@dataclass(frozen=True)
class JDETargets(Targets):
    """Targets of the `levels`, by stride."""

    levels: dict[int, AnchorTargets]


def jde_targets(
    labels: Sequence[Labels],
    size: tuple[int, int],
    anchors: Mapping[int, Sequence[tuple[float, float]]],
) -> JDETargets:
    """Return the targets of a batch of images of `size` (width, height) network pixels.

    `anchors` are widths and heights in network pixels by stride.
    """
    width, height = size
    levels = {
        stride: anchor_targets(labels, shapes, stride, (height // stride, width // stride))
        for stride, shapes in anchors.items()
    }
    return JDETargets(levels)


def anchor_targets(
    labels: Sequence[Labels],
    anchors: Sequence[tuple[float, float]],
    stride: int,
    grid: tuple[int, int],
) -> AnchorTargets:
    """Return the targets of one level, a `grid` of (rows, columns), for a batch of images."""
    anchor_grid = _anchor_grid(anchors, stride, grid)  # (A, h, w, 4) centre and sides
    images = [_assign(image, anchor_grid, stride, grid) for image in labels]
    foreground, boxes, identities = (torch.stack(part) for part in zip(*images, strict=True))
    return AnchorTargets(foreground, boxes, identities)


def _anchor_grid(
    anchors: Sequence[tuple[float, float]], stride: int, grid: tuple[int, int]
) -> Tensor:
    """Return anchors at the corners of their cells, (A, h, w, 4) centre and sides in pixels."""
    y, x = torch.meshgrid(*(torch.arange(count) for count in grid), indexing="ij")
    corner = stride * torch.stack((x, y), -1).float()  # (h, w, 2)
    sides = torch.tensor(anchors).float()[:, None, None].expand(-1, *grid, -1)  # (A, h, w, 2)
    return torch.cat((corner.expand_as(sides), sides), -1)


def _assign(
    image: Labels, anchors: Tensor, stride: int, grid: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Assign each anchor to the box of highest IoU; return foreground, boxes and identities."""
    anchors = anchors.to(image.boxes.device)
    cells = anchors.shape[:3]  # (A, h, w)
    identities = image.identities.new_full(cells, -1)
    people = box_convert(image.boxes[image.with_area], "xyxy", "cxcywh")  # (n, 4)
    if not len(people):
        return torch.zeros_like(identities), torch.zeros_like(anchors), identities
    last = stride * people.new_tensor((grid[1] - 1, grid[0] - 1))
    people[:, :2] = torch.minimum(people[:, :2].clamp(min=0), last)
    overlap, person = _best(box_convert(people, "cxcywh", "xyxy"), anchors)  # (A, h, w)
    positive = overlap > FOREGROUND
    foreground = positive.long()
    foreground[(overlap > BACKGROUND) & (overlap < FOREGROUND)] = -1
    identities[positive] = image.identities[image.with_area][person[positive]]
    boxes = torch.zeros_like(anchors)
    boxes[positive] = _deltas(people[person[positive]], anchors[positive])
    return foreground, boxes, identities


def _best(people: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor]:
    """Return each anchor's highest IoU with `people` (n, 4) x1 y1 x2 y2, and its row, (A, h, w)."""
    left, top, right, bottom = box_convert(anchors, "cxcywh", "xyxy").unbind(-1)  # (A, h, w)
    area = (right - left) * (bottom - top)
    # On a grid the overlap is that of columns times that of rows. Boxes are processed one by one,
    # because all pairs on a map of stride 4 would need gigabytes.
    left, right, top, bottom = left[:, :1], right[:, :1], top[..., :1], bottom[..., :1]
    best, person = torch.zeros_like(area), torch.zeros_like(area, dtype=torch.int64)
    for number, (x1, y1, x2, y2) in enumerate(people):
        across = (right.minimum(x2) - left.maximum(x1)).clamp(min=0)  # (A, 1, w)
        down = (bottom.minimum(y2) - top.maximum(y1)).clamp(min=0)  # (A, h, 1)
        shared = across * down  # (A, h, w)
        overlap = shared / (area + (x2 - x1) * (y2 - y1) - shared)
        person[overlap > best] = number
        best = overlap.maximum(best)
    return best, person


def _deltas(people: Tensor, anchors: Tensor) -> Tensor:
    """Return the box targets (m, 4) of `people` at `anchors`, both (m, 4) centre and sides."""
    shift = (people[:, :2] - anchors[:, :2]) / anchors[:, 2:]
    return torch.cat((shift, torch.log(people[:, 2:] / anchors[:, 2:])), 1)
