import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.metrics import reid
from mottool.metrics.detection import size_of
from mottool.metrics.reid import halves, search


def unit(rows):
    rows = np.asarray(rows, np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def market(queries, wanted, gallery, identities):
    """Market-1501's measure, one query at a time, as re-identification packages write it."""
    ranks, precisions = [], []
    for query, who in zip(queries, wanted, strict=True):
        order = np.argsort(1 - gallery @ query, kind="stable")
        right = identities[order] == who
        if not right.any():
            continue
        ranks.append(float(right[0]))
        at = np.flatnonzero(right)
        precisions.append(np.mean([(place + 1) / (rank + 1) for place, rank in enumerate(at)]))
    return np.mean(ranks), np.mean(precisions)


def test_a_ranking_drawn_by_hand():
    gallery = unit([[1, 0], [10, 1], [10, 3], [10, 6], [0, 1]])
    rank_1, precision = search(
        unit([[1, 0], [1, 0], [1, 0]]), np.array([7, 8, 9]), gallery, np.array([7, 8, 7, 7, 8])
    )
    assert rank_1.tolist()[:2] == [1, 0]
    # Right at ranks 1, 3, 4, and at 2, 5.
    assert precision[:2] == pytest.approx([(1 + 2 / 3 + 3 / 4) / 3, (1 / 2 + 2 / 5) / 2])
    assert np.isnan([rank_1[2], precision[2]]).all()  # nobody asks for who is not there


def test_nothing_to_search_in():
    rank_1, precision = search(np.eye(2), np.array([0, 1]), np.zeros((0, 2)), np.zeros(0, int))
    assert np.isnan([rank_1, precision]).all()
    assert search(np.zeros((0, 2)), np.zeros(0, int), np.eye(2), np.arange(2))[0].shape == (0,)


def test_every_track_is_halved_in_time():
    identities = np.array([3, 5, 3, 5, 3, 9, 3, 5])
    assert halves(identities).tolist() == [True, True, True, False, False, False, False, False]


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 60))
def test_it_is_the_measure_of_market_1501(seed, asked, shown):
    draw = np.random.default_rng(seed)
    queries, gallery = unit(draw.normal(size=(asked, 5))), unit(draw.normal(size=(shown, 5)))
    wanted, identities = draw.integers(0, 4, asked), draw.integers(0, 4, shown)
    rank_1, precision = search(queries, wanted, gallery, identities)
    if not np.isin(wanted, identities).any():
        assert np.isnan(precision).all()
        return
    expected = market(queries, wanted, gallery, identities)
    assert (np.nanmean(rank_1), np.nanmean(precision)) == pytest.approx(expected)


def test_blocks_are_seamless(monkeypatch):
    draw = np.random.default_rng(0)
    queries, gallery = unit(draw.normal(size=(50, 4))), unit(draw.normal(size=(30, 4)))
    who = draw.integers(0, 5, 50), draw.integers(0, 5, 30)
    whole = search(queries, who[0], gallery, who[1])
    monkeypatch.setattr(reid, "CELLS", 7 * 30)
    np.testing.assert_array_equal(search(queries, who[0], gallery, who[1]), whole)


def test_both_limits_are_medium():
    areas = np.array([0.0, 6999.9, 7000, 15000, 15000.1])
    assert size_of(areas).tolist() == [0, 0, 1, 1, 2]
