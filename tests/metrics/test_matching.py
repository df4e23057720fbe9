import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from mottool.metrics.matching import best_matching, components
from mottool.metrics.pairs import OverlappingPairs


def frames_of(draw, count, levels):
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
    flat = [np.concatenate(column) for column in (truth, result, weight)]
    return matrices, OverlappingPairs(*flat, np.array(truth_ptr), np.array(result_ptr)), flat[2]


@given(st.integers(0, 10**6), st.sampled_from([2, 4, 10**9]))
@settings(derandomize=True, deadline=None, max_examples=100)
def test_each_frame_gets_scipys_assignment_ties_included(seed, levels):
    matrices, pairs, weights = frames_of(np.random.default_rng(seed), 4, levels)
    chosen = best_matching(pairs, weights)
    for frame, matrix in enumerate(matrices):
        top, left = pairs.truth_ptr[frame], pairs.result_ptr[frame]
        here = chosen & (pairs.truth >= top) & (pairs.truth < pairs.truth_ptr[frame + 1])
        rows, columns = linear_sum_assignment(-matrix)
        real = matrix[rows, columns] > 0
        expected = set(zip(rows[real].tolist(), columns[real].tolist(), strict=True))
        found = zip(
            (pairs.truth[here] - top).tolist(), (pairs.result[here] - left).tolist(), strict=True
        )
        assert set(found) == expected


def test_components_are_linked_by_rows_and_columns_and_come_in_order():
    rows, columns = np.array([5, 5, 6, 7, 8, 8]), np.array([1, 2, 2, 9, 4, 3])
    assert components(rows, columns) == [[0, 1, 2], [3], [4, 5]]
    assert components(rows[:0], columns[:0]) == []
