import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from mottool.metrics.matching import best_matching, connected_groups
from mottool.metrics.pairs import OverlappingPairs


def random_frames(draw, count, levels):
    """Random weights for `count` frames, and the same as pairs; few levels make many ties."""
    matrices, truth, result, weight = [], [], [], []
    truth_ptr, result_ptr = [0], [0]
    for _ in range(count):
        shape = draw.integers(0, 9, 2)
        matrix = draw.random(shape) * (draw.random(shape) < 0.4)
        matrix = np.ceil(matrix * levels) / levels
        rows, columns = np.nonzero(matrix)
        matrices.append(matrix)
        truth.append(rows + truth_ptr[-1])
        result.append(columns + result_ptr[-1])
        weight.append(matrix[rows, columns])
        truth_ptr.append(truth_ptr[-1] + shape[0])
        result_ptr.append(result_ptr[-1] + shape[1])
    columns = [np.concatenate(column) for column in (truth, result, weight)]
    pairs = OverlappingPairs(*columns, np.array(truth_ptr), np.array(result_ptr))
    return matrices, pairs, columns[2]


@given(st.integers(0, 10**6), st.sampled_from([2, 4, 10**9]))
@settings(derandomize=True, deadline=None, max_examples=100)
def test_each_frame_has_scipys_assignment_ties_included(seed, levels):
    matrices, pairs, weights = random_frames(np.random.default_rng(seed), 4, levels)
    chosen = best_matching(pairs, weights)
    for frame, matrix in enumerate(matrices):
        row, column = pairs.truth_ptr[frame], pairs.result_ptr[frame]
        in_frame = chosen & (pairs.truth >= row) & (pairs.truth < pairs.truth_ptr[frame + 1])
        rows, columns = linear_sum_assignment(-matrix)
        positive = matrix[rows, columns] > 0
        expected = zip(rows[positive].tolist(), columns[positive].tolist(), strict=True)
        matched_rows, matched_columns = pairs.truth[in_frame] - row, pairs.result[in_frame] - column
        matched = zip(matched_rows.tolist(), matched_columns.tolist(), strict=True)
        assert set(matched) == set(expected)


def test_groups_are_connected_by_rows_and_columns_and_come_in_order():
    rows, columns = np.array([5, 5, 6, 7, 8, 8]), np.array([1, 2, 2, 9, 4, 3])
    assert connected_groups(rows, columns) == [[0, 1, 2], [3], [4, 5]]
    assert connected_groups(rows[:0], columns[:0]) == []
    steps = np.arange(2001)  # one chain, whose ends are far from each other
    order = np.random.default_rng(0).permutation(2001)
    assert connected_groups((steps // 2)[order], ((steps + 1) // 2)[order]) == [[*range(2001)]]


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), unique=True, max_size=20))
@settings(derandomize=True, deadline=None)
def test_pairs_are_in_one_group_if_a_chain_of_common_boxes_joins_them(cells):
    rows, columns = np.array(cells, np.int64).reshape(-1, 2).T
    joined = (rows[:, None] == rows) | (columns[:, None] == columns)  # (p, p)
    for _ in cells:
        joined = joined @ joined
    expected = {tuple(row.nonzero()[0].tolist()): None for row in joined}  # in order, once each
    assert connected_groups(rows, columns) == [list(group) for group in expected]
