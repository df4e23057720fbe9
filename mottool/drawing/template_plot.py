"""Embeddings and templates of one frame, and the matrices of their cosines: CSTrack's Fig. 6.

Liang, Zhang, Zhou, Li, Zhu & Hu, "Rethinking the competition between detection and ReID in
multi-object tracking", IEEE Transactions on Image Processing 31, 2022. Each network is a row of
panels: (b) embeddings of the frame, (c) their cosines, (d) templates, which are the embeddings of
the tracklets before it, (e) their cosines, (f) cosines of embeddings and templates. Panel (a) is
the frame. Colours have the same scale for all networks: red is similar, blue is not.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from mottool.drawing.frame_panel import colours_of_people, draw_people
from mottool.drawing.style import save_figure
from mottool.metrics.embedding_similarity import FrameTemplates

__all__ = ["draw_templates", "panels_of"]

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]

COLOURS = "coolwarm"
PANEL_WIDTH, PANEL_HEIGHT = 2.1, 2.3  # inches
IMAGE_WIDTH = 4.2  # inches
MOST_LABELS = 24  # rows or columns that are numbered


def draw_templates(
    image: Image,
    boxes: Floats,
    ids: Ints,
    networks: Mapping[str, FrameTemplates],
    titles: tuple[str, str],
    path: Path,
) -> Path:
    """Draw the six panels, (b) to (f) once for each of `networks`, into `path`.

    `image` (H, W, 3) BGR is the frame, `boxes` (n, 4) x1 y1 x2 y2 and `ids` (n,) its people.
    `titles` are those of the figure and of panel (a).
    """
    values = {name: panels_of(frame) for name, frame in networks.items()}
    lowest = min(float(v.min()) for panels in values.values() for _, v, *_ in panels[1::2])
    lowest = min(lowest, *(float(panels[4][1].min()) for panels in values.values()))
    cosine = Normalize(min(0.0, np.floor(10 * lowest) / 10), 1)
    size = IMAGE_WIDTH + 5 * PANEL_WIDTH + 0.8, len(values) * PANEL_HEIGHT + 0.6
    figure = Figure(size, layout="constrained")
    figure.suptitle(titles[0], fontsize="medium")
    grid = figure.add_gridspec(len(values), 6, width_ratios=[IMAGE_WIDTH, *[PANEL_WIDTH] * 5])
    colours = colours_of_people([(boxes, ids)])
    draw_people(figure.add_subplot(grid[:, 0]), image, boxes, ids, f"(a) {titles[1]}", colours)
    matrices: list[Axes] = []
    for row, (name, panels) in enumerate(values.items()):
        for column, (title, matrix, rows, columns) in enumerate(panels, 1):
            axes = figure.add_subplot(grid[row, column])
            embeddings = columns is None
            limit = float(np.quantile(np.abs(matrix), 0.99))
            norm = Normalize(-limit, limit) if embeddings else cosine
            axes.imshow(matrix, cmap=COLOURS, norm=norm, aspect="auto", interpolation="nearest")
            if row == 0:
                axes.set_title(f"({'bcdef'[column - 1]}) {title}", fontsize="small")
            _number(axes, rows, columns, matrix)
            if not embeddings:
                matrices.append(axes)
            if column == 1:
                axes.set_ylabel(name, fontsize="small")
    scale = ScalarMappable(cosine, COLOURS)
    figure.colorbar(scale, ax=matrices, label="cosine", shrink=0.8, aspect=30)
    return save_figure(figure, path)


def panels_of(frame: FrameTemplates) -> list[tuple[str, Floats, Ints, Ints | None]]:
    """Return title, values, identities of rows and of columns of the panels (b) to (f).

    Rows and columns are sorted by identity; detections without one are left out. Embeddings (b, d)
    have no identities of columns.
    """
    order = np.argsort(frame.ids, kind="stable")
    order = order[frame.ids[order] >= 0]
    ids, embeddings = frame.ids[order], frame.embeddings[order]  # (n,), (n, D)
    tracklets, templates = frame.tracklets, frame.templates  # (t,), (t, D)
    return [
        ("embeddings", embeddings, ids, None),
        ("their cosines", embeddings @ embeddings.T, ids, ids),
        ("templates", templates, tracklets, None),
        ("their cosines", templates @ templates.T, tracklets, tracklets),
        ("embeddings × templates", embeddings @ templates.T, ids, tracklets),
    ]


def _number(axes: Axes, rows: Ints, columns: Ints | None, matrix: Floats) -> None:
    """Number rows and columns by identity; write the cosines of equal and of different ones."""
    axes.tick_params(length=0, labelsize="x-small")
    axes.set_yticks(range(len(rows)), map(str, rows.tolist()) if len(rows) <= MOST_LABELS else [])
    if columns is None:
        axes.set_xticks([])
        axes.set_xlabel(f"{matrix.shape[1]} dimensions", fontsize="x-small")
        return
    labels = map(str, columns.tolist()) if len(columns) <= MOST_LABELS else []
    axes.set_xticks(range(len(columns)) if labels else [], labels, rotation=90)
    same = rows[:, None] == columns
    texts = [
        f"{word} {matrix[cells].mean():.2f}"
        for word, cells in (("same", same), ("different", ~same))
        if cells.any() and not (word == "same" and rows is columns)
    ]
    axes.set_xlabel("mean: " + ", ".join(texts) if texts else "", fontsize="x-small")
