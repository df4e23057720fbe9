"""Part-based embeddings: read the identity head at points down the vertical axis of a box.

The centre cell alone shows little of a partly occluded person. As in Sun, Zheng, Yang, Tian &
Wang, "Beyond part models", ECCV 2018, a person is therefore described by several parts. The
unit-length embeddings of the points are concatenated into one vector of unit length.
"""

import torch.nn.functional as F
from torch import Tensor

__all__ = ["HEIGHTS", "joined", "part_cells"]

HEIGHTS = (
    -0.2,
    0.0,
    0.2,
)  # vertical offsets of the points from the box centre, as fractions of its height


def part_cells(boxes: Tensor, width: int, height: int) -> Tensor:
    """Return the cells (n, 3) of the points of boxes (n, 4), int64, row·width + column.

    Boxes x1 y1 x2 y2 are in cells of a grid of `width` by `height`. A point outside the grid
    uses the nearest cell.
    """
    x = ((boxes[:, 0] + boxes[:, 2]) / 2).floor().clamp(0, width - 1)  # (n,)
    middle, tall = (boxes[:, 1] + boxes[:, 3]) / 2, boxes[:, 3] - boxes[:, 1]
    y = middle[:, None] + tall[:, None] * boxes.new_tensor(HEIGHTS)  # (n, 3)
    return (y.floor().clamp(0, height - 1) * width + x[:, None]).long()


def joined(parts: Tensor) -> Tensor:
    """Return unit embeddings (n, P·D) of people whose P parts have the embeddings (n, P, D)."""
    return F.normalize(F.normalize(parts, dim=2).flatten(1), dim=1)
