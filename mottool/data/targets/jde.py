"""Targets of JDE: which anchors are people, where those stand, and who they are.

Wang, Zheng, Liu, Li & Wang, "Towards real-time multi-object tracking", ECCV 2020, "Learning to
detect": an anchor that overlaps a person by an IoU above 0.5 is foreground, one below 0.4 is
background, and what lies between teaches nothing.
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
    "embedding_targets",
    "jde_targets",
]

FOREGROUND, BACKGROUND = 0.5, 0.4  # IoU
EMBEDDED = 0.6  # IoU of the shapes at which the embedding test looks at a person


@dataclass(frozen=True)
class AnchorTargets(Targets):
    """What one level should say of B images, with A anchors in each of h rows of w cells.

    `foreground` (B, A, h, w) int64, 1 a person, 0 background, -1 neither; `boxes`
    (B, A, h, w, 4) float32, offset x y in anchor sides and logarithm of the sides over the
    anchor's, 0 where nobody is; `identities` (B, A, h, w) int64, -1 where nobody known is.
    """

    foreground: Tensor
    boxes: Tensor
    identities: Tensor


@dataclass(frozen=True)
class JDETargets(Targets):
    """What the `levels` should say, by stride."""

    levels: dict[int, AnchorTargets]


def jde_targets(
    labels: Sequence[Labels],
    size: tuple[int, int],
    anchors: Mapping[int, Sequence[tuple[int, int]]],
) -> JDETargets:
    """The targets of a batch of images of `size` (width, height) network pixels.

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
    anchors: Sequence[tuple[int, int]],
    stride: int,
    grid: tuple[int, int],
) -> AnchorTargets:
    """The targets of one level, a `grid` of (rows, columns), for a batch of images."""
    placed = _placed(anchors, stride, grid)  # (A, h, w, 4) centre and sides
    images = [_assigned(image, placed, stride, grid) for image in labels]
    foreground, boxes, identities = (torch.stack(part) for part in zip(*images, strict=True))
    return AnchorTargets(foreground, boxes, identities)


def _placed(anchors: Sequence[tuple[int, int]], stride: int, grid: tuple[int, int]) -> Tensor:
    """Anchors on the corners of their cells: (A, h, w, 4) centre and sides in pixels."""
    y, x = torch.meshgrid(*(torch.arange(count) for count in grid), indexing="ij")
    corner = stride * torch.stack((x, y), -1).float()  # (h, w, 2)
    sides = torch.tensor(anchors).float()[:, None, None].expand(-1, *grid, -1)  # (A, h, w, 2)
    return torch.cat((corner.expand_as(sides), sides), -1)


def _assigned(
    image: Labels, placed: Tensor, stride: int, grid: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """One image's foreground, boxes and identities: each anchor goes to whom it overlaps most."""
    placed = placed.to(image.boxes.device)
    cells = placed.shape[:3]  # (A, h, w)
    identities = image.identities.new_full(cells, -1)
    people = box_convert(image.boxes[image.with_area], "xyxy", "cxcywh")  # (n, 4)
    if not len(people):
        return torch.zeros_like(identities), torch.zeros_like(placed), identities
    last = stride * people.new_tensor((grid[1] - 1, grid[0] - 1))
    people[:, :2] = torch.minimum(people[:, :2].clamp(min=0), last)
    overlap, person = _best(box_convert(people, "cxcywh", "xyxy"), placed)  # (A, h, w)
    found = overlap > FOREGROUND
    foreground = found.long()
    foreground[(overlap > BACKGROUND) & (overlap < FOREGROUND)] = -1
    identities[found] = image.identities[image.with_area][person[found]]
    boxes = torch.zeros_like(placed)
    boxes[found] = _deltas(people[person[found]], placed[found])
    return foreground, boxes, identities


def _best(people: Tensor, placed: Tensor) -> tuple[Tensor, Tensor]:
    """The largest IoU of each anchor (A, h, w) with `people` (n, 4) x1 y1 x2 y2, and with whom."""
    left, top, right, bottom = box_convert(placed, "cxcywh", "xyxy").unbind(-1)  # (A, h, w)
    area = (right - left) * (bottom - top)
    # On a grid the overlap is that of columns times that of rows. One person after the other,
    # since of a map of stride 4 all pairs would fill gigabytes.
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
    """What the box head should say, (m, 4), of `people` at `anchors`, both centre and sides."""
    shift = (people[:, :2] - anchors[:, :2]) / anchors[:, 2:]
    return torch.cat((shift, torch.log(people[:, 2:] / anchors[:, 2:])), 1)


def embedding_targets(
    labels: Sequence[Labels],
    anchors: Sequence[tuple[int, int]],
    stride: int,
    grid: tuple[int, int],
) -> Tensor:
    """Whose embedding a level's cells hold in the authors' embedding test.

    (B, A, h, w) int64 identities, -1 elsewhere: each person once, in the cell of their centre,
    at the anchor closest in shape, if the shapes' IoU is above 0.6. Of two people there, the one
    with the better fit stays.
    """
    told = torch.full((len(labels), len(anchors), *grid), -1)
    shapes = torch.tensor(anchors).float()[:, None]  # (A, 1, 2)
    for identities, image in zip(told, labels, strict=True):
        people = box_convert(image.boxes[image.with_area], "xyxy", "cxcywh").cpu()  # (n, 4)
        sides = people[:, 2:]
        shared = torch.minimum(shapes, sides).prod(-1)  # (A, n)
        overlap, anchor = (shared / (shapes.prod(-1) + sides.prod(-1) - shared)).max(0)  # (n,)
        last = people.new_tensor((grid[1] - 1, grid[0] - 1))
        cell = torch.minimum((people[:, :2] / stride).clamp(min=0), last).long()
        known = image.identities[image.with_area]
        for person in overlap.argsort().tolist():  # the best fit is written last
            if overlap[person] > EMBEDDED:
                column, row = cell[person].tolist()
                identities[anchor[person], row, column] = known[person]
    return told
