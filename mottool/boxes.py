"""Convert between box formats, compute intersections and IoU, and compare boxes with frames.

Inside mottool a box is `x1 y1 x2 y2` in pixels of the original frame; arrays are (..., 4).
Files hold `x y w h` (MOTChallenge: left, top, width, height), called tlwh.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["areas", "describe_misfit", "intersection", "iou", "tlwh_from_xyxy", "xyxy_from_tlwh"]

Floats = npt.NDArray[np.floating[Any]]

BEYOND = 0.1  # of the frame's size: boxes of people who are cut off extend that far past it
MOST_BEYOND = 0.25  # share of boxes that do so
CORNER, LEAST_BOXES = 0.7, 50  # boxes of a smaller video fill its part of the frame only
NO_AREA = 1e-30  # square pixels: far below any box, and still a normal float32


def xyxy_from_tlwh(boxes: Floats) -> Floats:
    """Convert left, top, width, height to corners, (..., 4), in the precision of the input."""
    corners = boxes.copy()
    corners[..., 2:] += corners[..., :2]
    return corners


def tlwh_from_xyxy(boxes: Floats) -> Floats:
    """Convert corners to left, top, width, height, (..., 4), in the precision of the input."""
    sides = boxes.copy()
    sides[..., 2:] -= sides[..., :2]
    return sides


def intersection(a: Floats, b: Floats, border: float = 0.0) -> Floats:
    """Compute pairwise intersection areas in square pixels, (A, 4) and (B, 4) to (A, B).

    `border` is added to every width and height: 1 counts pixels between integer corners
    inclusively, as the authors' trackers do.
    """
    # Coordinates first in memory, which is up to seven times as fast.
    a, b = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)
    a, b = a[:, :, None], b[:, None, :]  # (4, A, 1), (4, 1, B)
    sides = np.minimum(a[2:], b[2:])  # (2, A, B)
    sides -= np.maximum(a[:2], b[:2])
    if border:
        sides += border
    np.maximum(sides, 0, out=sides)
    shared: Floats = sides[0] * sides[1]  # (A, B)
    return shared


def iou(a: Floats, b: Floats, border: float = 0.0) -> Floats:
    """Compute pairwise intersection over union in [0, 1], (A, 4) and (B, 4) to (A, B).

    A box without area has an IoU of 0 with every box. `border` as in `intersection`.
    """
    overlaps = intersection(a, b, border)
    union = areas(a, border)[:, None] + areas(b, border)  # (A, B)
    union -= overlaps
    np.maximum(union, NO_AREA, out=union)
    overlaps /= union
    return overlaps


def areas(boxes: Floats, border: float = 0.0) -> Floats:
    """Compute areas (n,) of boxes (n, 4) in square pixels. `border` as in `intersection`."""
    corners = boxes.T
    sides = corners[2:] - corners[:2]  # (2, n)
    if border:
        sides += border
    product: Floats = sides[0] * sides[1]  # (n,)
    return product


def describe_misfit(boxes: Floats, width: int, height: int) -> str:
    """Return how boxes (n, 4) x1 y1 x2 y2 do not fit frames of `width` by `height` pixels, or "".

    Such boxes are in other pixels, or have other columns than a reader expects.
    """
    if not len(boxes):
        return ""
    size, frame = np.array([width, height]), f"the picture of {width}x{height}"
    if not ((boxes[:, :2] < size) & (boxes[:, 2:] > 0)).all(axis=1).any():
        return f"no box is inside {frame}; check the unit and the columns"
    low, high = boxes[:, :2] < -BEYOND * size, boxes[:, 2:] > (1 + BEYOND) * size
    beyond = int((low | high).any(axis=1).sum())
    if beyond > MOST_BEYOND * len(boxes):
        problem = f"{beyond} of {len(boxes)} boxes extend far past {frame}"
        return f"{problem}; check the unit, and that the columns are left, top, width, height"
    extent = boxes[:, 2:].max(axis=0)  # (2,)
    if len(boxes) >= LEAST_BOXES and (extent <= CORNER * size).all():
        used = "x".join(f"{side:.0f}" for side in extent)
        problem = f"all {len(boxes)} boxes are in the upper left {used} pixels of {frame}"
        return f"{problem}; check that they are of a video of this size"
    return ""
