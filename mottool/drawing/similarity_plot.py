"""A query crop beside a later frame, which is covered by its similarity maps.

Wang, Zheng, Liu, Li & Wang, "Towards Real-Time Multi-Object Tracking", ECCV 2020, Fig. 4.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from mottool.drawing.style import VERMILION, save_figure
from mottool.errors import InputError

__all__ = ["crop", "draw_similarity"]

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

MAX_WIDTH = 9.6, 13.0  # inches, of a figure with one map and with two
MAX_HEIGHT = 4.6  # inches, of the later frame
QUERY_WIDTH = 1.5  # inches, approximately
MARGINS = 1.2, 0.9  # inches, of the figure around the two images
OPACITY = 0.7  # of the map
SCALE, COLOURS = Normalize(0, 1), "cividis"  # of cosines


def crop(image: Image, box: Floats) -> Image:
    """Crop a frame (H, W, 3) to all pixels that a box (4,) x1 y1 x2 y2 touches, at least one.

    Raises `InputError` if the box is outside the frame.
    """
    height, width = image.shape[:2]
    left, top = np.floor(np.clip(box[:2], 0, None)).astype(int).tolist()
    right, bottom = np.ceil(np.minimum(box[2:], [width, height])).astype(int).tolist()
    if left >= right or top >= bottom:
        coordinates = ", ".join(f"{side:g}" for side in box)
        problem = f"the person's box ({coordinates}) is not in the frame of {width}x{height}"
        raise InputError(problem, "give a box in pixels of the frame, or another frame")
    return image[top:bottom, left:right]


def draw_similarity(
    query: Image,
    frame: Image,
    maps: Mapping[str, Floats],
    names: tuple[str, str],
    title: str,
    path: Path,
) -> Path:
    """Draw a `query` (h, w, 3) and a `frame` (H, W, 3), both BGR, with `maps` of cosines (H, W).

    The frame is drawn once for each of the `maps`, which are named for what is compared. `names`
    are those of the two images. The frame is grey, so that only a map has colours, on the same
    scale in every plot. A ring marks the maximum.
    """
    height, width = frame.shape[:2]
    room = MAX_WIDTH[min(len(maps), 2) - 1] - QUERY_WIDTH - MARGINS[0]
    frame_width = min(room / len(maps), MAX_HEIGHT * width / height)
    size = (
        frame_width * len(maps) + QUERY_WIDTH + MARGINS[0],
        frame_width * height / width + MARGINS[1],
    )
    figure = Figure(size, layout="constrained")
    figure.suptitle(title, fontsize="medium")
    ratios = (QUERY_WIDTH, *[frame_width] * len(maps))
    query_axes, *frame_axes = figure.subplots(1, 1 + len(maps), width_ratios=ratios)
    query_axes.imshow(cv2.cvtColor(query, cv2.COLOR_BGR2RGB))
    query_axes.set_title(f"query, {names[0]}", fontsize="small")
    for axes, (compared, cosines) in zip(frame_axes, maps.items(), strict=True):
        row, column = _draw_map(axes, frame, cosines)
        maximum = f"most alike, {cosines.max():.2f}, at x {column}, y {row}"
        axes.set_title(f"{compared}, {names[1]}:\n{maximum}", fontsize="small")
    for axes in (query_axes, *frame_axes):
        axes.set_xticks([])
        axes.set_yticks([])
    extend = "min" if min(cosines.min() for cosines in maps.values()) < 0 else "neither"
    figure.colorbar(ScalarMappable(SCALE, COLOURS), ax=frame_axes, label="cosine", extend=extend)
    return save_figure(figure, path)


def _draw_map(axes: Axes, frame: Image, cosines: Floats) -> tuple[int, int]:
    """Draw cosines (H, W) over a grey frame (H, W, 3); return row and column of the maximum."""
    axes.imshow(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), cmap="gray", vmin=0, vmax=255)
    axes.imshow(cosines, cmap=COLOURS, norm=SCALE, alpha=OPACITY)
    row, column = divmod(int(cosines.argmax()), cosines.shape[1])
    axes.plot(
        column, row, "o", markersize=14, markerfacecolor="none", markeredgecolor=VERMILION,
        markeredgewidth=2, path_effects=[withStroke(linewidth=4, foreground="white")],
    )  # fmt: skip
    return row, column
