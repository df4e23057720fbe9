"""Optimal one-to-one matching of overlapping boxes, vectorised over all frames of a sequence.

The metrics need the assignment of largest total weight in every frame. Most of it needs no solver:
a pair that outweighs all others of its row and its column together is in every optimal assignment.
The remaining pairs form small connected groups, which `scipy.optimize.linear_sum_assignment`
solves. Where the optimum is not unique (duplicate boxes), the matrix of the complete frame is
solved as in TrackEval, so that the same assignment is chosen.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mottool.linear_assignment import linear_sum_assignment
from mottool.metrics.pairs import EPSILON, OverlappingPairs

__all__ = ["best_matching", "connected_groups", "match_group"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

TIE = 1e-9  # relative difference up to which two totals count as equal


def best_matching(pairs: OverlappingPairs, weights: Floats) -> Bools:
    """Match the boxes of each frame so that the sum of weights is largest; return a mask (p,).

    `weights` (p,) are not negative; a pair of weight 0 is never matched.
    """
    chosen = np.zeros(len(weights), bool)
    remaining = np.flatnonzero(weights > EPSILON)
    while len(remaining):
        rows, columns = pairs.truth[remaining], pairs.result[remaining]
        weight = weights[remaining]
        others = _other_weights(rows, weight) + _other_weights(columns, weight)
        certain = weight > others * (1 + TIE)
        if not certain.any():
            break
        chosen[remaining[certain]] = True
        taken_rows = np.zeros(rows.max() + 1, bool)
        taken_rows[rows[certain]] = True
        taken_columns = np.zeros(columns.max() + 1, bool)
        taken_columns[columns[certain]] = True
        remaining = remaining[~(taken_rows[rows] | taken_columns[columns])]
    for group in connected_groups(pairs.truth[remaining], pairs.result[remaining]):
        chosen[match_group(pairs, remaining[group].tolist(), weights.__getitem__)] = True
    return chosen


def _other_weights(boxes: Ints, weight: Floats) -> Floats:
    """Return the summed weight of the other pairs of each pair's box, exactly 0 without any."""
    others: Floats = np.bincount(boxes, weight)[boxes] - weight
    return others


def connected_groups(rows: Ints, columns: Ints) -> list[list[int]]:
    """Split the pairs (rows[i], columns[i]) into groups that are connected by common boxes.

    Returns lists of i, ordered by their first: the pairs of a sequence are sorted by frame.
    """
    labels = np.arange(len(rows))  # (p,) another pair of the group, in the end its first one
    previous = np.full(len(rows), -1)
    while not np.array_equal(labels, previous):
        previous = labels
        for boxes in (rows, columns):
            first = np.full(boxes.max() + 1, len(rows))
            np.minimum.at(first, boxes, labels)
            labels = first[boxes]
        labels = labels[labels]  # which halves the way to the first one
    order = labels.argsort(kind="stable")
    bounds = (np.diff(labels[order], prepend=-1, append=-1) != 0).nonzero()[0].tolist()
    indices = order.tolist()
    return [indices[start:stop] for start, stop in pairwise(bounds)]


def match_group(
    pairs: OverlappingPairs, group: list[int], weigh: Callable[[Ints], Floats]
) -> list[int]:
    """Return the optimal pairs of a `group`, indices of connected pairs of one frame.

    `weigh` computes the weights of pairs, by their indices. It is called for all pairs of the frame
    only where the optimum of the group is not unique.
    """
    indices = np.array(group)
    rows, columns = pairs.truth[indices].tolist(), pairs.result[indices].tolist()
    row, column = ({box: i for i, box in enumerate(dict.fromkeys(x))} for x in (rows, columns))
    cells = [(row[r], column[c]) for r, c in zip(rows, columns, strict=True)]
    matrix = np.zeros((len(row), len(column)))
    matrix[tuple(zip(*cells, strict=True))] = weigh(indices)
    matched, total = _solve(matrix)
    for cell in matched:
        without = matrix.copy()
        without[cell] = 0
        if _solve(without)[1] >= total * (1 - TIE):
            frame = set(_match_frame(pairs, rows[0], weigh))
            return [index for index in group if index in frame]
    return [index for index, cell in zip(group, cells, strict=True) if cell in matched]


def _solve(matrix: Floats) -> tuple[set[tuple[int, int]], float]:
    """Return the cells of the optimal assignment and their sum."""
    rows, columns = linear_sum_assignment(matrix, maximize=True)
    weights = matrix[rows, columns].tolist()
    cells = zip(rows.tolist(), columns.tolist(), weights, strict=True)
    return {(r, c) for r, c, weight in cells if weight > EPSILON}, sum(weights)


def _match_frame(pairs: OverlappingPairs, row: int, weigh: Callable[[Ints], Floats]) -> list[int]:
    """Return the optimal pairs of the frame of ground-truth row `row`, from its complete matrix."""
    frame = int(np.searchsorted(pairs.truth_ptr, row, "right")) - 1
    first_row, end_row = pairs.truth_ptr[frame : frame + 2]
    first_column, end_column = pairs.result_ptr[frame : frame + 2]
    indices = np.arange(*np.searchsorted(pairs.truth, [first_row, end_row]))
    cells = (pairs.truth[indices] - first_row, pairs.result[indices] - first_column)
    matrix = np.zeros((end_row - first_row, end_column - first_column))
    matrix[cells] = weigh(indices)
    index = np.full(matrix.shape, -1)
    index[cells] = indices
    rows, columns = linear_sum_assignment(-matrix)
    positive = matrix[rows, columns] > EPSILON
    matched: list[int] = index[rows, columns][positive].tolist()
    return matched
