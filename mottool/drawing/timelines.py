"""Identity timelines: a bar for every run of frames in which an identity is present."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mottool.drawing.identity_colours import identity_colours
from mottool.drawing.style import BGR, new_plot, rgb_from_bgr, save_figure, text_colour_on
from mottool.metrics.box_outcomes import BoxOutcomes, Outcome
from mottool.motchallenge.rows import Rows

__all__ = ["draw_objects", "draw_tracks"]

Ints = npt.NDArray[np.int64]

LANE_HEIGHT = 0.2  # inches
WIDTH = 8.0  # inches
BAR_HEIGHT = 0.7  # as a share of its lane
CHARACTER_WIDTH = 0.012  # as a share of the width of the plot
GREY, DARK = "#c8c8c8", "#202020"


def draw_tracks(rows: Rows, title: str, path: Path) -> Path:
    """Draw a lane for each identity of a result file, ordered by first frame."""
    identities = _by_first_frame(rows.ids, rows.frames)
    last = int(rows.frames.max(initial=1))
    figure, axes = _plot_lanes(identities, "identity", last, title)
    colours = identity_colours(rows)
    for lane, identity in enumerate(identities):
        for begin, end in _runs(np.sort(rows.frames[rows.ids == identity])):
            _draw_bar(axes, lane, (begin, end), identity, colours)
    return save_figure(figure, path)


def draw_objects(
    results: Rows, ground_truth: Rows, outcomes: BoxOutcomes, title: str, path: Path
) -> Path:
    """Draw a lane for each ground-truth person, coloured by the matching identities of `results`.

    A thin grey line is a false negative, an empty part a frame without the person, and a black
    tick an identity switch. Colours are those of the video of `results`.
    """
    scored = outcomes.truth != Outcome.UNJUDGED
    frames, ids = ground_truth.frames[scored], ground_truth.ids[scored]
    matched_ids = outcomes.partners[scored]
    people = _by_first_frame(ids, frames)
    last = int(frames.max(initial=1))
    figure, axes = _plot_lanes(people, "true person", last, title)
    colours = identity_colours(results)
    for lane, person in enumerate(people):
        rows = np.flatnonzero(ids == person)
        rows = rows[np.argsort(frames[rows])]
        for begin, end in _runs(frames[rows]):
            axes.plot([begin - 0.5, end + 0.5], [lane, lane], color=GREY, linewidth=1.5, zorder=1)
        for identity in np.unique(matched_ids[rows][matched_ids[rows] >= 0]).tolist():
            for begin, end in _runs(frames[rows[matched_ids[rows] == identity]]):
                _draw_bar(axes, lane, (begin, end), identity, colours, last)
    for switch in outcomes.switches:
        lane, frame = people.index(switch.object), switch.frame - 0.5
        axes.plot([frame, frame], [lane - 0.5, lane + 0.5], color=DARK, linewidth=1.4, zorder=4)
    handles = [
        Line2D([], [], color=GREY, linewidth=7, label="matched, with the track's identity"),
        Line2D([], [], color=GREY, linewidth=1.5, label="missed (false negative)"),
        Line2D([], [], color=DARK, linestyle="", marker="|", markersize=9, markeredgewidth=1.4,
               label="identity switch"),
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False,
                  fontsize="small")  # fmt: skip
    return save_figure(figure, path)


def _plot_lanes(names: Sequence[int], label: str, last: int, title: str) -> tuple[Figure, Axes]:
    """Create a plot with a lane per name, over frames 1 to `last`."""
    figure, axes = new_plot(WIDTH, LANE_HEIGHT * len(names) + 1.0, title)
    axes.set_yticks(range(len(names)), [str(name) for name in names], fontsize="x-small")
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_ylabel(label)
    axes.set_xlabel("frame")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlim(0.5, last + 0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.3)
    return figure, axes


def _by_first_frame(ids: Ints, frames: Ints) -> list[int]:
    """Return the distinct identities ordered by first frame."""
    order = np.lexsort((ids, frames))
    return list(dict.fromkeys(ids[order].tolist()))


def _runs(frames: Ints) -> list[tuple[int, int]]:
    """Return first and last frame of each run of consecutive frames; `frames` (n,) are sorted."""
    breaks = np.flatnonzero(np.diff(frames) != 1) + 1
    ends = [0, *breaks.tolist(), len(frames)]
    return [(int(frames[a]), int(frames[b - 1])) for a, b in pairwise(ends) if b > a]


def _draw_bar(
    axes: Axes,
    lane: int,
    run: tuple[int, int],
    identity: int,
    colours: Mapping[int, BGR],
    last: int = 0,
) -> None:
    """Draw a run of an identity; with `last`, the plot's last frame, its number if it fits."""
    begin, end = run
    length = end - begin + 1
    colour = colours[identity]
    axes.barh(lane, length, BAR_HEIGHT, begin - 0.5, color=rgb_from_bgr(colour), zorder=2)
    text = str(identity)
    if last and length / last > CHARACTER_WIDTH * len(text):
        text_colour = rgb_from_bgr(text_colour_on(colour))
        axes.text(begin - 0.5 + length / 2, lane, text, ha="center", va="center_baseline",
                  fontsize="x-small", color=text_colour, zorder=3)  # fmt: skip
