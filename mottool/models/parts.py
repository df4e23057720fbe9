"""Part embeddings: read the identity head at several points on the vertical axis of a box.

The cell of the centre shows little of a partly occluded person. As in Sun, Zheng, Yang, Tian &
Wang, "Beyond part models", ECCV 2018, an embedding therefore consists of several parts: the
L2-normalised embeddings of the points, concatenated and normalised again.
"""

import torch.nn.functional as F
from torch import Tensor

__all__ = ["HEIGHTS", "join_parts", "part_cells"]

HEIGHTS = (-0.2, 0.0, 0.2)  # of the points below the box's centre, in heights of the box


def part_cells(boxes: Tensor, width: int, height: int) -> Tensor:
    """Return the cells (n, 3) of the points of boxes (n, 4), int64, row·width + column.

    Boxes x1 y1 x2 y2 are in cells of a grid of `width` by `height`. The nearest
    cell is used for a point outside the grid.
    """
    x = ((boxes[:, 0] + boxes[:, 2]) / 2).floor().clamp(0, width - 1)  # (n,)
    centre, box_height = (boxes[:, 1] + boxes[:, 3]) / 2, boxes[:, 3] - boxes[:, 1]
    y = centre[:, None] + box_height[:, None] * boxes.new_tensor(HEIGHTS)  # (n, 3)
    return (y.floor().clamp(0, height - 1) * width + x[:, None]).long()


def join_parts(parts: Tensor) -> Tensor:
    """Concatenate the embeddings (n, P, D) of P parts to L2-normalised embeddings (n, P·D)."""
    return F.normalize(F.normalize(parts, dim=2).flatten(1), dim=1)
