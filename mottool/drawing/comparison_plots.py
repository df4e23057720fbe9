"""Plots of `compare`: accuracy against speed, detection against association, crowds, sequences.

Every row has its own colour and marker, and its name at its point. With several pipelines and
several trackers, the colour is the pipeline's and the marker, dash or hatch the tracker's.
"""

import io
import re
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mottool.comparison.results import ComparisonRow
from mottool.drawing.style import COLOURS, MARKERS, add_legend_below, new_plot
from mottool.metrics.registry import get_metric

__all__ = [
    "RowStyle",
    "as_svg",
    "draw_mark",
    "plot_bars",
    "plot_crowd",
    "plot_parts",
    "plot_scatter",
    "row_styles",
]

Floats = npt.NDArray[np.float64]
Point = tuple[float, float]

DASHES = ("-", "--", ":", "-.")
HATCHES = ("", "///", "...", "xxx")
DARK, GREY = "#222222", "#767676"
SIZE = 7.2, 4.4  # inches
BAR = 0.2  # inches of a bar
MAX_HEIGHT = 30.0  # inches of the bars
POINTS_PER_INCH = 72.0
NAME_HEIGHT, CHARACTER_WIDTH, NAME_GAP = 11.0, 5.2, 8.0  # points
LOG_RATIO = 20.0  # an axis is logarithmic if its largest speed is more times the smallest
LEAST_SPAN = 10.0  # points of per cent on an axis, so that small differences look small
BINS = 12  # of people per frame
LONGEST_NAME = 50  # characters
MIN_FRAMES = 3  # in a bin, for its mean to be meaningful


class RowStyle(NamedTuple):
    """Name and style of a row: the shortest name that is its own, and how its data are drawn."""

    name: str
    colour: str
    marker: str
    dash: str
    hatch: str


def row_styles(rows: Sequence[ComparisonRow]) -> list[RowStyle]:
    """Return the style of each row."""
    pipelines = list(dict.fromkeys(row.pipeline for row in rows))
    trackers = list(dict.fromkeys(row.tracker for row in rows))
    styles = []
    for row in rows:
        pipeline, tracker = pipelines.index(row.pipeline), trackers.index(row.tracker)
        name, colour, shape = row.name, pipeline, tracker
        if len(pipelines) == 1:
            name, colour = row.tracker, tracker
        elif len(trackers) == 1:
            name, shape = row.pipeline, pipeline
        styles.append(
            RowStyle(
                _shortened(name),
                COLOURS[colour % len(COLOURS)],
                MARKERS[shape % len(MARKERS)],
                DASHES[shape % len(DASHES)],
                HATCHES[shape % len(HATCHES)],
            )
        )
    return styles


def _shortened(name: str) -> str:
    """Return a name without the middle of a long one, for which a plot has no room."""
    half = LONGEST_NAME // 2
    return name if len(name) <= LONGEST_NAME else f"{name[:half]}…{name[-half:]}"


def draw_mark(style: RowStyle) -> Figure:
    """Draw the mark of a row alone, as it is in the plots."""
    figure = Figure((0.24, 0.24))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.scatter([0], [0], s=90, color=style.colour, marker=style.marker, edgecolors="white")
    axes.set_axis_off()
    return figure


def plot_scatter(rows: Sequence[ComparisonRow], x: str, y: str) -> Figure:
    """Plot metric `y` against metric `x`, a point per row, as MOTA against FPS in JDE's Fig. 3."""
    figure, axes = _new_plot()
    points = _draw_points(axes, rows, x, y)
    axes.set(xlabel=_axis_label(x), ylabel=_axis_label(y))
    for side, metric in enumerate((x, y)):
        _set_limits(axes, "xy"[side], metric, [point[side] for _, point in points])
    _name_points(figure, axes, points)
    return figure


