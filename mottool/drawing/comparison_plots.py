"""The comparison in pictures: accuracy against speed, speed against crowd, sequence by sequence.

A pipeline has one colour in all of them and a tracker one dash or hatch; each row of the table has
its number, so that the pictures read in grey, too.
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
from mottool.drawing.curves import COLOURS
from mottool.metrics.registry import get_metric

__all__ = ["as_svg", "bars", "crowd", "scatter"]

Point = tuple[float, float]

SHAPES = {ONE_SHOT: "o", TWO_STAGE: "s", BOXES: "D", ORACLE: "P"}
DASHES = ("-", "--", ":", "-.")
HATCHES = ("", "///", "...", "xxx")
DARK = "#222222"
SIZE = 7.2, 4.0  # inches
POINTS = 72.0  # an inch
LINE, ROOM = 9.0, 14.0  # points that a number is high, and wide with a margin
WIDE = 20.0  # from so many times the smallest speed on, an axis is logarithmic
BINS = 12  # of people per frame
LINES = 8.0  # numbers at the ends of curves fit below each other, for a factor of e in speed
FEWEST = 3  # frames that a bin needs for its mean to say anything


def scatter(standings: Sequence[ComparisonRow], x: str, y: str) -> Figure:
    """One figure of each row against another, as JDE's Fig. 3 draws MOTA against FPS."""
    figure, axes = _panel()
    points, handles = [], []
    for number, each in enumerate(standings, 1):
        place = _scaled(x, each.figures[x]), _scaled(y, each.figures[y])
        if np.isnan(place).any():
            continue
        points.append((number, place))
        style: dict[str, Any] = {"marker": SHAPES[each.kind], "color": _colour(standings, each)}
        axes.scatter(*place, s=80, edgecolors="white", zorder=3, **style)
        handles.append(Line2D([], [], linestyle="", label=_told(number, each), **style))
    axes.set(xlabel=_label(x), ylabel=_label(y))
    axes.margins(0.12)
    for name, axis, scale, column in (
        (x, axes.xaxis, axes.set_xscale, 0),
        (y, axes.yaxis, axes.set_yscale, 1),
    ):
        values = [place[column] for _, place in points]
        if get_metric(name).unit == "fps" and values and max(values) > WIDE * min(values):
            scale("log")
            axis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
    _legend(figure, handles)
    _number(figure, axes, points)
    return figure


def crowd(standings: Sequence[ComparisonRow]) -> Figure:
    """Frames a second of the whole against people in the frame, as TDT's supplement C shows it.

    Each point is the mean of the frames with about as many detections.
    """
    figure, axes = _panel()
    ends, speeds = [], list[float]()
    for number, each in enumerate(standings, 1):
        people, rates = _by_crowd(each)
        axes.plot(
            people, rates, _dash(standings, each), color=_colour(standings, each), linewidth=1.8,
            marker=SHAPES[each.kind], markersize=5, label=_told(number, each),
        )  # fmt: skip
        if len(rates):
            ends.append((number, (float(people[-1]), float(rates[-1]))))
            speeds += [float(rates.min()), float(rates.max())]
    axes.set(xlabel="detections in the frame", ylabel=_label("FPS"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if max(speeds, default=1) > WIDE * min(speeds, default=1):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
    else:
        axes.set_ylim(bottom=0)
    _legend(figure, axes.get_legend_handles_labels()[0])
    _number(figure, axes, ends)
    return figure


def _by_crowd(each: ComparisonRow) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The middle and the mean speed of every bin of people per frame."""
    if not each.seconds.sum():
        return np.zeros(0), np.zeros(0)
    low, high = each.people.min(), each.people.max()
    width = max(1, -(-(high - low + 1) // BINS))
    place = (each.people - low) // width  # (F,)
    count = np.bincount(place)
    seconds = np.bincount(place, each.seconds)
    full = np.flatnonzero((count >= min(FEWEST, count.max())) & (seconds > 0))
    people = np.bincount(place, each.people)
    return people[full] / count[full], count[full] / seconds[full]


def bars(standings: Sequence[ComparisonRow], name: str) -> Figure:
    """One figure of every row on each sequence."""
    sequences = list(standings[0].by_sequence)
    width = 0.8 / len(standings)
    inches = min(30.0, max(SIZE[0], 1.2 + 0.16 * len(standings) * len(sequences)))
    figure, axes = _panel(inches)
    for number, each in enumerate(standings):
        values = [_scaled(name, each.by_sequence[sequence][name]) for sequence in sequences]
        places = np.arange(len(sequences)) + (number - (len(standings) - 1) / 2) * width
        drawn = axes.bar(
            places, values, width * 0.92, color=_colour(standings, each), edgecolor="white",
            linewidth=0.5, hatch=_hatch(standings, each),
            label=_told(number + 1, each),
        )  # fmt: skip
        texts = ["" if np.isnan(value) else str(number + 1) for value in values]
        axes.bar_label(drawn, texts, padding=1, fontsize=7)
    axes.axhline(0, color=DARK, linewidth=0.8)
    axes.set_xticks(
        range(len(sequences)), sequences, rotation=30 if len(sequences) > 4 else 0,
        ha="right" if len(sequences) > 4 else "center",
    )  # fmt: skip
    axes.set_ylabel(_label(name))
    axes.grid(visible=False, axis="x")
    _legend(figure, axes.get_legend_handles_labels()[0])
    return figure


def as_svg(figure: Figure, name: str) -> str:
    """A picture as an `svg` element for a page, `name` before all of its ids."""
    told = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(told, format="svg", metadata={"Date": None})
    text = told.getvalue()
    text = re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\g<1>{name}-", text)
    return text[text.index("<svg") :]


def _panel(width: float = SIZE[0]) -> tuple[Figure, Axes]:
    figure = Figure((width, SIZE[1]), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    return figure, axes


def _legend(figure: Figure, handles: Sequence[Any]) -> None:
    """What the numbers stand for, below the panel, which grows by the room that takes."""
    columns = 2 if figure.get_figwidth() < 12 else 3
    rows = -(-len(handles) // columns)
    figure.set_figheight(SIZE[1] + 0.2 * rows)
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize="small"
    )


def _told(number: int, each: ComparisonRow) -> str:
    return f"{number}  {each.name} ({each.kind})"


def _number(figure: Figure, axes: Axes, points: Sequence[tuple[int, Point]]) -> None:
    """Write the numbers of rows beside their points, none over another."""
    figure.draw_without_rendering()  # the layout decides how near the points come
    taken: list[Point] = []
    for number, place in sorted(points, key=lambda point: -point[1][1]):
        x, y = axes.transData.transform(place) * (POINTS / figure.dpi)
        step = next(
            step
            for step in range(len(points))
            if all(abs(x - a) > ROOM or abs(y - step * LINE - b) >= LINE for a, b in taken)
        )
        taken.append((x, y - step * LINE))
        line = {"arrowstyle": "-", "color": "#888888", "linewidth": 0.6} if step else None
        axes.annotate(
            str(number), place, (9, -step * LINE), textcoords="offset points", va="center",
            size=8, arrowprops=line, zorder=4,
        )  # fmt: skip


def _label(name: str) -> str:
    unit = get_metric(name).unit
    return {"fps": f"{name} (frames a second)", "count": name, "fraction": f"{name} (%)"}[unit]


def _scaled(name: str, value: float | None) -> float:
    """A figure as the axis shows it, NaN where there is none."""
    if value is None:
        return float("nan")
    return 100 * value if get_metric(name).unit == "fraction" else value


def _colour(standings: Sequence[ComparisonRow], each: ComparisonRow) -> str:
    pipelines = list(dict.fromkeys(other.pipeline for other in standings))
    return COLOURS[pipelines.index(each.pipeline) % len(COLOURS)]


def _tracker_place(standings: Sequence[ComparisonRow], each: ComparisonRow) -> int:
    return list(dict.fromkeys(other.tracker for other in standings)).index(each.tracker)


def _dash(standings: Sequence[ComparisonRow], each: ComparisonRow) -> str:
    return DASHES[_tracker_place(standings, each) % len(DASHES)]


def _hatch(standings: Sequence[ComparisonRow], each: ComparisonRow) -> str:
    return HATCHES[_tracker_place(standings, each) % len(HATCHES)]
