"""Embeddings on paper: a map of who looks like whom, and matrices of cosines.

The map is FairMOT's Fig. 3 (Zhang, Wang, Wang, Zeng & Liu, IJCV 2021), made by t-SNE (van der
Maaten & Hinton, "Visualizing data using t-SNE", JMLR 2008). The matrices are those of CSTrack's
Fig. 6 (Liang, Zhang, Zhou, Li, Zhu & Hu, TIP 2022), between two frames, and of OUTrack's Fig. 7
(Liu et al., Neurocomputing 2022), between tracklets and the detections of a frame.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from mottool.drawing.style import save, style_of
from mottool.errors import SettingError
from mottool.metrics.embedding_similarity import SimilarityMatrix

__all__ = ["draw_cosines", "draw_map", "flat"]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]

TOLD = 16  # rows or columns up to which the cells of a matrix hold their numbers
MARK = "#d55e00"
CELL = 0.42  # inches


def flat(embeddings: Floats, seed: int, perplexity: float) -> Floats:
    """Points (n, 2) for embeddings (n, D) of unit length, near each other where those are.

    n is above 1. `perplexity` is about how many neighbours each point keeps; few points keep
    fewer. The same input gives the same map. A `SettingError` without scikit-learn.
    """
    try:
        from sklearn.manifold import TSNE
    except ModuleNotFoundError as error:
        fix = "install it: pip install 'mottool[plots]'"
        raise SettingError("the map of embeddings needs scikit-learn", fix) from error
    some = min(perplexity, (len(embeddings) - 1) / 3)
    start = "pca" if min(embeddings.shape) > 1 else "random"
    made = TSNE(2, perplexity=max(some, 0.5), init=start, random_state=seed, metric="cosine")
    return np.asarray(made.fit_transform(embeddings))


def draw_map(points: Floats, ids: Ints, title: str, path: Path) -> Path:
    """Draw points (n, 2) of the identities (n,), each with its number where most of its are."""
    figure = Figure((6.4, 5.2), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize="medium")
    people = np.unique(ids).tolist()
    for place, identity in enumerate(people):
        own = points[ids == identity]  # (k, 2)
        colour, shape = style_of(place)
        axes.scatter(
            own[:, 0], own[:, 1], s=18, color=colour, marker=shape, alpha=0.75, linewidths=0
        )
        middle = np.median(own, axis=0)
        nearest = own[np.linalg.norm(own - middle, axis=1).argmin()]
        axes.annotate(
            str(identity), nearest, ha="center", va="center", weight="bold", color=colour,
            path_effects=[withStroke(linewidth=2.5, foreground="white")], zorder=4,
        )  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    told = f"t-SNE of {len(points)} embeddings, {len(people)} identities"
    axes.set_xlabel(told, fontsize="small")
    return save(figure, path)


def draw_cosines(found: SimilarityMatrix, rows: str, columns: str, title: str, path: Path) -> Path:
    """Draw a matrix of cosines (r, c), its sides named; what is framed is of one identity.

    Both sides are sorted by identity, so that a network that tells people apart shows a light
    diagonal on dark.
    """
    by_row, by_column = (
        np.argsort(np.where(ids < 0, np.inf, ids), kind="stable")
        for ids in (found.rows, found.columns)
    )
    cosines = found.cosines[by_row][:, by_column]
    left, below = found.rows[by_row].tolist(), found.columns[by_column].tolist()
    width, height = (max(2.4, CELL * side) for side in cosines.shape[::-1])
    figure = Figure((width + 1.9, height + 1.1), layout="constrained")
    axes = figure.subplots()
    low = min(0.0, math.floor(float(cosines.min(initial=0)) * 10) / 10)
    shown = axes.imshow(cosines, cmap="cividis", vmin=low, vmax=1, aspect="auto")
    axes.set_title(title, fontsize="medium")
    axes.set_xticks(range(len(below)), [_named(i) for i in below], rotation=90, fontsize="small")
    axes.set_yticks(range(len(left)), [_named(i) for i in left], fontsize="small")
    axes.set_ylabel(rows)
    axes.set_xlabel(columns)
    for row, identity in enumerate(left):
        for column, other in enumerate(below):
            value = float(cosines[row, column])
            if max(cosines.shape) <= TOLD:
                ink = "black" if value > (1 + low) / 2 else "white"
                axes.text(column, row, f"{value:.2f}".replace("0.", "."), ha="center", va="center",
                          fontsize="x-small", color=ink)  # fmt: skip
            if identity == other >= 0:
                place = column - 0.5, row - 0.5
                axes.add_patch(Rectangle(place, 1, 1, fill=False, color=MARK, linewidth=2))
    figure.colorbar(shown, ax=axes, label="cosine")
    return save(figure, path)


def _named(identity: int) -> str:
    return "?" if identity < 0 else str(identity)
