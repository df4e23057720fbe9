"""Targets of mottool-s: FairMOT's, in the cell of the centre and the four adjacent cells.

Zhang, Wang, Wang, Zeng & Liu, "FairMOT", IJCV 2021, §4.2-4.3. A person's centre is the middle of
the visible part of the box; the size is that of the full box. Adjacent cells have a lower weight.
They make the box accurate even if a peak is one cell off.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mottool.data.targets.centre import (
    OcclusionTargets,
    draw_heatmap,
    mark_ignored,
    occlusion_targets,
)
from mottool.data.targets.labels import Labels, Targets
from mottool.models.parts import part_cells

__all__ = ["MottoolSTargets", "mottool_s_targets"]

NEIGHBOURS = ((1, 0), (-1, 0), (0, 1), (0, -1))  # cells, x y
NEIGHBOUR_WEIGHT = 0.25
MIN_SIDE = 3.0  # cells: narrower boxes have targets in the cell of their centre only
MIN_EMBEDDED = 16.0  # pixels of height: smaller boxes have no identity target


@dataclass(frozen=True)
class MottoolSTargets(Targets):
    """Targets of the heads for B images with n people in total, in m cells.

    `heatmap` (B, 1, h, w) as in `CentreTargets`. Of every cell: `images` (m,) and `cells` (m,)
    int64, row·w + column; `people` (m,) int64, the person's row in the tensors below; `weights`
    (m,), which sum to 1; `offset` (m, 2) x y from the cell's corner to the centre. The first n
    cells are those of the centres. Of every person: `centres` (n, 2) x y and `boxes` (n, 4)
    x1 y1 x2 y2, in cells; `parts` (n, 3) int64, the cells where the identity head is read;
    `image_of` (n,) int64; `identities` (n,) int64, -1 where unknown; `embeddings` (n, D), a
    teacher's, or None; `embedded` (n,) bool, whether the box is tall enough for an identity target.
    `occlusions` as in OUTrack.
    """

    heatmap: Tensor
    images: Tensor
    cells: Tensor
    people: Tensor
    weights: Tensor
    offset: Tensor
    centres: Tensor
    boxes: Tensor
    parts: Tensor
    image_of: Tensor
    identities: Tensor
    embedded: Tensor
    embeddings: Tensor | None
    occlusions: OcclusionTargets


def mottool_s_targets(
    labels: Sequence[Labels], size: tuple[int, int], stride: int = 4, threshold: float = 0.7
) -> MottoolSTargets:
    """Return the targets of a batch of images of `size` (width, height) network pixels.

    `threshold` is that of `occlusion_targets`.
    """
    width, height = size[0] // stride, size[1] // stride
    heatmaps, centres, boxes, images, identities, embeddings = [], [], [], [], [], []
    for number, image in enumerate(labels):
        keep = image.with_area
        whole, visible = image.boxes[keep] / stride, _visible(image, size)[keep] / stride  # (n, 4)
        centre = (visible[:, :2] + visible[:, 2:]) / 2  # (n, 2)
        heatmap = draw_heatmap(centre, visible[:, 2:] - visible[:, :2], width, height)
        heatmaps.append(mark_ignored(heatmap, image.ignored, stride))
        centres.append(centre)
        boxes.append(whole)
        images.append(torch.full((len(centre),), number))
        identities.append(image.identities[keep])
        if image.embeddings is not None:
            embeddings.append(image.embeddings[keep])
    centre, box, image_of = torch.cat(centres), torch.cat(boxes), torch.cat(images)
    grid = centre.new_tensor((width - 1, height - 1)).long()
    corner = torch.minimum(centre.long().clamp(min=0), grid)  # (n, 2)
    corners, people, weights = _with_neighbours(corner, box, grid)
    return MottoolSTargets(
        heatmap=torch.stack(heatmaps),
        images=image_of[people],
        cells=corners[:, 1] * width + corners[:, 0],
        people=people,
        weights=weights / weights.sum().clamp(min=1e-6),
        offset=centre[people] - corners,
        centres=centre,
        boxes=box,
        parts=part_cells(box, width, height),
        image_of=image_of,
        identities=torch.cat(identities),
        embedded=(box[:, 3] - box[:, 1]) * stride >= MIN_EMBEDDED,
        embeddings=torch.cat(embeddings) if embeddings else None,
        occlusions=occlusion_targets(labels, size, stride, threshold),
    )


def _visible(image: Labels, size: tuple[int, int]) -> Tensor:
    """Return the visible parts of an image's boxes, (n, 4) network pixels."""
    if image.visible is not None:
        return image.visible
    last = image.boxes.new_tensor([*size, *size])
    return torch.minimum(image.boxes.clamp(min=0), last)


def _with_neighbours(corner: Tensor, box: Tensor, grid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the cells (m, 2) of the targets of n people, the row of each person, and weights.

    `corner` (n, 2) are the cells of the centres and `grid` (2,) is the last cell of the map.
    """
    rows = torch.arange(len(corner))
    wide = (box[:, 2:] - box[:, :2]).amin(1) >= MIN_SIDE
    corners, people, weights = [corner], [rows], [torch.ones(len(corner))]
    for step in NEIGHBOURS:
        beside = corner + corner.new_tensor(step)
        inside = wide & (beside >= 0).all(1) & (beside <= grid).all(1)
        corners.append(beside[inside])
        people.append(rows[inside])
        weights.append(torch.full((int(inside.sum()),), NEIGHBOUR_WEIGHT))
    return torch.cat(corners), torch.cat(people), torch.cat(weights)
