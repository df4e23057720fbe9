"""A search for settings as a picture: how the best grew, and what each setting did to the score.

Colours are Okabe and Ito's, told apart by colour-blind readers ("Color Universal Design", 2008).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mottool.files import atomic_write
from mottool.tuning.search_space import Axis
from mottool.tuning.trials import Trial

__all__ = ["draw"]

BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#767676"
COLUMNS = 3
WIDTH, HEIGHT = 3.6, 2.8  # inches of one panel
DOTS = 150  # an inch


def draw(trials: Sequence[Trial], space: Sequence[Axis], objective: str, out: Path) -> Path:
    """Draw at least one trial to the PNG file `out`: a panel for time, one for each axis.

    The best trial is marked in each; `objective` is one of its figures, shown in per cent.
    """
    trials = sorted(trials, key=lambda trial: trial.number)
    scores = np.array([100 * trial.figures[objective] for trial in trials])  # (n,)
    best = int(scores.argmax())
    columns = min(COLUMNS, len(space) + 1)
    rows = -(-(len(space) + 1) // columns)
    figure = Figure(figsize=(WIDTH * columns, HEIGHT * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    _progress(panels[0], [trial.number for trial in trials], scores, best)
    for panel, axis in zip(panels[1:], space, strict=False):
        _effect(panel, axis, [trial.point[axis.name] for trial in trials], scores, best)
    for panel in panels[len(space) + 1 :]:
        panel.set_axis_off()
    for panel in panels[: len(space) + 1]:
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelleft=True)
        panel.set_ylabel(f"{objective} (%)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    with atomic_write(out) as part:
        figure.savefig(part, dpi=DOTS)
    return out


def _progress(panel: Axes, numbers: list[int], scores: Any, best: int) -> None:
    reached = np.maximum.accumulate(scores)
    panel.scatter(numbers, scores, s=14, color=BLUE, alpha=0.6, linewidths=0, label="trial")
    panel.step(numbers, reached, where="post", color=GREY, linewidth=1.2, label="best so far")
    _mark(panel, numbers[best], scores[best])
    panel.set_xlabel("trial")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))


def _effect(panel: Axes, axis: Axis, values: list[Any], scores: Any, best: int) -> None:
    """Scores over the values of one setting; what is no number stands in the axis's order."""
    places = values
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        listed = list(axis.values)
        places = [listed.index(value) for value in values]
        panel.set_xticks(range(len(listed)), [str(value) for value in listed])
        panel.margins(x=0.2)
    panel.scatter(places, scores, s=14, color=BLUE, alpha=0.6, linewidths=0)
    _mark(panel, places[best], scores[best])
    panel.set_xlabel(axis.name)


def _mark(panel: Axes, place: float, score: float) -> None:
    """The best trial, by shape as well as by colour."""
    panel.scatter(
        [place], [score], s=90, marker="*", color=VERMILION, edgecolors="black", linewidths=0.6,
        zorder=3, label="best",
    )  # fmt: skip
