"""Gaussian bumps on a heatmap: training targets of centre-point networks.

Law & Deng, "CornerNet: Detecting objects as paired keypoints", ECCV 2018, §3.2 (the radius);
Zhou, Wang & Krähenbühl, "Objects as points", 2019, §3 (the heatmap).
"""

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["draw", "radius"]


Sizes = TypeVar("Sizes", float, npt.NDArray[np.floating[Any]])


def radius(width: Sizes, height: Sizes, min_iou: float = 0.7) -> Sizes:
    """Return the radius of an object's Gaussian, in cells.

    Moving a box's corners outwards by r leaves an IoU of `min_iou` with the true box:
    r = (√(b² + 4ac) - b) / 2a with
    a = 4·min_iou, b = 2·min_iou·(width + height), c = (1 - min_iou)·width·height. CornerNet's
    code divides by 2 instead of by 2a, which makes it 2.8 times as large, and these networks
    were trained with it. (Of the other two cases, corners inwards or to one side, the code takes
    the larger roots, which are never the smallest of the three.)
    """
    b = min_iou * (width + height)
    root: Sizes = np.sqrt(b**2 + 4 * min_iou * (1 - min_iou) * width * height)
    return root - b


def draw(heatmap: npt.NDArray[np.float32], x: int, y: int, radius: int) -> None:
    """Raise `heatmap` (h, w) to a Gaussian of peak 1 around cell `x`, `y`, which lies in it.

    The Gaussian is cut off `radius` cells from its centre, at three standard deviations. Where
    Gaussians overlap, the maximum is kept (Zhou et al. 2019, §3).
    """
    height, width = heatmap.shape
    deviation = (2 * radius + 1) / 6
    left, right = max(x - radius, 0), min(x + radius + 1, width)
    top, bottom = max(y - radius, 0), min(y + radius + 1, height)
    across = np.exp(-((np.arange(left, right) - x) ** 2) / (2 * deviation**2))
    down = np.exp(-((np.arange(top, bottom) - y) ** 2) / (2 * deviation**2))
    window = heatmap[top:bottom, left:right]
    np.maximum(window, down[:, None] * across, out=window)
