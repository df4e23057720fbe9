"""Plots of embeddings: a t-SNE map, and matrices of cosines.

The map is FairMOT's Fig. 3 (Zhang, Wang, Wang, Zeng & Liu, IJCV 2021), made by t-SNE (van der
Maaten & Hinton, "Visualizing data using t-SNE", JMLR 2008). The matrices are between the detections
of two frames, and between tracklets and the detections of a frame.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from mottool.drawing.style import COLOURS, MARKERS, VERMILION, new_plot, save_figure
from mottool.errors import SettingError
from mottool.metrics.embedding_similarity import SimilarityMatrix

__all__ = ["draw_cosines", "draw_map", "project_tsne", "separate_colours"]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]

MAX_NUMBERED = 16  # rows or columns of a matrix whose cells show their values
CELL_SIZE = 0.42  # inches
BAR_WIDTH = 0.6  # inches, with its labels
LABEL = np.array([0.045, 0.035])  # half a label's size, as shares of the map's


def project_tsne(embeddings: Floats, seed: int, perplexity: float) -> Floats:
    """Project n > 1 L2-normalised embeddings (n, D) to points (n, 2) by t-SNE.

    `perplexity` is about the number of neighbours that each point keeps; it is reduced for few
    points. The same input gives the same points. Raises `SettingError` without scikit-learn.
    """
    try:
        from sklearn.manifold import TSNE
    except ModuleNotFoundError as error:
        fix = "install it: pip install scikit-learn"
        raise SettingError("the map of embeddings needs scikit-learn", fix) from error
    perplexity = max(min(perplexity, (len(embeddings) - 1) / 3), 0.5)
    start = "pca" if min(embeddings.shape) > 1 else "random"
    tsne = TSNE(2, perplexity=perplexity, init=start, random_state=seed, metric="cosine")
    return np.asarray(tsne.fit_transform(embeddings))


def draw_map(points: Floats, ids: Ints, title: str, path: Path, total: int | None = None) -> Path:
    """Draw points (n, 2) of identities (n,), each identity's number on one of its points.

    `total` is the number of identities of which these are some. Those close to each other differ
    in colour.
    """
    figure, axes = new_plot(6.4, 5.2, title)
    identities = np.unique(ids).tolist()
    clusters = [points[ids == identity] for identity in identities]
    size = np.maximum(np.ptp(points, axis=0), 1e-9)  # of the map
    colours = separate_colours(np.array([np.median(cluster, axis=0) for cluster in clusters]))
    labels: list[Floats] = []
    for index, (identity, cluster) in enumerate(zip(identities, clusters, strict=True)):
        colour, marker = COLOURS[colours[index]], MARKERS[index % len(MARKERS)]
        axes.scatter(
            cluster[:, 0], cluster[:, 1], s=18, color=colour, marker=marker, alpha=0.75,
            linewidths=0,
        )  # fmt: skip
        from_median = np.linalg.norm(cluster - np.median(cluster, axis=0), axis=1)
        nearest = cluster[np.argsort(from_median)]
        labels.append(next((at for at in nearest if _is_free(at, labels, size)), nearest[0]))
        x, y = labels[-1].tolist()
        axes.annotate(
            str(identity), (x, y), ha="center", va="center", weight="bold", color=colour,
            path_effects=[withStroke(linewidth=2.5, foreground="white")], zorder=4,
        )  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    label = f"t-SNE of {len(points)} embeddings, {len(identities)}"
    if total and total > len(identities):
        label += f" of {total} identities (those with most detections)"
    else:
        label += " identities"
    axes.set_xlabel(label, fontsize="small")
    return save_figure(figure, path)


def _is_free(point: Floats, labels: Sequence[Floats], size: Floats) -> bool:
    """Return whether a label at `point` (2,) overlaps none of `labels` on a map of `size` (2,)."""
    return all((abs(point - other) > LABEL * size).any() for other in labels)


def separate_colours(centres: Floats) -> list[int]:
    """Choose an index of `COLOURS` for each centre (k, 2), so that close ones differ.

    A colour and a marker occur together once in as many identities as there are pairs of them.
    """
    chosen: list[int] = []
    for index, centre in enumerate(centres):
        distances = np.linalg.norm(centres[:index] - centre, axis=1)
        cost = np.zeros(len(COLOURS))
        np.add.at(cost, chosen, 1 / (distances + 1e-6))
        for other in range(index % len(MARKERS), index, len(MARKERS)):
            cost[chosen[other]] += 1e9  # it has the same marker
        chosen.append(int(cost.argmin()))
    return chosen


def draw_cosines(
    matrix: SimilarityMatrix, row_label: str, column_label: str, title: str, path: Path
) -> Path:
    """Draw a matrix of cosines (r, c); cells whose row and column are one identity are framed.

    Rows and columns are sorted by identity, so that embeddings that separate the identities show
    a light diagonal on dark. If no identity is known, detections are numbered in their order, and
    cells that are the largest of both their row and their column are framed.
    """
    row_order, column_order = (
        np.argsort(np.where(ids < 0, np.inf, ids), kind="stable")
        for ids in (matrix.rows, matrix.columns)
    )
    cosines = matrix.cosines[row_order][:, column_order]
    row_ids = matrix.rows[row_order].tolist()
    column_ids = matrix.columns[column_order].tolist()
    width, height = (max(2.4, CELL_SIZE * side) for side in cosines.shape[::-1])
    figure, axes = new_plot(width + 1.9, height + 1.1, title)
    low = min(0.0, math.floor(float(cosines.min(initial=0)) * 10) / 10)
    image = axes.imshow(cosines, cmap="cividis", vmin=low, vmax=1, aspect="auto")
    unknown = max(*row_ids, *column_ids, -1) < 0
    columns, rows = (
        [str(n) for n in range(1, len(ids) + 1)] if unknown else [_tick_label(i) for i in ids]
        for ids in (column_ids, row_ids)
    )
    if unknown:
        row_label, column_label = (
            f"{label}: detections from left to right" for label in (row_label, column_label)
        )
        figure.supxlabel("framed: each other's most similar detection", fontsize="small")
    else:
        mark = "; ?: no identity" if min(*row_ids, *column_ids) < 0 else ""
        figure.supxlabel(f"framed: one identity{mark}", fontsize="small")
    axes.set_xticks(range(len(columns)), columns, fontsize="small")
    axes.set_yticks(range(len(rows)), rows, fontsize="small")
    axes.set_ylabel(row_label)
    axes.set_xlabel(column_label)
    for row, row_id in enumerate(row_ids):
        for column, column_id in enumerate(column_ids):
            value = float(cosines[row, column])
            if max(cosines.shape) <= MAX_NUMBERED:
                colour = "black" if value > (1 + low) / 2 else "white"
                axes.text(column, row, f"{value:.2f}".replace("0.", "."), ha="center", va="center",
                          fontsize="x-small", color=colour)  # fmt: skip
            is_mutual = value == max(cosines[row].max(), cosines[:, column].max())
            if (unknown and is_mutual) or row_id == column_id >= 0:
                corner = column - 0.5, row - 0.5
                axes.add_patch(Rectangle(corner, 1, 1, fill=False, color=VERMILION, linewidth=2))
    bar = BAR_WIDTH / (width + 1.9)  # as a share of the figure
    figure.colorbar(image, ax=axes, label="cosine", fraction=bar, pad=0.02, aspect=30)
    return save_figure(figure, path)


def _tick_label(identity: int) -> str:
    return "?" if identity < 0 else str(identity)
