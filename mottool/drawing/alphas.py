"""HOTA on paper: how much of a score is left as localisation is judged more strictly.

Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV 2021,
section 6: the headline figures are the means of these curves.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mottool.drawing.curves import draw_curves
from mottool.metrics.hota import ALPHAS

__all__ = ["draw_alphas"]

SHOWN = ("HOTA", "DetA", "AssA")


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
