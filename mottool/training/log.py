"""Write the metrics of every epoch as CSV and as curves."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from mottool.drawing.curves import draw_curves
from mottool.files import atomic_write
from mottool.training.validation import FIGURES, HIGHEST, TRACKED

__all__ = ["write_curves", "write_log"]

Row = Mapping[str, float]
NOT_LOSSES = ("epoch", "lr", "seconds", *FIGURES, HIGHEST, TRACKED)


def write_log(history: Sequence[Row], path: Path) -> None:
    """Write one line per epoch; a metric that an epoch lacks is left empty."""
    columns = list(dict.fromkeys(name for row in history for name in row))
    with atomic_write(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in history)


def write_curves(history: Sequence[Row], path: Path, title: str) -> None:
    """Plot the loss terms, and the validation metrics if there are any, over epochs."""
    losses = [name for name in history[0] if name not in NOT_LOSSES]
    percent = [
        {**row, **{name: 100 * row[name] for name in FIGURES if name in row}} for row in history
    ]
    panels = {"loss": _curves(history, losses), "validation (%)": _curves(percent, FIGURES)}
    draw_curves({name: curves for name, curves in panels.items() if curves}, "epoch", title, path)


def _curves(
    history: Sequence[Row], names: Sequence[str]
) -> dict[str, tuple[list[float], list[float]]]:
    """Return the epochs in which each name has a finite value, and these values."""
    curves = {}
    for name in names:
        rows = [row for row in history if math.isfinite(row.get(name, math.nan))]
        if rows:
            curves[name] = [row["epoch"] for row in rows], [row[name] for row in rows]
    return curves
