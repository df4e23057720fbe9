"""Cost of a frame against the people in it, as TDT's supplement C.

Yu, Wu, Gu & Fathy, "TDT: Teaching detectors to track without fully annotated videos", CVPR
Workshops 2022: the cost of a one-shot network is flat, that of a second stage grows by person.
"""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mottool.drawing.style import COLOURS, MARKERS, new_plot

__all__ = ["plot_cost"]

SIZE = 7.2, 4.4  # inches
MARGIN = 1.1  # of the highest point to the top

Curve = Sequence[tuple[float, float]]


def plot_cost(curves: Mapping[str, Curve], dashed: frozenset[str] = frozenset()) -> Figure:
    """Plot the milliseconds of a frame against the number of people, a line per name.

    A curve has a pair (people, milliseconds) per point. Those of the names `dashed` are dashed.
    """
    figure, axes = new_plot(*SIZE)
    for index, (name, curve) in enumerate(curves.items()):
        people, milliseconds = zip(*curve, strict=True)
        axes.plot(
            people,
            milliseconds,
            "--" if name in dashed else "-",
            color=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
            markersize=5,
            label=name,
        )
    axes.set(xlabel="people in the frame", ylabel="milliseconds a frame")
    highest = max(milliseconds for curve in curves.values() for _, milliseconds in curve)
    axes.set_ylim(0, MARGIN * highest)  # else a flat line is on the frame
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    return figure
