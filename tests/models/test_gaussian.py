"""Gaussian bumps on heatmaps, against the authors' definition and by their properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.models.gaussian import draw, radius


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    # What the authors' code says of boxes, in cells.
    [(1, 1, 0.27332), (10, 10, 2.7332), (40, 100, 15.85956), (13, 57, 5.98582), (300, 7, 4.06577)],
)
def test_the_radius_is_the_authors(width, height, expected):
    assert radius(width, height) == pytest.approx(expected, abs=1e-5)


@settings(derandomize=True, deadline=None)
@given(width=st.floats(1, 1000), height=st.floats(1, 1000), factor=st.floats(1, 10))
def test_the_radius_grows_with_the_box_and_is_the_same_lying_down(width, height, factor):
    assert radius(width, height) == pytest.approx(radius(height, width))
    assert radius(width * factor, height * factor) == pytest.approx(radius(width, height) * factor)
    assert 0 < radius(width, height) < min(width, height)


@settings(derandomize=True, deadline=None)
@given(x=st.integers(0, 29), y=st.integers(0, 19), reach=st.integers(0, 40))
def test_a_bump_is_a_gaussian_cut_off_at_its_reach_and_at_the_map(x, y, reach):
    heatmap = np.zeros((20, 30), np.float32)
    draw(heatmap, x, y, reach)
    rows, columns = np.mgrid[:20, :30]
    deviation = (2 * reach + 1) / 6
    expected = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * deviation**2))
    expected[(abs(rows - y) > reach) | (abs(columns - x) > reach)] = 0
    np.testing.assert_allclose(heatmap, expected, atol=1e-6)
    assert heatmap[y, x] == 1


def test_of_two_bumps_the_higher_one_shows_whatever_the_order():
    one, other, both, swapped = (np.zeros((20, 30), np.float32) for _ in range(4))
    draw(one, 10, 10, 6)
    draw(other, 14, 9, 8)
    for heatmap, order in ((both, (0, 1)), (swapped, (1, 0))):
        for which in order:
            draw(heatmap, *((10, 10, 6), (14, 9, 8))[which])
    np.testing.assert_array_equal(both, np.maximum(one, other))
    np.testing.assert_array_equal(both, swapped)
