import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.metrics import reid
from mottool.metrics.detection import size_of
from mottool.metrics.reid import rank_gallery, split_query_gallery


def unit(rows):
    rows = np.asarray(rows, np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def market(queries, query_identities, gallery, identities):
    """Compute Market-1501's metrics one query at a time, as re-identification packages do."""
    ranks, precisions = [], []
    for query, identity in zip(queries, query_identities, strict=True):
        order = np.argsort(1 - gallery @ query, kind="stable")
        correct = identities[order] == identity
        if not correct.any():
            continue
        ranks.append(float(correct[0]))
        positions = np.flatnonzero(correct)
        precision = [count / (rank + 1) for count, rank in enumerate(positions, 1)]
        precisions.append(np.mean(precision))
    return np.mean(ranks), np.mean(precisions)


def test_a_ranking_by_hand():
    gallery = unit([[1, 0], [10, 1], [10, 3], [10, 6], [0, 1]])
    rank_1, precision = rank_gallery(
        unit([[1, 0], [1, 0], [1, 0]]), np.array([7, 8, 9]), gallery, np.array([7, 8, 7, 7, 8])
    )
    assert rank_1.tolist()[:2] == [1, 0]
    # Correct at ranks 1, 3, 4, and at 2, 5.
    assert precision[:2] == pytest.approx([(1 + 2 / 3 + 3 / 4) / 3, (1 / 2 + 2 / 5) / 2])
    assert np.isnan([rank_1[2], precision[2]]).all()  # an identity that is not in the gallery


def test_an_empty_gallery():
    rank_1, precision = rank_gallery(
        np.eye(2), np.array([0, 1]), np.zeros((0, 2)), np.zeros(0, int)
    )
    assert np.isnan([rank_1, precision]).all()
    assert rank_gallery(np.zeros((0, 2)), np.zeros(0, int), np.eye(2), np.arange(2))[0].shape == (
        0,
    )


def test_the_first_half_of_every_track_is_queries():
    identities = np.array([3, 5, 3, 5, 3, 9, 3, 5])
    assert split_query_gallery(identities).tolist() == [
        True,
        True,
        True,
        False,
        False,
        False,
        False,
        False,
    ]


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 60))
def test_metrics_equal_those_of_market_1501(seed, asked, shown):
    draw = np.random.default_rng(seed)
    queries, gallery = unit(draw.normal(size=(asked, 5))), unit(draw.normal(size=(shown, 5)))
    query_identities, identities = draw.integers(0, 4, asked), draw.integers(0, 4, shown)
    rank_1, precision = rank_gallery(queries, query_identities, gallery, identities)
    if not np.isin(query_identities, identities).any():
        assert np.isnan(precision).all()
        return
    expected = market(queries, query_identities, gallery, identities)
    assert (np.nanmean(rank_1), np.nanmean(precision)) == pytest.approx(expected)


def test_blocks_do_not_change_the_ranking(monkeypatch):
    draw = np.random.default_rng(0)
    queries, gallery = unit(draw.normal(size=(50, 4))), unit(draw.normal(size=(30, 4)))
    ids = draw.integers(0, 5, 50), draw.integers(0, 5, 30)
    expected = rank_gallery(queries, ids[0], gallery, ids[1])
    monkeypatch.setattr(reid, "CELLS", 7 * 30)
    np.testing.assert_array_equal(rank_gallery(queries, ids[0], gallery, ids[1]), expected)


def test_both_limits_are_medium():
    """FairMOT's Table 3: "Small: area smaller than 6000; Medium: area from 6000 to 25000"."""
    areas = np.array([0.0, 5999.9, 6000, 25000, 25000.1])
    assert size_of(areas).tolist() == [0, 0, 1, 1, 2]


def test_the_trapezoid_by_hand():
    gallery = unit([[1, 0], [10, 1], [10, 3], [10, 6], [0, 1]])
    queries, identities = unit([[1, 0], [1, 0]]), np.array([7, 8])
    shown = np.array([7, 8, 7, 7, 8])
    rank_1, precision = rank_gallery(queries, identities, gallery, shown, trapezoid=True)
    assert rank_1.tolist() == [1, 0]
    # Identity 7 is at ranks 1, 3 and 4. The precision is 1, 2/3, 3/4 there, and 1, 1/2, 2/3 before.
    assert precision[0] == pytest.approx((2 / 2 + (1 / 2 + 2 / 3) / 2 + (2 / 3 + 3 / 4) / 2) / 3)
    # Identity 8 is at ranks 2 and 5. The precision is 1/2, 2/5 there, and 0, 1/4 before.
    assert precision[1] == pytest.approx(((0 + 1 / 2) / 2 + (1 / 4 + 2 / 5) / 2) / 2)
