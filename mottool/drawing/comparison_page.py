"""The plots of a comparison, and its page with them."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from mottool.comparison.html_page import COLUMNS, Page
from mottool.comparison.results import ComparisonRow
from mottool.drawing.comparison_plots import (
    as_svg,
    draw_mark,
    plot_bars,
    plot_crowd,
    plot_parts,
    plot_scatter,
    row_styles,
)

__all__ = ["comparison_figures", "draw_page"]


def comparison_figures(
    rows: Sequence[ComparisonRow], x: str | None = None, y: str = "HOTA"
) -> dict[str, tuple[str, Figure]]:
    """Draw the plots by file name, each with its caption.

    `x` and `y` are the metrics of the scatter plot; by default x is FPS, or FPSA between trackers
    of one pipeline. There is no plot of crowds without the times of single frames.
    """
    one_pipeline = len({row.pipeline for row in rows}) == 1
    x = x or ("FPSA" if one_pipeline else "FPS")
    speed = "FPSA" if x == "FPSA" else "FPS"
    whole = "association alone" if speed == "FPSA" else "the whole system"
    figures = {
        "scatter": (f"{y} against {x}.", plot_scatter(rows, x, y)),
        "parts": (
            "Association accuracy (AssA) against detection accuracy (DetA); HOTA is about their "
            "geometric mean.",
            plot_parts(rows),
        ),
        "crowd": (f"Speed of {whole} against people per frame.", plot_crowd(rows, speed)),
        "sequences": (f"{y} on every sequence.", plot_bars(rows, y)),
    }
    if not any(len(row.people) for row in rows):
        del figures["crowd"]
    return figures


def draw_page(
    rows: Sequence[ComparisonRow],
    notes: Sequence[str],
    x: str | None = None,
    y: str = "HOTA",
    columns: Sequence[str] | None = None,
) -> Page:
    """Draw the page of a comparison, as yet without videos and without what describes the run."""
    figures = comparison_figures(rows, x, y)
    return Page(
        [as_svg(draw_mark(style), f"mark{i}") for i, style in enumerate(row_styles(rows))],
        {caption: as_svg(figure, name) for name, (caption, figure) in figures.items()},
        notes,
        columns=columns or COLUMNS,
        sort_by=y,
    )
