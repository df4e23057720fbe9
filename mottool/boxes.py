"""The one box format, and the two it is converted from and to at the edges.

Inside mottool a box is `x1 y1 x2 y2` in pixels of the original frame; arrays are (..., 4).
Files hold `x y w h` (MOTChallenge: left, top, width, height), here called tlwh.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["intersection", "iou", "tlwh_from_xyxy", "xyxy_from_tlwh"]

Floats = npt.NDArray[np.floating[Any]]


def xyxy_from_tlwh(boxes: Floats) -> Floats:
    """Corners from left, top, width, height, (..., 4), in the precision of the input."""
    corners = boxes.copy()
    corners[..., 2:] += corners[..., :2]
    return corners


def tlwh_from_xyxy(boxes: Floats) -> Floats:
    """Left, top, width, height from corners, (..., 4), in the precision of the input."""
    sides = boxes.copy()
    sides[..., 2:] -= sides[..., :2]
    return sides


def intersection(a: Floats, b: Floats, border: float = 0.0) -> Floats:
    """Pairwise intersection areas, (A, 4) with (B, 4) to (A, B), in square pixels.

    `border` is added to every width and height: 1 counts pixels between integer corners
    inclusively, as the authors' trackers do.
    """
    a, b = a[:, None], b[None, :]  # (A, 1, 4), (1, B, 4)
    width = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0]) + border
    height = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1]) + border
    shared: Floats = np.maximum(width, 0) * np.maximum(height, 0)  # (A, B)
    return shared


def iou(a: Floats, b: Floats, border: float = 0.0) -> Floats:
    """Pairwise intersection over union in [0, 1], (A, 4) with (B, 4) to (A, B).

    Two boxes without area overlap nothing: their IoU is 0. `border` as in `intersection`.
    """
    shared = intersection(a, b, border)
    area_a = (a[:, 2] - a[:, 0] + border) * (a[:, 3] - a[:, 1] + border)
    area_b = (b[:, 2] - b[:, 0] + border) * (b[:, 3] - b[:, 1] + border)
    union = area_a[:, None] + area_b[None, :] - shared
    overlap: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap
