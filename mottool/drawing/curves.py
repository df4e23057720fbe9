"""Line charts with shared axes, and HOTA over the localisation threshold.

Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV 2021,
section 6: the reported metrics are the means of these curves.
"""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

from matplotlib.figure import Figure

from mottool.files import atomic_write
from mottool.metrics.hota import ALPHAS

__all__ = ["COLOURS", "draw_alphas", "draw_curves"]

# Okabe & Ito, "Color universal design", 2008: apart for colour-blind eyes too.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
DASHES = ("-", "--", ":")  # once the colours are used up
SIZE = 5.0, 3.6  # inches of a panel
WIDTH = 1.5  # points of a line

Curve = tuple[list[float], list[float]]
SHOWN = ("HOTA", "DetA", "AssA")


def draw_curves(
    panels: Mapping[str, Mapping[str, Curve]], across: str, title: str, path: Path
) -> None:
    """Draw `panels`, side by side, into the image file `path` (its suffix says which kind).

    A panel maps the names of its lines to their x and y values; `across` names the x axis,
    which counts something. A line that others cover is as much wider than they.
    """
    figure = Figure((SIZE[0] * len(panels), SIZE[1]), layout="constrained")
    figure.suptitle(title)
    for axes, (name, curves) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        styles = cycle((colour, dash) for dash in DASHES for colour in COLOURS)
        lines = list(curves.values())
        for place, (label, (x, y)) in enumerate(curves.items()):
            colour, dash = next(styles)
            width = WIDTH * (1 + 1.2 * lines[place + 1 :].count((x, y)))
            mark = {"marker": "." if len(x) < 40 else "", "markersize": 4 + width}
            axes.plot(x, y, dash, color=colour, label=label, linewidth=width, **mark)
        axes.set(xlabel=across, ylabel=name)
        axes.locator_params(axis="x", integer=True)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    with atomic_write(path) as part:
        figure.savefig(part, dpi=120)


def draw_alphas(
    trackers: Mapping[str, Mapping[str, Sequence[float]]], title: str, path: Path
) -> Path:
    """Draw HOTA, DetA and AssA over alpha, a line for each tracker with its mean in per cent.

    `trackers` have their curves by the name of the figure, (19,) in [0, 1] each.
    """
    panels = {
        name: {
            f"{tracker} ({100 * sum(curves[name]) / len(curves[name]):.1f})": (
                ALPHAS.tolist(),
                list(curves[name]),
            )
            for tracker, curves in trackers.items()
        }
        for name in SHOWN
    }
    draw_curves(panels, "localisation threshold alpha", title, path)
    return path
