"""Tracks over time: who is there when, and under which identity each person goes."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mottool.drawing.style import colour_of, ink_on, paint_of, save
from mottool.metrics.box_outcomes import Outcome, Verdicts
from mottool.motchallenge.rows import Rows

__all__ = ["draw_objects", "draw_tracks"]

Ints = npt.NDArray[np.int64]

LINE = 0.2  # inches of a lane
WIDTH = 8.0
HIGH = 0.7  # share of its lane that a bar fills
LETTER = 0.012  # of the width of the plot that one letter takes
GREY, INK = "#c8c8c8", "#202020"


def draw_tracks(rows: Rows, title: str, path: Path) -> Path:
    """A lane for every identity of a result file, in the order of their first frames."""
    lanes = _in_order(rows.ids, rows.frames)
    figure, axes = _paper(len(lanes), title, "identity", lanes)
    last = int(rows.frames.max(initial=1))
    for lane, identity in enumerate(lanes):
        for begin, end in _runs(np.sort(rows.frames[rows.ids == identity])):
            _bar(axes, lane, begin, end, identity)
    axes.set_xlim(0.5, last + 0.5)
    return save(figure, path)


def draw_objects(truth: Rows, found: Verdicts, title: str, path: Path) -> Path:
    """A lane for every person of the ground truth, coloured by the identity that hits them.

    Thin grey is where the person is there and missed, nothing where they are not; a black tick is
    an identity switch.
    """
    counts = found.truth != Outcome.UNJUDGED
    frames, ids, partners = truth.frames[counts], truth.ids[counts], found.partners[counts]
    lanes = _in_order(ids, frames)
    figure, axes = _paper(len(lanes), title, "person of the ground truth", lanes)
    last = int(frames.max(initial=1))
    for lane, person in enumerate(lanes):
        own = np.flatnonzero(ids == person)
        own = own[np.argsort(frames[own])]
        for begin, end in _runs(frames[own]):
            axes.plot([begin - 0.5, end + 0.5], [lane, lane], color=GREY, linewidth=1.5, zorder=1)
        for identity in np.unique(partners[own][partners[own] >= 0]).tolist():
            for begin, end in _runs(frames[own[partners[own] == identity]]):
                _bar(axes, lane, begin, end, identity, last)
    place = {person: lane for lane, person in enumerate(lanes)}
    for switch in found.switches:
        lane, frame = place[switch.object], switch.frame - 0.5
        axes.plot([frame, frame], [lane - 0.5, lane + 0.5], color=INK, linewidth=1.4, zorder=4)
    axes.set_xlim(0.5, last + 0.5)
    return save(figure, path)


def _paper(lanes: int, title: str, what: str, names: list[int]) -> tuple[Figure, Axes]:
    figure = Figure((WIDTH, LINE * lanes + 1.0), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize="medium")
    axes.set_yticks(range(lanes), [str(name) for name in names], fontsize="x-small")
    axes.set_ylim(lanes - 0.4, -0.6)
    axes.set_ylabel(what)
    axes.set_xlabel("frame")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.3)
    return figure, axes


def _in_order(ids: Ints, frames: Ints) -> list[int]:
    """The identities by their first frame."""
    order = np.lexsort((ids, frames))
    return list(dict.fromkeys(ids[order].tolist()))


def _runs(frames: Ints) -> list[tuple[int, int]]:
    """First and last of each run of consecutive frames (n,), which are sorted."""
    breaks = np.flatnonzero(np.diff(frames) != 1) + 1
    ends = [0, *breaks.tolist(), len(frames)]
    return [(int(frames[a]), int(frames[b - 1])) for a, b in pairwise(ends) if b > a]


def _bar(axes: Axes, lane: int, begin: int, end: int, identity: int, last: int = 0) -> None:
    """One run of an identity, with its number in it where `last`, the plot's end, gives room."""
    length = end - begin + 1
    axes.barh(lane, length, HIGH, begin - 0.5, color=paint_of(identity), zorder=2)
    text = str(identity)
    if last and length / last > LETTER * len(text):
        blue, green, red = ink_on(colour_of(identity))
        ink = (red / 255, green / 255, blue / 255)
        axes.text(begin - 0.5 + length / 2, lane, text, ha="center", va="center_baseline",
                  fontsize="x-small", color=ink, zorder=3)  # fmt: skip
