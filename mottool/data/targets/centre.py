"""Targets of the centre-point networks, such as FairMOT and OUTrack.

Zhang, Wang, Wang, Zeng & Liu, "FairMOT", IJCV 2021, §4.2-4.3: a Gaussian on the heatmap at each
person's centre, and in that cell the offset, the box and the identity. Liu, Chen, Chu, Yuan, Liu,
Zhang & Yu, Neurocomputing 2022 (OUTrack), occlusion estimation: the same at the centres of the
intersections of two boxes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mottool.data.targets.labels import Labels, Targets
from mottool.models.gaussian import draw, radius

__all__ = [
    "IGNORED",
    "CentreTargets",
    "OcclusionTargets",
    "centre_targets",
    "draw_heatmap",
    "mark_ignored",
    "occlusion_targets",
]

# The focal loss weights a cell by (1 - target)⁴ unless it is a centre, with a target of exactly 1.
IGNORED = 1 - 1e-5
PERSON_MIN_TARGET = 0.3  # a cell with a higher target is part of a person, even in a region


@dataclass(frozen=True)
class CentreTargets(Targets):
    """Targets of the heads for B images with at most k people each.

    `heatmap` (B, 1, h, w) float32 in [0, 1], exactly 1 at centres and `IGNORED` in regions to
    ignore; `cells` (B, k) int64, row·w + column; `valid` (B, k) bool, False for padding; `offset`
    (B, k, 2) x y of the centre in its cell; `size` (B, k, 4) left, top, right, bottom or (B, k, 2)
    width, height, in cells; `identities` (B, k) int64, -1 where unknown.
    """

    heatmap: Tensor
    cells: Tensor
    valid: Tensor
    offset: Tensor
    size: Tensor
    identities: Tensor


@dataclass(frozen=True)
class OcclusionTargets(Targets):
    """Occlusion centres in B images, at most k in each; fields as in `CentreTargets`."""

    heatmap: Tensor
    cells: Tensor
    valid: Tensor
    offset: Tensor


def centre_targets(
    labels: Sequence[Labels], size: tuple[int, int], stride: int = 4, ltrb: bool = True
) -> CentreTargets:
    """Return the targets of a batch of images of `size` (width, height) network pixels.

    A centre outside the image is moved to the nearest cell. With `ltrb`, the size is the four
    distances from that centre, which describe the complete box even if the image cuts it off;
    otherwise it is width and height.
    """
    width, height = size[0] // stride, size[1] // stride
    heatmaps, centres, sizes, identities = [], [], [], []
    for image in labels:
        boxes = image.boxes[image.with_area] / stride  # (n, 4)
        sides = boxes[:, 2:] - boxes[:, :2]
        centre = _inside((boxes[:, :2] + boxes[:, 2:]) / 2, width, height)  # (n, 2)
        distances = torch.cat((centre - boxes[:, :2], boxes[:, 2:] - centre), 1)  # (n, 4)
        heatmap = draw_heatmap(centre, sides, width, height)
        heatmaps.append(mark_ignored(heatmap, image.ignored, stride))
        centres.append(centre)
        sizes.append(distances if ltrb else sides)
        identities.append(image.identities[image.with_area])
    return CentreTargets(
        torch.stack(heatmaps),
        *_cells(centres, width),
        pad_sequence(sizes, batch_first=True),
        pad_sequence(identities, batch_first=True, padding_value=-1),
    )


def occlusion_targets(
    labels: Sequence[Labels], size: tuple[int, int], stride: int = 4, threshold: float = 0.7
) -> OcclusionTargets:
    """Return the occlusion centres of a batch of images of `size` (width, height) network pixels.

    Two boxes occlude each other if their intersection is more than `threshold` (the paper's τ) of
    the smaller one; the occlusion centre is the middle of the intersection within the image.
    """
    width, height = size[0] // stride, size[1] // stride
    heatmaps, centres = [], []
    for image in labels:
        boxes = image.boxes[image.with_area] / stride  # (n, 4)
        half = (boxes[:, 2:] - boxes[:, :2]) / 2
        centre = _inside((boxes[:, :2] + boxes[:, 2:]) / 2, width, height)
        shared = _intersections(torch.cat((centre - half, centre + half), 1), threshold)  # (m, 4)
        first, last = (_inside(corner, width, height) for corner in (shared[:, :2], shared[:, 2:]))
        centre = (first + last) / 2
        heatmaps.append(draw_heatmap(centre, last - first, width, height))
        centres.append(centre)
    return OcclusionTargets(torch.stack(heatmaps), *_cells(centres, width))


def _inside(points: Tensor, width: int, height: int) -> Tensor:
    """Move points (n, 2) x y into the grid."""
    return torch.minimum(points.clamp(min=0), points.new_tensor((width - 1, height - 1)))


def mark_ignored(heatmap: Tensor, regions: Tensor | None, stride: int) -> Tensor:
    """Set the cells of a heatmap (1, h, w) with their middle in `regions` (k, 4) to `IGNORED`.

    Cells of a person keep their target. Regions are in network pixels.
    """
    if regions is None or not len(regions):
        return heatmap
    height, width = heatmap.shape[1:]
    x = (torch.arange(width) + 0.5) * stride
    y = (torch.arange(height) + 0.5) * stride
    left, top, right, bottom = regions[:, :, None].unbind(1)  # (k, 1) each
    across, down = (x > left) & (x < right), (y > top) & (y < bottom)  # (k, w), (k, h)
    inside = (down[:, :, None] & across[:, None]).any(0)  # (h, w)
    return torch.where(inside & (heatmap <= PERSON_MIN_TARGET), IGNORED, heatmap)


def draw_heatmap(centres: Tensor, sides: Tensor, width: int, height: int) -> Tensor:
    """Draw Gaussians for boxes with `centres` and `sides` (n, 2) in cells: (1, height, width)."""
    heatmap = np.zeros((height, width), np.float32)
    for (x, y), (across, down) in zip(centres.tolist(), sides.tolist(), strict=True):
        draw(heatmap, int(x), int(y), int(radius(math.ceil(across), math.ceil(down))))
    return torch.from_numpy(heatmap)[None]


def _cells(centres: Sequence[Tensor], width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the padded cells (B, k), validity (B, k) and offsets (B, k, 2) of centres (n, 2)."""
    corners = [centre.long() for centre in centres]
    cells = [corner[:, 1] * width + corner[:, 0] for corner in corners]
    valid = [torch.ones_like(cell, dtype=torch.bool) for cell in cells]
    offsets = [centre - corner for centre, corner in zip(centres, corners, strict=True)]
    return (
        pad_sequence(cells, batch_first=True),
        pad_sequence(valid, batch_first=True),
        pad_sequence(offsets, batch_first=True),
    )


def _intersections(boxes: Tensor, threshold: float) -> Tensor:
    """Return the intersections (m, 4) of boxes (n, 4) above `threshold` of the smaller box."""
    a, b = boxes[:, None], boxes[None]  # (n, 1, 4), (1, n, 4)
    first, last = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    area = (last - first).clamp(min=0).prod(-1)  # (n, n)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)  # (n,)
    occluded = (area / torch.minimum(areas[:, None], areas) > threshold).triu(1)
    return torch.cat((first, last), -1)[occluded]
