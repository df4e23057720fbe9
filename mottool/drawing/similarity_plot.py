"""A person beside a later frame, and over that how like the person every place of it is.

Wang, Zheng, Liu, Li & Wang, "Towards Real-Time Multi-Object Tracking", ECCV 2020, Fig. 4.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from mottool.drawing.style import save
from mottool.errors import InputError

__all__ = ["cut", "draw_similarity"]

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

WIDTH, HEIGHT = 9.6, 4.6  # inches, at most, of the whole and of the later frame
QUERY = 1.5  # inches, about, of the person's width
VEIL = 0.7  # how opaque the map is
MARK = "#d55e00"


def cut(image: Image, box: Floats) -> Image:
    """The pixels of a frame (H, W, 3) in a box (4,) x1 y1 x2 y2: all that it touches, one at least.

    An `InputError` if the box lies outside the frame.
    """
    height, width = image.shape[:2]
    left, top = np.floor(np.clip(box[:2], 0, None)).astype(int).tolist()
    right, bottom = np.ceil(np.minimum(box[2:], [width, height])).astype(int).tolist()
    if left >= right or top >= bottom:
        told = ", ".join(f"{side:g}" for side in box)
        problem = f"the person's box ({told}) is not in the frame of {width}x{height}"
        raise InputError(problem, "give a box in pixels of the frame, or another frame")
    return image[top:bottom, left:right]


def draw_similarity(
    query: Image, frame: Image, cosines: Floats, names: tuple[str, str], title: str, path: Path
) -> Path:
    """Draw a `query` (h, w, 3) and the `frame` (H, W, 3), both BGR, with its `cosines` (H, W).

    `names` are those of the frames that they are from. The frame is grey, so that only the map has
    colours, of one scale in every figure; a ring marks its highest place.
    """
    height, width = frame.shape[:2]
    wide = min(WIDTH - QUERY - 1.2, HEIGHT * width / height)
    figure = Figure((wide + QUERY + 1.2, wide * height / width + 0.9), layout="constrained")
    figure.suptitle(title, fontsize="medium")
    left, right = figure.subplots(1, 2, width_ratios=(QUERY, wide))
    left.imshow(cv2.cvtColor(query, cv2.COLOR_BGR2RGB))
    left.set_title(f"query, {names[0]}", fontsize="small")
    right.imshow(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), cmap="gray", vmin=0, vmax=255)
    scale = ScalarMappable(Normalize(0, 1), "cividis")
    right.imshow(cosines, cmap=scale.cmap, norm=scale.norm, alpha=VEIL)
    row, column = np.unravel_index(cosines.argmax(), cosines.shape)
    right.plot(
        column, row, "o", markersize=14, markerfacecolor="none", markeredgecolor=MARK,
        markeredgewidth=2, path_effects=[withStroke(linewidth=4, foreground="white")],
    )  # fmt: skip
    best = f"most alike, {cosines.max():.2f}, at x {column}, y {row}"
    right.set_title(f"{names[1]}: {best}", fontsize="small")
    for axes in (left, right):
        axes.set_xticks([])
        axes.set_yticks([])
    below = "min" if cosines.min() < 0 else "neither"
    figure.colorbar(scale, ax=right, label="cosine", extend=below)
    return save(figure, path)
