import numpy as np

from mottool.drawing.embedding_plots import separate_colours
from mottool.drawing.style import COLOURS, MARKERS


def test_identities_of_a_map_differ_by_colour_or_marker_and_close_ones_by_colour():
    count = len(COLOURS) * len(MARKERS)
    centres = np.stack([np.arange(count) * 10.0, np.zeros(count)], 1)
    colours = separate_colours(centres)
    styles = {(colour, index % len(MARKERS)) for index, colour in enumerate(colours)}
    assert len(styles) == count
    assert all(one != other for one, other in zip(colours, colours[1:], strict=False))
