"""Plot of a `tune` search: the best score over time, and the score over each setting."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mottool.drawing.style import BLUE, VERMILION, save_figure
from mottool.tuning.search_space import Axis
from mottool.tuning.trials import Trial

__all__ = ["draw_search"]

GREY = "#767676"
COLUMNS = 3
WIDTH, HEIGHT = 3.6, 2.8  # inches of one panel
DPI = 150


def draw_search(trials: Sequence[Trial], space: Sequence[Axis], objective: str, out: Path) -> Path:
    """Draw at least one trial to the PNG file `out`: a panel over time, and one for each axis.

    The best trial is marked in each panel. `objective` is one of the trials' metrics, shown in
    per cent.
    """
    trials = sorted(trials, key=lambda trial: trial.number)
    scores = np.array([100 * trial.figures[objective] for trial in trials])  # (n,)
    best = int(scores.argmax())
    columns = min(COLUMNS, len(space) + 1)
    rows = -(-(len(space) + 1) // columns)
    figure = Figure(figsize=(WIDTH * columns, HEIGHT * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    _draw_progress(panels[0], [trial.number for trial in trials], scores, best)
    for panel, axis in zip(panels[1:], space, strict=False):
        _draw_effect(panel, axis, [trial.point[axis.name] for trial in trials], scores, best)
    for panel in panels[len(space) + 1 :]:
        panel.set_axis_off()
    for panel in panels[: len(space) + 1]:
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelleft=True)
        panel.set_ylabel(f"{objective} (%)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    return save_figure(figure, out, DPI)


def _draw_progress(panel: Axes, numbers: list[int], scores: Any, best: int) -> None:
    """Draw the score of each trial and the best score so far."""
    best_so_far = np.maximum.accumulate(scores)
    panel.scatter(numbers, scores, s=14, color=BLUE, alpha=0.6, linewidths=0, label="trial")
    panel.step(numbers, best_so_far, where="post", color=GREY, linewidth=1.2, label="best so far")
    _mark_best(panel, numbers[best], scores[best])
    panel.set_xlabel("trial")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_effect(panel: Axes, axis: Axis, values: list[Any], scores: Any, best: int) -> None:
    """Draw the scores over the values of one setting, non-numbers in the order of the axis."""
    positions = values
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        categories = list(axis.values)
        positions = [categories.index(value) for value in values]
        panel.set_xticks(range(len(categories)), [str(value) for value in categories])
        panel.margins(x=0.2)
    panel.scatter(positions, scores, s=14, color=BLUE, alpha=0.6, linewidths=0)
    _mark_best(panel, positions[best], scores[best])
    panel.set_xlabel(axis.name)


def _mark_best(panel: Axes, position: float, score: float) -> None:
    """Mark the best trial by shape as well as by colour."""
    panel.scatter(
        [position], [score], s=90, marker="*", color=VERMILION, edgecolors="black", linewidths=0.6,
        zorder=3, label="best",
    )  # fmt: skip
