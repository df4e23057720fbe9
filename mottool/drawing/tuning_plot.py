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

    In each panel the best trial is marked, lines show the score and the value of trial 0, which has
    the default settings, and ticks at the bottom the trials that were stopped. `objective` is one
    of the trials' metrics, shown in per cent.
    """
    trials = sorted(trials, key=lambda trial: trial.number)
    columns = min(COLUMNS, len(space) + 1)
    rows = -(-(len(space) + 1) // columns)
    figure = Figure(figsize=(WIDTH * columns, HEIGHT * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    panels[0].set_xlabel("trial")
    panels[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    _draw_best_so_far(panels[0], trials, objective)
    _draw_trials(panels[0], trials, [trial.number for trial in trials], objective)
    for panel, axis in zip(panels[1:], space, strict=False):
        positions = _positions(panel, axis, [trial.point[axis.name] for trial in trials])
        panel.set_xlabel(axis.name)
        _draw_trials(panel, trials, positions, objective)
        if trials[0].number == 0:
            panel.axvline(positions[0], color=GREY, linestyle="--", linewidth=1, zorder=0)
    for panel in panels[len(space) + 1 :]:
        panel.set_axis_off()
    for panel in panels[: len(space) + 1]:
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelleft=True)
        panel.set_ylabel(f"{objective} (%)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    return save_figure(figure, out, DPI)


def _draw_trials(
    panel: Axes, trials: Sequence[Trial], positions: Sequence[float], objective: str
) -> None:
    """Draw the score of each trial at its position, the start's as a line, the best as a star."""
    complete = [index for index, trial in enumerate(trials) if not trial.stopped]
    scores = {index: 100 * trials[index].figures[objective] for index in complete}
    best = max(complete, key=lambda index: (scores[index], -index))
    panel.scatter(
        [positions[index] for index in complete], [scores[index] for index in complete],
        s=14, color=BLUE, alpha=0.6, linewidths=0, label="trial",
    )  # fmt: skip
    stopped = [positions[index] for index, trial in enumerate(trials) if trial.stopped]
    if stopped:
        panel.plot(
            stopped, [0.02] * len(stopped), "|", color=BLUE, markersize=7, clip_on=False,
            transform=panel.get_xaxis_transform(), label="stopped early",
        )  # fmt: skip
    if trials[0].number == 0:
        panel.axhline(
            scores[0], color=GREY, linestyle="--", linewidth=1, zorder=0, label="default settings"
        )
    # The best trial is marked by shape as well as by colour.
    panel.scatter(
        [positions[best]], [scores[best]], s=90, marker="*", color=VERMILION, edgecolors="black",
        linewidths=0.6, zorder=3, label="best",
    )  # fmt: skip


def _draw_best_so_far(panel: Axes, trials: Sequence[Trial], objective: str) -> None:
    """Draw the highest score up to each complete trial."""
    complete = [trial for trial in trials if not trial.stopped]
    scores = np.maximum.accumulate([100 * trial.figures[objective] for trial in complete])
    panel.step(
        [trial.number for trial in complete], scores, where="post", color=GREY, linewidth=1.2,
        label="best so far",
    )  # fmt: skip


def _positions(panel: Axes, axis: Axis, values: list[Any]) -> list[float]:
    """Return where values of a setting are drawn, non-numbers in the order of the axis."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return values
    categories = list(dict.fromkeys([*axis.values, *values]))
    panel.set_xticks(range(len(categories)), [str(value) for value in categories])
    panel.margins(x=0.2)
    return [categories.index(value) for value in values]
