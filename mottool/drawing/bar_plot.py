"""Bars of a few metrics for several models, as TDT's Fig. 5 and 6.

Yu, Wu, Gu & Fathy, "TDT: Teaching detectors to track without fully annotated videos", CVPR
Workshops 2022: AP, MOTA and IDF1 of models that share everything but one setting.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from mottool.drawing.style import COLOURS, new_plot, save_figure
from mottool.errors import InputError

__all__ = ["draw_bars", "read_metrics"]

COMBINED = "COMBINED"  # the row of all sequences together
BAR, GAP = 0.7, 1.0  # inches of a model's bar, and of the axes beside all bars
HEIGHT = 3.2  # inches


def read_metrics(path: Path, metrics: Sequence[str]) -> dict[str, float]:
    """Read metrics of all sequences together from a CSV file of `evaluate`, in per cent.

    The file has rows of tracks, then of caches; the first one that has a metric counts. Raises
    `InputError` for a file without one of the metrics.
    """
    values: dict[str, float] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row.get("seq") == COMBINED:
                given = {name: row[name] for name in metrics if row.get(name)}
                values = {name: 100 * float(text) for name, text in given.items()} | values
    missing = [name for name in metrics if name not in values]
    if missing:
        problem = f"{path} has no {missing[0]} of all sequences together"
        fix = "give a file of mottool evaluate --csv, with tracks and caches for MOTA and AP"
        raise InputError(problem, fix)
    return {name: values[name] for name in metrics}


def draw_bars(models: Mapping[str, Mapping[str, float]], out: Path) -> Path:
    """Draw metrics in per cent of each model, by name, to `out`: a group of bars per metric."""
    names = list(next(iter(models.values())))
    share = 0.8 / len(models)  # of the distance between two groups
    width = max(GAP + BAR * len(models) * len(names), 4.0)
    figure, axes = new_plot(width, HEIGHT)
    for number, (label, metrics) in enumerate(models.items()):
        places = [group + (number - (len(models) - 1) / 2) * share for group in range(len(names))]
        values = [metrics[name] for name in names]
        colour = COLOURS[number % len(COLOURS)]
        bars = axes.bar(places, values, 0.9 * share, color=colour, label=label)
        axes.bar_label(bars, fmt="%.1f", fontsize="x-small", padding=1)
    axes.set_xticks(range(len(names)), [f"{name} (%)" for name in names])
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.12)
    axes.axhline(0, color="black", linewidth=0.8)
    figure.legend(loc="outside upper center", ncols=min(len(models), 3), frameon=False)
    return save_figure(figure, out)