def plot_parts(rows: Sequence[ComparisonRow]) -> Figure:
    """Plot the association accuracy AssA against the detection accuracy DetA, a point per row.

    Curves have an equal geometric mean, which is about HOTA (Luiten et al., IJCV 2021, Eq. 15).
    """
    figure, axes = _new_plot()
    points = _draw_points(axes, rows, "DetA", "AssA")
    axes.set(xlabel=_axis_label("DetA"), ylabel=_axis_label("AssA"))
    for side, metric in enumerate(("DetA", "AssA")):
        _set_limits(axes, "xy"[side], metric, [point[side] for _, point in points])
    (low_x, high_x), (low_y, high_y) = axes.get_xlim(), axes.get_ylim()
    detection, association = np.meshgrid(
        np.linspace(max(low_x, 0), high_x), np.linspace(max(low_y, 0), high_y)
    )
    mean = np.sqrt(detection * association)
    contours = axes.contour(
        detection, association, mean, MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(
            float(mean.min()), float(mean.max())
        ), colors=GREY, linewidths=0.6, linestyles="dotted",
    )  # fmt: skip
    axes.clabel(contours, fmt="HOTA ≈ %g", fontsize=7)
    _name_points(figure, axes, points)
    return figure


def plot_crowd(rows: Sequence[ComparisonRow], speed: str = "FPS") -> Figure:
    """Plot FPS or FPSA, `speed`, against detections per frame, as TDT's supplement C does.

    Each point is the median of the frames with about as many detections.
    """
    figure, axes = _new_plot()
    speeds = list[float]()
    for style, row in zip(row_styles(rows), rows, strict=True):
        people, rates = _speed_by_crowd(row, speed)
        axes.plot(
            people, rates, style.dash, color=style.colour, linewidth=1.8, marker=style.marker,
            markersize=5, label=style.name,
        )  # fmt: skip
        speeds += rates.tolist()
    axes.set(xlabel="detections in the frame", ylabel=_axis_label(speed))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _set_limits(axes, "y", speed, speeds)
    add_legend_below(figure, [row.name for row in rows])
    return figure


