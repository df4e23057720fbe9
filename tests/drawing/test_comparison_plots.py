"""Plots of a comparison with unusual rows; their usual content is tested with `compare`."""

from dataclasses import replace

from results import row

from mottool.drawing.comparison_plots import as_svg, plot_bars, plot_scatter, row_styles


def test_long_names_are_shortened_and_leave_room_for_the_plot():
    metrics = {"MOTA": 0.5, "FPS": 20.0}
    rows = [row(letter * 150, by=[metrics], **metrics) for letter in "ab"]
    rows = [replace(each, by_sequence={"s" * 200: each.by_sequence["seq0"]}) for each in rows]
    for figure in (plot_bars(rows, "MOTA"), plot_scatter(rows, "FPS", "MOTA")):
        assert as_svg(figure, "plot").startswith("<svg")  # a plot without room would be a warning
    assert [style.name for style in row_styles(rows)] == [f"{x * 25}…{x * 25}" for x in "ab"]
    assert [style.name for style in row_styles([row("a"), row("b")])] == ["a", "b"]
