"""Accuracy against speed of detectors combined with embeddings, from the CSV files of `compare`.

Wang, Zheng, Liu, Li & Wang, "Towards Real-Time Multi-Object Tracking", ECCV 2020, Fig. 3: MOTA and
IDF1 over frames per second, in a column for each file. The colour is the embedding, the shape the
detector. A network that does both in one pass is drawn larger, with a dark edge.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mottool.comparison.pipelines import ONE_SHOT
from mottool.drawing.style import COLOURS, save_figure
from mottool.errors import InputError, SettingError
from mottool.metrics.tables import COMBINED

__all__ = ["METRICS", "Combination", "draw_trade_off", "read_combinations"]

METRICS = ("MOTA", "IDF1")  # the rows of the figure
SPEED = "FPS"
MARKERS = "os^DvPX<>hp8d"  # as distinct as they can be, one for each detector
NO_EMBEDDING = "none"
PANEL = 3.4, 2.7  # inches
LEGEND = 2.3  # inches, the width of the legend
JOINT, SEPARATE = 190.0, 75.0  # areas of the points of one-shot and of two-stage pipelines


@dataclass(frozen=True)
class Combination:
    """A detector with an embedding, and its metrics: fractions by `METRICS`, and FPS.

    `joint` is whether one network makes both in one pass.
    """

    detector: str
    embedding: str
    joint: bool
    metrics: Mapping[str, float]


def read_combinations(
    path: Path, tracker: str | None = None, names: Mapping[str, str] | None = None
) -> list[Combination]:
    """Read the combinations of all sequences together from a CSV file of `compare`.

    `names` rename pipelines, to `detector+embedding`, or to a single name. Pipelines without a
    speed are left out. Raises `InputError` for another file, and if nothing is left; `SettingError`
    if there are several trackers and `tracker` chooses none of them.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    needed = {"pipeline", "kind", "tracker", "seq", SPEED, *METRICS}
    if not rows or not needed <= rows[0].keys():
        raise InputError(f"{path} is not a comparison", "give a file of mottool compare --csv")
    rows = [row for row in rows if row["seq"] == COMBINED]
    trackers = dict.fromkeys(row["tracker"] for row in rows)
    if tracker is None and len(trackers) == 1:
        (tracker,) = trackers
    if tracker not in trackers:
        fix = f"give --tracker with one of {', '.join(trackers)}"
        raise SettingError(f"{path} has {len(trackers)} trackers and one is drawn", fix)
    combinations = []
    for row in rows:
        if row["tracker"] == tracker and all(row[name] for name in (SPEED, *METRICS)):
            name = (names or {}).get(row["pipeline"], row["pipeline"])
            detector, plus, embedding = name.partition("+")
            joint = row["kind"] == ONE_SHOT
            if not plus:
                embedding = detector if joint else NO_EMBEDDING
            metrics = {name: float(row[name]) for name in (SPEED, *METRICS)}
            combinations.append(Combination(detector, embedding, joint, metrics))
    if not combinations:
        fix = "compare caches that detect-embed has timed on one machine"
        raise InputError(f"{path} has no pipeline with a speed", fix)
    return combinations


def draw_trade_off(panels: Mapping[str, Sequence[Combination]], path: Path) -> Path:
    """Draw a column of two panels, MOTA and IDF1 over FPS, for each named set of combinations."""
    combinations = [one for column in panels.values() for one in column]
    embeddings = _styles([one.embedding for one in combinations], COLOURS)
    detectors = _styles([one.detector for one in combinations], MARKERS)
    width, height = PANEL
    figure = Figure((width * len(panels) + LEGEND, 2 * height), layout="constrained")
    grid = figure.subplots(2, len(panels), squeeze=False, sharex="col")
    letters = iter("abcdefghijklmnopqrstuvwxyz" * 2)
    for line, metric in zip(grid, METRICS, strict=True):
        for axes, (name, column) in zip(line, panels.items(), strict=True):
            for one in column:
                axes.scatter(
                    one.metrics[SPEED], 100 * one.metrics[metric], zorder=3,
                    s=JOINT if one.joint else SEPARATE, marker=detectors[one.detector],
                    color=embeddings[one.embedding], linewidths=1.2,
                    edgecolors="black" if one.joint else "white",
                )  # fmt: skip
            axes.set_title(f"({next(letters)}) {metric}, {name}", fontsize="medium")
            axes.set_ylabel(f"{metric} (%)")
            axes.margins(0.12)
            axes.grid(alpha=0.3)
    for axes in grid[-1]:
        axes.set_xlabel("frames per second")
    _add_legend(figure, embeddings, detectors)
    return save_figure(figure, path)


def _styles(names: Sequence[str], styles: Sequence[str]) -> dict[str, str]:
    """Return a style for each name, in the order of their first appearance."""
    distinct = dict.fromkeys(names)
    return {name: styles[index % len(styles)] for index, name in enumerate(distinct)}


def _add_legend(
    figure: Figure, embeddings: Mapping[str, str], detectors: Mapping[str, str]
) -> None:
    """Add a legend of colours and shapes at the right of the figure."""
    dots = [
        Line2D([], [], linestyle="", marker="o", markersize=9, color=colour, label=name)
        for name, colour in embeddings.items()
    ]
    shapes = [
        Line2D([], [], linestyle="", marker=marker, markersize=9, color="#666666", label=name)
        for name, marker in detectors.items()
    ]
    handles = [
        Line2D([], [], linestyle="", label="Embedding"), *dots,
        Line2D([], [], linestyle="", label=""),
        Line2D([], [], linestyle="", label="Detector"), *shapes,
    ]  # fmt: skip
    legend = figure.legend(handles=handles, loc="outside right upper", fontsize="small")
    for text in legend.get_texts():
        if text.get_text() in {"Embedding", "Detector"}:
            text.set_fontweight("bold")