def _speed_by_crowd(row: ComparisonRow, speed: str) -> tuple[Floats, Floats]:
    """Return the mean detections and median speed of every bin of detections per frame."""
    seconds = row.seconds[-1] if speed == "FPSA" else row.seconds.sum(axis=0)  # (F,)
    if not seconds.sum():
        return np.zeros(0), np.zeros(0)
    low, high = row.people.min(), row.people.max()
    width = max(1, -(-(high - low + 1) // BINS))
    bins = (row.people - low) // width  # (F,)
    counts = np.bincount(bins)
    full = np.flatnonzero(counts >= min(MIN_FRAMES, counts.max()))
    medians = np.array([np.median(seconds[bins == index]) for index in full])
    people = np.bincount(bins, row.people)[full] / counts[full]
    return people[medians > 0], 1 / medians[medians > 0]


def plot_bars(rows: Sequence[ComparisonRow], metric: str) -> Figure:
    """Plot a metric of every row on each sequence as horizontal bars with their values."""
    sequences = list(rows[0].by_sequence)
    count = len(rows) * len(sequences)
    height = min(MAX_HEIGHT, BAR * (count + len(sequences)))
    figure, axes = new_plot(SIZE[0], height + 0.7 + 0.22 * -(-len(rows) // 3))
    share = 1 / (len(rows) + 1)  # of the distance between two sequences; one bar is left free
    for index, (style, row) in enumerate(zip(row_styles(rows), rows, strict=True)):
        values = [_axis_value(metric, row.by_sequence[sequence][metric]) for sequence in sequences]
        places = np.arange(len(sequences)) + (index - (len(rows) - 1) / 2) * share
        bars = axes.barh(
            places, values, share * 0.9, color=style.colour, edgecolor="white", linewidth=0.4,
            hatch=style.hatch, label=style.name,
        )  # fmt: skip
        texts = ["" if np.isnan(value) else f"{value:.{_decimals(metric)}f}" for value in values]
        axes.bar_label(bars, texts, padding=2, fontsize=7)
    axes.set_yticks(range(len(sequences)), map(_shortened, sequences))
    axes.set_ylim(len(sequences) - 0.5, -0.5)
    axes.axvline(0, color=DARK, linewidth=0.8)
    axes.margins(x=0.08)
    axes.set_xlabel(_axis_label(metric))
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    add_legend_below(figure, [row.name for row in rows])
    return figure


def as_svg(figure: Figure, name: str) -> str:
    """Return the figure as an `svg` element for a page, with `name` as prefix of all its ids."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    text = re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\g<1>{name}-", buffer.getvalue())
    return text[text.index("<svg") :]


def _new_plot() -> tuple[Figure, Axes]:
    figure, axes = new_plot(*SIZE)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    return figure, axes


def _draw_points(
    axes: Axes, rows: Sequence[ComparisonRow], x: str, y: str
) -> list[tuple[str, Point]]:
    """Draw the rows that have both metrics; return their names and points."""
    points = []
    for style, row in zip(row_styles(rows), rows, strict=True):
        point = _axis_value(x, row.figures[x]), _axis_value(y, row.figures[y])
        if not np.isnan(point).any():
            points.append((style.name, point))
            axes.scatter(*point, s=80, color=style.colour, marker=style.marker,
                         edgecolors="white", zorder=3)  # fmt: skip
    return points


def _set_limits(axes: Axes, side: str, metric: str, values: Sequence[float]) -> None:
    """Set the range of the axis `x` or `y`, so that small differences look small.

    Per cent span at least `LEAST_SPAN` points. Speeds start at 0, or are logarithmic if they span
    a wide range; counts start at 0.
    """
    low, high = min(values, default=0.0), max(values, default=1.0)
    unit = get_metric(metric).unit
    if unit == "fraction":
        missing = max(0.0, LEAST_SPAN - (high - low)) / 2
        margin = 0.1 * max(LEAST_SPAN, high - low)
        limits = low - missing - margin, high + missing + margin
    elif unit == "fps" and high > LOG_RATIO * low > 0:
        axes.set(**{f"{side}scale": "log"})
        axis = axes.xaxis if side == "x" else axes.yaxis
        axis.set_major_formatter(FuncFormatter(lambda value, position: f"{value:g}"))
        limits = low / 2, high * 2
    else:
        limits = min(0.0, low), 1.15 * high or 1.0
    axes.set(**{f"{side}lim": limits})


def _name_points(figure: Figure, axes: Axes, points: Sequence[tuple[str, Point]]) -> None:
    """Write the names of rows beside their points, without overlap."""
    figure.draw_without_rendering()  # the layout decides the distances between the points
    scale = POINTS_PER_INCH / figure.dpi
    area = axes.get_window_extent()
    left, right = area.x0 * scale, area.x1 * scale
    places = [axes.transData.transform(point) * scale for _, point in points]
    taken = [(x - 5, x + 5, y - 5, y + 5) for x, y in places]
    for (name, point), (x, y) in sorted(zip(points, places, strict=True), key=lambda p: -p[1][1]):
        width = CHARACTER_WIDTH * len(name)
        steps = [sign * step for step in range(len(points) + 1) for sign in (-1, 1)]
        candidates = [
            (begin, begin + width, y + step * NAME_HEIGHT - 5, y + step * NAME_HEIGHT + 5)
            for step in steps
            for begin in (x + NAME_GAP, x - NAME_GAP - width)
            if begin >= left and begin + width <= right
        ]
        box = next(
            (one for one in candidates if not any(_overlaps(one, other) for other in taken)),
            (x + NAME_GAP, x + NAME_GAP + width, y - 5, y + 5),
        )
        taken.append(box)
        moved = abs(box[2] + 5 - y) > 1
        line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.6} if moved else None
        is_left = box[0] < x
        axes.annotate(
            name, point, (box[1] - x if is_left else box[0] - x, box[2] + 5 - y),
            textcoords="offset points", ha="right" if is_left else "left", va="center", size=8.5,
            arrowprops=line, zorder=4,
        )  # fmt: skip


def _overlaps(one: Sequence[float], other: Sequence[float]) -> bool:
    """Return whether two boxes (left, right, bottom, top) overlap."""
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]


def _axis_label(metric: str) -> str:
    unit = get_metric(metric).unit
    labels = {"fps": f"{metric} (frames per second)", "fraction": f"{metric} (%)"}
    return labels.get(unit, metric)


def _decimals(metric: str) -> int:
    return 0 if get_metric(metric).unit == "count" else 1


def _axis_value(metric: str, value: float | None) -> float:
    """Convert a metric to the unit of its axis; NaN if it does not exist."""
    if value is None:
        return float("nan")
    return 100 * value if get_metric(metric).unit == "fraction" else value
