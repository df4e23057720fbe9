"""Plots of `compare`: accuracy against speed, speed against crowd, bars by sequence.

In all plots a pipeline has one colour and a tracker one dash or hatch. Each row of the table has
its number in the plots, so that they are also readable in grey.
"""

import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mottool.comparison.pipelines import BOXES, ONE_SHOT, ORACLE, TWO_STAGE
from mottool.comparison.results import ComparisonRow
from mottool.drawing.style import COLOURS, new_plot
from mottool.metrics.registry import get_metric

__all__ = ["as_svg", "plot_bars", "plot_crowd", "plot_scatter"]

Point = tuple[float, float]

MARKERS = {ONE_SHOT: "o", TWO_STAGE: "s", BOXES: "D", ORACLE: "P"}
DASHES = ("-", "--", ":", "-.")
HATCHES = ("", "///", "...", "xxx")
DARK = "#222222"
SIZE = 7.2, 4.0  # inches
POINTS_PER_INCH = 72.0
NUMBER_HEIGHT, NUMBER_WIDTH = 9.0, 14.0  # points, margins included
LOG_RATIO = 20.0  # an axis is logarithmic if its largest speed is more times the smallest
BINS = 12  # of people per frame
MIN_FRAMES = 3  # in a bin, for its mean to be meaningful


def plot_scatter(rows: Sequence[ComparisonRow], x: str, y: str) -> Figure:
    """Plot metric `y` against metric `x`, a point per row, as MOTA against FPS in JDE's Fig. 3."""
    figure, axes = _new_plot()
    points, handles = [], []
    for number, row in enumerate(rows, 1):
        point = _axis_value(x, row.figures[x]), _axis_value(y, row.figures[y])
        if np.isnan(point).any():
            continue
        points.append((number, point))
        style: dict[str, Any] = {"marker": MARKERS[row.kind], "color": _colour(rows, row)}
        axes.scatter(*point, s=80, edgecolors="white", zorder=3, **style)
        handles.append(Line2D([], [], linestyle="", label=_label(number, row), **style))
    axes.set(xlabel=_axis_label(x), ylabel=_axis_label(y))
    axes.margins(0.12)
    for side, metric in enumerate((x, y)):
        if get_metric(metric).unit == "fps":
            _use_log_scale_if_wide(axes, "xy"[side], [point[side] for _, point in points])
    _add_legend(figure, handles)
    _number_points(figure, axes, points)
    return figure


def plot_crowd(rows: Sequence[ComparisonRow]) -> Figure:
    """Plot total frames per second against detections per frame, as TDT's supplement C does.

    Each point is the mean of the frames with about as many detections.
    """
    figure, axes = _new_plot()
    ends, speeds = [], list[float]()
    for number, row in enumerate(rows, 1):
        people, rates = _speed_by_crowd(row)
        axes.plot(
            people, rates, _by_tracker(DASHES, rows, row), color=_colour(rows, row), linewidth=1.8,
            marker=MARKERS[row.kind], markersize=5, label=_label(number, row),
        )  # fmt: skip
        if len(rates):
            ends.append((number, (float(people[-1]), float(rates[-1]))))
            speeds += [float(rates.min()), float(rates.max())]
    axes.set(xlabel="detections in the frame", ylabel=_axis_label("FPS"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if not _use_log_scale_if_wide(axes, "y", speeds):
        axes.set_ylim(bottom=0)
    _add_legend(figure, axes.get_legend_handles_labels()[0])
    _number_points(figure, axes, ends)
    return figure


def _speed_by_crowd(row: ComparisonRow) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the mean detections and frames per second of every bin of detections per frame."""
    if not row.seconds.sum():
        return np.zeros(0), np.zeros(0)
    low, high = row.people.min(), row.people.max()
    width = max(1, -(-(high - low + 1) // BINS))
    bins = (row.people - low) // width  # (F,)
    counts = np.bincount(bins)
    seconds = np.bincount(bins, row.seconds)
    full = np.flatnonzero((counts >= min(MIN_FRAMES, counts.max())) & (seconds > 0))
    people = np.bincount(bins, row.people)
    return people[full] / counts[full], counts[full] / seconds[full]


def plot_bars(rows: Sequence[ComparisonRow], metric: str) -> Figure:
    """Plot a metric of every row on each sequence as bars."""
    sequences = list(rows[0].by_sequence)
    width = 0.8 / len(rows)
    inches = min(30.0, max(SIZE[0], 1.2 + 0.16 * len(rows) * len(sequences)))
    figure, axes = _new_plot(inches)
    for index, row in enumerate(rows):
        values = [_axis_value(metric, row.by_sequence[sequence][metric]) for sequence in sequences]
        centres = np.arange(len(sequences)) + (index - (len(rows) - 1) / 2) * width
        container = axes.bar(
            centres, values, width * 0.92, color=_colour(rows, row), edgecolor="white",
            linewidth=0.5, hatch=_by_tracker(HATCHES, rows, row), label=_label(index + 1, row),
        )  # fmt: skip
        texts = ["" if np.isnan(value) else str(index + 1) for value in values]
        axes.bar_label(container, texts, padding=1, fontsize=7)
    axes.axhline(0, color=DARK, linewidth=0.8)
    axes.set_xticks(
        range(len(sequences)), sequences, rotation=30 if len(sequences) > 4 else 0,
        ha="right" if len(sequences) > 4 else "center",
    )  # fmt: skip
    axes.set_ylabel(_axis_label(metric))
    axes.grid(visible=False, axis="x")
    _add_legend(figure, axes.get_legend_handles_labels()[0])
    return figure


def as_svg(figure: Figure, name: str) -> str:
    """Return the figure as an `svg` element for a page, with `name` as prefix of all its ids."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\g<1>{name}-", buffer.getvalue())
    return text[text.index("<svg") :]


def _new_plot(width: float = SIZE[0]) -> tuple[Figure, Axes]:
    figure, axes = new_plot(width, SIZE[1])
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    return figure, axes


def _use_log_scale_if_wide(axes: Axes, side: str, values: Sequence[float]) -> bool:
    """Make the axis `x` or `y` logarithmic if its values span a wide range; return whether."""
    if max(values, default=1) <= LOG_RATIO * min(values, default=1):
        return False
    axes.set(**{f"{side}scale": "log"})
    axis = axes.xaxis if side == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, position: f"{value:g}"))
    return True


