"""Line charts with shared axes, and HOTA curves over the localisation threshold.

Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV 2021,
section 6: the reported metrics are the means of these curves.
"""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mottool.drawing.style import COLOURS, save_figure
from mottool.metrics.hota import ALPHAS

__all__ = ["draw_curves", "draw_hota_curves"]

DASHES = ("-", "--", ":")  # the next one starts when all colours have been used
SIZE = 5.0, 3.6  # inches of a panel
LINE_WIDTH = 1.5  # points
DPI = 120
METRICS = ("HOTA", "DetA", "AssA")

Curve = tuple[list[float], list[float]]


def draw_curves(
    panels: Mapping[str, Mapping[str, Curve]], x_label: str, title: str, path: Path
) -> None:
    """Draw `panels` side by side into an image file, in the format of the suffix of `path`.

    A panel maps the labels of its lines to their x and y values; x is an integer. A line that
    coincides with later ones is drawn wider, so that all of them are visible. Panels with the same
    lines share one legend. Lines of a single point are drawn as bars with their values.
    """
    figure = Figure((SIZE[0] * len(panels), SIZE[1]), layout="constrained")
    figure.suptitle(title)
    shared = len(panels) > 1 and len({tuple(curves) for curves in panels.values()}) == 1
    for axes, (name, curves) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        if all(len(x) == 1 for x, _ in curves.values()):
            _draw_values(axes, name, x_label, curves)
            continue
        styles = cycle((colour, dash) for dash in DASHES for colour in COLOURS)
        lines = list(curves.values())
        for index, (label, (x, y)) in enumerate(curves.items()):
            colour, dash = next(styles)
            width = LINE_WIDTH * (1 + 1.2 * lines[index + 1 :].count((x, y)))
            marker = {"marker": "." if len(x) < 40 else "", "markersize": 4 + width}
            axes.plot(x, y, dash, color=colour, label=label, linewidth=width, **marker)
        axes.set(xlabel=x_label, ylabel=name)
        axes.locator_params(axis="x", integer=True)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if not shared:
            axes.legend(fontsize="small")
    if shared:
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", frameon=False, fontsize="small")
    save_figure(figure, path, DPI)


def _draw_values(axes: Axes, name: str, x_label: str, curves: Mapping[str, Curve]) -> None:
    """Draw the single value of each curve as a bar."""
    values = [y[0] for _, y in curves.values()]
    bars = axes.barh(list(curves), values, 0.6, color=COLOURS[0])
    axes.bar_label(bars, fmt="%.4g", padding=3, fontsize="small")
    axes.invert_yaxis()
    axes.margins(x=0.18)
    axes.axvline(0, color="black", linewidth=0.8)
    x = next(iter(curves.values()))[0][0]
    axes.set_xlabel(f"{name} at {x_label} {x:g}")
    axes.spines[["top", "right"]].set_visible(False)


def draw_hota_curves(
    trackers: Mapping[str, Mapping[str, Sequence[float]]], title: str, path: Path
) -> Path:
    """Draw HOTA, DetA and AssA in per cent over alpha, a line per tracker, means in the legend.

    `trackers` maps each tracker to its curves by metric, (19,) in [0, 1] each.
    """
    labels = {}
    for tracker, curves in trackers.items():
        means = (f"{name} {100 * sum(curves[name]) / len(curves[name]):.1f}" for name in METRICS)
        labels[tracker] = f"{tracker}: {', '.join(means)}"
    panels = {
        f"{metric} (%)": {
            labels[tracker]: (ALPHAS.tolist(), [100 * value for value in curves[metric]])
            for tracker, curves in trackers.items()
        }
        for metric in METRICS
    }
    draw_curves(panels, "localisation threshold α (IoU)", title, path)
    return path
