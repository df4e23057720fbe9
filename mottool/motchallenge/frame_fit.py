"""Compare the boxes of a file with the size of the frames that they should be of."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["describe_misfit"]

Floats = npt.NDArray[np.floating[Any]]

BEYOND = 0.1  # of the frame's size: boxes of people who are cut off extend that far past it
MOST_BEYOND = 0.25  # share of boxes that do so
THIN = 1  # pixels, as of scores that are read as heights
CORNER, LEAST_BOXES = 0.7, 50  # boxes of a smaller video fill its part of the frame only


def describe_misfit(boxes: Floats, width: int, height: int) -> str:
    """Return how boxes (n, 4) x1 y1 x2 y2 do not fit frames of `width` by `height` pixels, or "".

    Such boxes are in other pixels, or have other columns than a reader expects.
    """
    if not len(boxes):
        return ""
    largest = (boxes[:, 2:] - boxes[:, :2]).max(axis=0)  # (2,)
    if largest.min() <= THIN:
        side = "wide" if largest[0] <= THIN else "high"
        return f"no box is more than {THIN} pixel {side}; check the columns"
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