def _add_legend(figure: Figure, handles: Sequence[Any]) -> None:
    """Add the legend of the row numbers below the plot, and make room for it."""
    columns = 2 if figure.get_figwidth() < 12 else 3
    lines = -(-len(handles) // columns)
    figure.set_figheight(SIZE[1] + 0.2 * lines)
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize="small"
    )


def _label(number: int, row: ComparisonRow) -> str:
    return f"{number}  {row.name} ({row.kind})"


def _number_points(figure: Figure, axes: Axes, points: Sequence[tuple[int, Point]]) -> None:
    """Write the numbers of rows beside their points, without overlap."""
    figure.draw_without_rendering()  # the layout decides the distances between the points
    occupied: list[Point] = []
    for number, point in sorted(points, key=lambda item: -item[1][1]):
        x, y = axes.transData.transform(point) * (POINTS_PER_INCH / figure.dpi)
        step = next(
            step
            for step in range(len(points))
            if all(
                abs(x - a) > NUMBER_WIDTH or abs(y - step * NUMBER_HEIGHT - b) >= NUMBER_HEIGHT
                for a, b in occupied
            )
        )
        occupied.append((x, y - step * NUMBER_HEIGHT))
        line = {"arrowstyle": "-", "color": "#888888", "linewidth": 0.6} if step else None
        axes.annotate(
            str(number), point, (9, -step * NUMBER_HEIGHT), textcoords="offset points",
            va="center", size=8, arrowprops=line, zorder=4,
        )  # fmt: skip


def _axis_label(metric: str) -> str:
    unit = get_metric(metric).unit
    labels = {"fps": f"{metric} (frames a second)", "count": metric, "fraction": f"{metric} (%)"}
    return labels[unit]


def _axis_value(metric: str, value: float | None) -> float:
    """Convert a metric to the unit of its axis; NaN if it does not exist."""
    if value is None:
        return float("nan")
    return 100 * value if get_metric(metric).unit == "fraction" else value


def _colour(rows: Sequence[ComparisonRow], row: ComparisonRow) -> str:
    """Return the colour of the row's pipeline."""
    pipelines = list(dict.fromkeys(other.pipeline for other in rows))
    return COLOURS[pipelines.index(row.pipeline) % len(COLOURS)]


def _by_tracker(styles: Sequence[str], rows: Sequence[ComparisonRow], row: ComparisonRow) -> str:
    """Return the dash or hatch of the row's tracker."""
    trackers = list(dict.fromkeys(other.tracker for other in rows))
    return styles[trackers.index(row.tracker) % len(styles)]
