"""Targets of mottool-s: FairMOT's, learned in the centre's cell and in the four beside it.

Zhang, Wang, Wang, Zeng & Liu, "FairMOT", IJCV 2021, §4.2-4.3. A person's centre is the middle of
what the image shows of the box; the size is that of the whole box. The cells beside the centre
count less. They make a peak that is one cell off hardly worse than one that is not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mottool.data.targets.centre import OcclusionTargets, heatmap_of, ignore, occlusion_targets
from mottool.data.targets.labels import Labels, Targets
from mottool.models.parts import part_cells

__all__ = ["MottoolSTargets", "mottool_s_targets"]

BESIDE = ((1, 0), (-1, 0), (0, 1), (0, -1))  # cells, x y
BESIDE_WEIGHT = 0.25
MIN_SIDE = 3.0  # cells: narrower people are learned in the cell of their centre only
MIN_EMBEDDED = 16.0  # pixels of height: smaller people teach no embedding


@dataclass(frozen=True)
class MottoolSTargets(Targets):
    """What the heads should say of B images with n people in all, who are learned in m cells.

    `heatmap` (B, 1, h, w) as in `CentreTargets`. Of every cell: `images` (m,) and `cells` (m,)
    int64, row·w + column; `people` (m,) int64, the person's row in the tensors below; `weights`
    (m,), which sum to 1; `offset` (m, 2) x y from the cell's corner to the centre. The first n
    cells are those of the centres. Of every person: `centres` (n, 2) x y and `boxes` (n, 4)
    x1 y1 x2 y2, in cells; `parts` (n, 3) int64, the cells where the identity head is read;
    `image_of` (n,) int64; `identities` (n,) int64, -1 where unknown; `embeddings` (n, D), a
    teacher's, or None; `embedded` (n,) bool, who is tall enough to be told apart. `occlusions` as
    in OUTrack.
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
    """The targets of a batch of images of `size` (width, height) network pixels.

    `threshold` is that of `occlusion_targets`.
    """
    width, height = size[0] // stride, size[1] // stride
    heatmaps, centres, boxes, images, identities, taught = [], [], [], [], [], []
    for number, image in enumerate(labels):
        keep = image.with_area
        whole, visible = image.boxes[keep] / stride, _visible(image, size)[keep] / stride  # (n, 4)
        centre = (visible[:, :2] + visible[:, 2:]) / 2  # (n, 2)
        heatmap = heatmap_of(centre, visible[:, 2:] - visible[:, :2], width, height)
        heatmaps.append(ignore(heatmap, image.ignored, stride))
        centres.append(centre)
        boxes.append(whole)
        images.append(torch.full((len(centre),), number))
        identities.append(image.identities[keep])
        if image.embeddings is not None:
            taught.append(image.embeddings[keep])
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
        embeddings=torch.cat(taught) if taught else None,
        occlusions=occlusion_targets(labels, size, stride, threshold),
    )


def _visible(image: Labels, size: tuple[int, int]) -> Tensor:
    """Return what the image shows of its people's boxes, (n, 4) network pixels."""
    if image.visible is not None:
        return image.visible
    last = image.boxes.new_tensor([*size, *size])
    return torch.minimum(image.boxes.clamp(min=0), last)


def _with_neighbours(corner: Tensor, box: Tensor, grid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the cells (m, 2) in which n people are learned, whose they are, and their weights.

    `corner` (n, 2) are the cells of the centres and `grid` (2,) is the last cell of the map.
    """
    everybody = torch.arange(len(corner))
    wide = (box[:, 2:] - box[:, :2]).amin(1) >= MIN_SIDE
    corners, people, weights = [corner], [everybody], [torch.ones(len(corner))]
    for step in BESIDE:
        beside = corner + corner.new_tensor(step)
        inside = wide & (beside >= 0).all(1) & (beside <= grid).all(1)
        corners.append(beside[inside])
        people.append(everybody[inside])
        weights.append(torch.full((int(inside.sum()),), BESIDE_WEIGHT))
    return torch.cat(corners), torch.cat(people), torch.cat(weights)
