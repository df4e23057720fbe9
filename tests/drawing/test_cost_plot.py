"""The plot of the cost of a frame against the people in it."""

from mottool.drawing.cost_plot import plot_cost


def test_a_flat_line_is_below_the_frame_and_people_are_whole_numbers():
    (axes,) = plot_cost({"flat": [(0, 120.0), (3, 120.0)], "rising": [(0, 60.0), (3, 90.0)]}).axes
    bottom, top = axes.get_ylim()
    assert bottom == 0
    assert top > 125
    assert all(tick == round(tick) for tick in axes.get_xticks())
