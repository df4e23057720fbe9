import lap
import numpy as np
import pytest
from goldens import HERE, read_npz
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from mottool.association.assignment import (
    Matching,
    assign,
    assign_capped,
    assign_overlaps,
    pairs_within,
)

always = settings(derandomize=True, deadline=None, max_examples=200)
seeds = st.integers(0, 2**32 - 1)
sides = st.integers(0, 9)


def matched(costs, limit):
    return assign(*pairs_within(costs, limit), costs.shape, limit)


def total(costs, rows, cols, limit):
    alone = costs.shape[0] + costs.shape[1] - 2 * len(rows)
    return costs[rows, cols].sum() + alone * limit / 2


def best_total(costs, limit):
    """What lap finds where staying unmatched costs half the limit on each side."""
    if costs.size == 0:
        return sum(costs.shape) * limit / 2
    partner = lap.lapjv(costs, extend_cost=True, cost_limit=limit)[1]
    rows = np.flatnonzero(partner >= 0)
    return total(costs, rows, partner[rows], limit)


@given(seeds, sides, sides, st.sampled_from([2, 5, 1000]), st.sampled_from([0.0, 0.5, 0.9]))
@always
def test_the_total_is_that_of_lap(seed, rows, cols, levels, absent):
    """Few levels make ties, among them costs equal to the limit; absent pairs are infinite."""
    draw = np.random.default_rng(seed)
    costs = draw.integers(0, levels + 1, (rows, cols)) / levels
    costs[draw.random(costs.shape) < absent] = np.inf
    matching = matched(costs, 0.6)
    assert (costs[matching.rows, matching.cols] <= 0.6).all()
    assert sorted([*matching.rows, *matching.unmatched_rows]) == list(range(rows))
    assert sorted([*matching.cols, *matching.unmatched_cols]) == list(range(cols))
    assert matching.rows.tolist() == sorted(matching.rows)
    result = total(costs, matching.rows, matching.cols, 0.6)
    assert result == pytest.approx(best_total(costs, 0.6), abs=1e-12)


def test_many_small_components_are_solved_at_once():
    draw = np.random.default_rng(0)
    costs = np.full((240, 200), np.inf)
    for corner in range(0, 200, 4):
        costs[corner : corner + 4, corner : corner + 4] = draw.random((4, 4))
    matching = matched(costs, 0.5)
    result = total(costs, matching.rows, matching.cols, 0.5)
    assert result == pytest.approx(best_total(costs, 0.5), abs=1e-9)


def test_matchings_equal_the_authors():
    stored = read_npz(HERE / "association" / "units.npz")
    sizes, limits = stored["assign/n_m"], stored["assign/thresh"]
    for number, ((rows, cols), limit) in enumerate(zip(sizes, limits, strict=True)):
        costs = stored["assign/cost_padded_nan"][number, :rows, :cols]
        matching = matched(costs, limit)
        partner = np.full(rows, -1)
        partner[matching.rows] = matching.cols
        assert partner.tolist() == stored["assign/row_to_col"][number, :rows].tolist()


def test_names_replace_numbers():
    matching = Matching(*(np.array(part) for part in ([1], [0], [0, 2], [1])))
    named = matching.reindex(np.array([7, 8, 9]), np.array([4, 5]))
    assert [part.tolist() for part in named] == [[8], [4], [7, 9], [5]]


def by_the_book(overlaps, threshold):
    """SORT's association step by step: pairs, detections alone in their order, tracklets alone."""
    if overlaps.shape[1] == 0 or overlaps.shape[0] == 0:
        return [], list(range(overlaps.shape[0])), list(range(overlaps.shape[1]))
    over = overlaps > threshold
    if over.sum(axis=1).max() == 1 and over.sum(axis=0).max() == 1:
        pairs = list(zip(*np.nonzero(over), strict=True))
    else:
        partner = lap.lapjv(-overlaps, extend_cost=True)[1]
        pairs = [(row, col) for row, col in enumerate(partner) if col >= 0]
    alone = [row for row in range(len(overlaps)) if row not in {pair[0] for pair in pairs}]
    alone += [row for row, col in pairs if overlaps[row, col] < threshold]
    kept = [(row, col) for row, col in pairs if overlaps[row, col] >= threshold]
    taken = {col for _, col in kept}
    return kept, alone, [col for col in range(overlaps.shape[1]) if col not in taken]


@given(seeds, sides, sides, st.sampled_from([0.2, 0.6, 1.0]), st.sampled_from([5, 1000]))
@always
def test_overlaps_are_matched_as_sort_publishes_it(seed, rows, cols, share, levels):
    draw = np.random.default_rng(seed)
    overlaps = draw.integers(0, levels + 1, (rows, cols)) / levels
    overlaps *= draw.random(overlaps.shape) < share
    matching = assign_overlaps(overlaps, 0.3)
    pairs, alone, tracklets = by_the_book(overlaps, 0.3)
    assert list(zip(matching.rows, matching.cols, strict=True)) == pairs
    assert matching.unmatched_rows.tolist() == alone
    assert matching.unmatched_cols.tolist() == tracklets


@given(seeds, sides, sides, st.sampled_from([3, 1000]))
@always
def test_the_capped_matching_is_that_of_the_whole_matrix_cut_at_its_limit(seed, rows, cols, levels):
    """Distances above the limit all count as just above it, and are parted in scipy's order."""
    limit = 0.5
    costs = np.random.default_rng(seed).integers(0, levels, (rows, cols)) / levels
    result = assign_capped(costs, limit)
    row, col = linear_sum_assignment(np.where(costs > limit, limit + 1e-5, costs))
    near = costs[row, col] <= limit
    assert result.rows.tolist() == row[near].tolist()
    assert result.cols.tolist() == col[near].tolist()
    left_over = sorted({*range(cols)} - {*col.tolist()})
    assert result.unmatched_cols.tolist() == left_over + col[~near].tolist()
    assert sorted(result.unmatched_rows.tolist()) == sorted({*range(rows)} - {*row[near].tolist()})
