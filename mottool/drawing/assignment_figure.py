"""Two frames and, beside them, the matrix that assigns their people to each other.

Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, "Online multi-object tracking with unsupervised
re-identification learning and occlusion estimation", Neurocomputing 2022, Fig. 7.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mottool.drawing.frame_panel import colours_of_people, draw_people
from mottool.drawing.style import BGR, VERMILION, rgb_from_bgr, save_figure

__all__ = ["FramePeople", "draw_assignment"]

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]

UNKNOWN = "#888888"
PLACEHOLDER = "p"
CELL_SIZE = 0.26  # inches
FRAME_WIDTH = 5.0  # inches
MAX_NUMBERED = 24  # people of both frames whose cells show their values


class FramePeople(NamedTuple):
    """The n detections of a frame: `boxes` (n, 4) x1 y1 x2 y2, `ids` (n,), `embeddings` (n, D)."""

    frame: int
    boxes: Floats
    ids: Ints
    embeddings: npt.NDArray[np.float32]


def draw_assignment(
    frames: Sequence[tuple[Image, FramePeople]], matrix: Floats, title: str, path: Path
) -> Path:
    """Draw both frames with their boxes, and M' (n, n) or, with a placeholder, (n, n + 1).

    `frames` are two images (H, W, 3) BGR with their people, n in all, in the order of the matrix.
    White lines separate the frames; cells whose row and column are one identity are framed.
    """
    (_, first), (_, second) = frames
    side = max(3.2, CELL_SIZE * len(matrix))
    height, width = frames[0][0].shape[:2]
    pictures = 2 * (FRAME_WIDTH * height / width + 0.3)  # inches, with their titles
    figure = Figure((FRAME_WIDTH + side + 1.6, max(side, pictures) + 0.9), layout="constrained")
    figure.suptitle(title, fontsize="medium")
    grid = figure.add_gridspec(2, 2, width_ratios=[FRAME_WIDTH, side + 0.8])
    axes = figure.add_subplot(grid[:, 1])
    colours = colours_of_people([(people.boxes, people.ids) for _, people in frames])
    for row, (image, people) in enumerate(frames):
        place = figure.add_subplot(grid[row, 0])
        draw_people(place, image, people.boxes, people.ids, f"frame {people.frame}", colours)
    ids = np.concatenate((first.ids, second.ids))
    highest = math.ceil(10 * float(matrix.max())) / 10
    cells = axes.imshow(matrix, cmap="cividis", vmin=0, vmax=highest, aspect="equal")
    _label(axes, ids, matrix, colours)
    _frame_same(axes, ids, len(first.ids))
    for draw in (axes.axhline, axes.axvline):
        draw(len(first.ids) - 0.5, color="white", linewidth=1.2)
    if matrix.shape[1] > len(ids):
        axes.axvline(len(ids) - 0.5, color="white", linewidth=1.2)
    axes.set_title("M′: assignment of rows to columns", fontsize="small")
    axes.set_xlabel(
        f"frame {first.frame}   |   frame {second.frame}   |   placeholder", fontsize="small"
    )
    axes.set_ylabel(f"frame {second.frame}   |   frame {first.frame}", fontsize="small")
    figure.colorbar(cells, ax=axes, shrink=0.7, aspect=30)
    return save_figure(figure, path)


def _label(axes: Axes, ids: Ints, matrix: Floats, by_identity: Mapping[int, BGR]) -> None:
    """Write identities in their colours beside rows and columns, and values in few cells."""
    names = ["?" if identity < 0 else str(identity) for identity in ids.tolist()]
    colours = [UNKNOWN if i < 0 else rgb_from_bgr(by_identity[i]) for i in ids.tolist()]
    extra = [PLACEHOLDER] * (matrix.shape[1] - len(names))
    axes.set_xticks(range(matrix.shape[1]), [*names, *extra], rotation=90, fontsize="x-small")
    axes.set_yticks(range(len(names)), names, fontsize="x-small")
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        for label, colour in zip(labels, colours, strict=False):
            label.set_color(colour)
            label.set_fontweight("bold")
    axes.tick_params(length=0)
    if len(ids) <= MAX_NUMBERED:
        for (row, column), value in np.ndenumerate(matrix):
            if row != column and value >= 0.01:
                colour = "black" if value > 0.6 * matrix.max() else "white"
                text = f"{value:.2f}".replace("0.", ".")
                axes.text(column, row, text, ha="center", va="center", fontsize=5, color=colour)


def _frame_same(axes: Axes, ids: Ints, first: int) -> None:
    """Frame the cells of one identity in both frames; the first `first` ids are of the first."""
    for row, identity in enumerate(ids.tolist()):
        others = range(first, len(ids)) if row < first else range(first)
        for column in others:
            if identity == ids[column] and identity >= 0:
                corner = column - 0.5, row - 0.5
                axes.add_patch(Rectangle(corner, 1, 1, fill=False, color=VERMILION, linewidth=1.5))
