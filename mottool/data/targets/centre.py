"""Targets of the centre-point networks: FairMOT, OUTrack and their like.

Zhang, Wang, Wang, Zeng & Liu, "FairMOT", IJCV 2021, §4.2-4.3: a Gaussian on the heatmap at each
person's centre, and in that cell the offset, the box and the identity. Liu, Chen, Chu, Yuan, Liu,
Zhang & Yu, Neurocomputing 2022 (OUTrack), occlusion estimation: the same for the centres of what
two boxes share.
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
    "heatmap_of",
    "ignore",
    "occlusion_targets",
]

# In the focal loss a cell weighs (1 - target)⁴ unless it is a centre, whose target is exactly 1.
IGNORED = 1 - 1e-5
NEAR = 0.3  # a cell whose target is above this belongs to a person, who may stand before a region


@dataclass(frozen=True)
class CentreTargets(Targets):
    """What the heads should say of B images, the most crowded of which shows k people.

    `heatmap` (B, 1, h, w) float32 in [0, 1], exactly 1 at centres and `IGNORED` in regions to
    ignore; `cells` (B, k) int64, row·w + column; `valid` (B, k) bool, where there is a person;
    `offset` (B, k, 2) x y of the centre in its cell; `size` (B, k, 4) left, top, right, bottom or
    (B, k, 2) width, height, in cells; `identities` (B, k) int64, -1 where unknown.
    """

    heatmap: Tensor
    cells: Tensor
    valid: Tensor
    offset: Tensor
    size: Tensor
    identities: Tensor


@dataclass(frozen=True)
class OcclusionTargets(Targets):
    """Where people hide each other in B images, k times in the worst; as in `CentreTargets`."""

    heatmap: Tensor
    cells: Tensor
    valid: Tensor
    offset: Tensor


def centre_targets(
    labels: Sequence[Labels], size: tuple[int, int], stride: int = 4, ltrb: bool = True
) -> CentreTargets:
    """The targets of a batch of images of `size` (width, height) network pixels.

    A centre outside the image is taken to the nearest cell. With `ltrb` a box is its four
    distances from that centre, so that it is whole however much of it the image cuts off; else
    its width and height.
    """
    width, height = size[0] // stride, size[1] // stride
    heatmaps, centres, sizes, identities = [], [], [], []
    for image in labels:
        boxes = image.boxes[image.with_area] / stride  # (n, 4)
        sides = boxes[:, 2:] - boxes[:, :2]
        centre = _inside((boxes[:, :2] + boxes[:, 2:]) / 2, width, height)  # (n, 2)
        distances = torch.cat((centre - boxes[:, :2], boxes[:, 2:] - centre), 1)  # (n, 4)
        heatmap = heatmap_of(centre, sides, width, height)
        heatmaps.append(ignore(heatmap, image.ignored, stride))
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
    """The occlusion centres of a batch of images of `size` (width, height) network pixels.

    Two people hide each other where their boxes share more than `threshold` (the paper's τ) of
    the smaller one; the centre is the middle of what they share within the image.
    """
    width, height = size[0] // stride, size[1] // stride
    heatmaps, centres = [], []
    for image in labels:
        boxes = image.boxes[image.with_area] / stride  # (n, 4)
        half = (boxes[:, 2:] - boxes[:, :2]) / 2
        centre = _inside((boxes[:, :2] + boxes[:, 2:]) / 2, width, height)
        shared = _shared(torch.cat((centre - half, centre + half), 1), threshold)  # (m, 4)
        first, last = (_inside(corner, width, height) for corner in (shared[:, :2], shared[:, 2:]))
        centre = (first + last) / 2
        heatmaps.append(heatmap_of(centre, last - first, width, height))
        centres.append(centre)
    return OcclusionTargets(torch.stack(heatmaps), *_cells(centres, width))


def _inside(points: Tensor, width: int, height: int) -> Tensor:
    """Points (n, 2) x y moved into the grid."""
    return torch.minimum(points.clamp(min=0), points.new_tensor((width - 1, height - 1)))


def ignore(heatmap: Tensor, regions: Tensor | None, stride: int) -> Tensor:
    """Set the cells of a heatmap (1, h, w) whose middles lie in `regions` (k, 4) to `IGNORED`.

    Cells that belong to a person stay as they are. Regions are in network pixels.
    """
    if regions is None or not len(regions):
        return heatmap
    height, width = heatmap.shape[1:]
    x = (torch.arange(width) + 0.5) * stride
    y = (torch.arange(height) + 0.5) * stride
    left, top, right, bottom = regions[:, :, None].unbind(1)  # (k, 1) each
    across, down = (x > left) & (x < right), (y > top) & (y < bottom)  # (k, w), (k, h)
    inside = (down[:, :, None] & across[:, None]).any(0)  # (h, w)
    return torch.where(inside & (heatmap <= NEAR), IGNORED, heatmap)


def heatmap_of(centres: Tensor, sides: Tensor, width: int, height: int) -> Tensor:
    """Draw Gaussians for objects with `centres` and `sides` (n, 2) in cells: (1, height, width)."""
    heatmap = np.zeros((height, width), np.float32)
    for (x, y), (across, down) in zip(centres.tolist(), sides.tolist(), strict=True):
        draw(heatmap, int(x), int(y), int(radius(math.ceil(across), math.ceil(down))))
    return torch.from_numpy(heatmap)[None]


def _cells(centres: Sequence[Tensor], width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of every image's centres (n, 2): cells (B, k), which are any, (B, k), offsets (B, k, 2)."""
    corners = [centre.long() for centre in centres]
    cells = [corner[:, 1] * width + corner[:, 0] for corner in corners]
    valid = [torch.ones_like(cell, dtype=torch.bool) for cell in cells]
    offsets = [centre - corner for centre, corner in zip(centres, corners, strict=True)]
    return (
        pad_sequence(cells, batch_first=True),
        pad_sequence(valid, batch_first=True),
        pad_sequence(offsets, batch_first=True),
    )


def _shared(boxes: Tensor, threshold: float) -> Tensor:
    """What each two of `boxes` (n, 4) share, if above `threshold` of the smaller: (m, 4)."""
    a, b = boxes[:, None], boxes[None]  # (n, 1, 4), (1, n, 4)
    first, last = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    area = (last - first).clamp(min=0).prod(-1)  # (n, n)
    own = (boxes[:, 2:] - boxes[:, :2]).prod(1)  # (n,)
    hiding = (area / torch.minimum(own[:, None], own) > threshold).triu(1)
    return torch.cat((first, last), -1)[hiding]
