"""Optimal one-to-one matching of overlapping boxes, over all frames of a sequence at once.

The metrics ask for the assignment of largest total weight in every frame. Nearly all of it can be
read off: a pair that outweighs all others of its row and its column together is in every optimal
assignment. What is left falls apart into small connected components for
`scipy.optimize.linear_sum_assignment`. Where the optimum is not unique (duplicate boxes), the
frame's whole matrix is solved as TrackEval solves it, so that the same one is chosen.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mottool.metrics.pairs import EPSILON, OverlappingPairs

__all__ = ["best_matching", "components", "settle"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

TIE = 1e-9  # two totals closer than this, relatively, may be one and the same but for rounding


def best_matching(pairs: OverlappingPairs, weights: Floats) -> Bools:
    """The pairs of the assignment with the largest sum of weights in each frame, a mask (p,).

    `weights` (p,) are not negative; a pair of weight 0 is never matched.
    """
    chosen = np.zeros(len(weights), bool)
    left = np.flatnonzero(weights > EPSILON)
    while len(left):
        rows, columns, weight = pairs.truth[left], pairs.result[left], weights[left]
        sure = weight > (_others(rows, weight) + _others(columns, weight)) * (1 + TIE)
        if not sure.any():
            break
        chosen[left[sure]] = True
        taken = np.zeros(rows.max() + 1, bool)
        taken[rows[sure]] = True
        taken_columns = np.zeros(columns.max() + 1, bool)
        taken_columns[columns[sure]] = True
        left = left[~(taken[rows] | taken_columns[columns])]
    for part in components(pairs.truth[left], pairs.result[left]):
        chosen[settle(pairs, left[part].tolist(), weights.__getitem__)] = True
    return chosen


def _others(groups: Ints, weight: Floats) -> Floats:
    """For each pair the summed weight of the others in its group, exactly 0 if it is alone."""
    others: Floats = np.bincount(groups, weight)[groups] - weight
    return others


def components(rows: Ints, columns: Ints) -> list[list[int]]:
    """Split the pairs (rows[i], columns[i]) into those that are linked by common boxes.

    Gives lists of i, in the order of their first: a sequence's pairs come frame by frame.
    """
    if not len(rows):
        return []
    row, column = rows - rows.min(), columns - columns.min()
    height, width = int(row.max()) + 1, int(column.max()) + 1
    links = coo_array((np.ones(len(row)), (row, height + column)), shape=(height + width,) * 2)
    label = connected_components(links, directed=False)[1][row]  # (n,)
    parts: dict[int, list[int]] = {}
    for i, part in enumerate(label.tolist()):
        parts.setdefault(part, []).append(i)
    return list(parts.values())


def settle(pairs: OverlappingPairs, part: list[int], weigh: Callable[[Ints], Floats]) -> list[int]:
    """The optimal pairs among `part`, numbers of linked pairs of one frame.

    `weigh` gives the weights of pairs; it is asked for those of the whole frame only where the
    optimum of `part` is not unique.
    """
    numbers = np.array(part)
    rows, columns = pairs.truth[numbers].tolist(), pairs.result[numbers].tolist()
    row, column = ({name: i for i, name in enumerate(dict.fromkeys(x))} for x in (rows, columns))
    places = [(row[r], column[c]) for r, c in zip(rows, columns, strict=True)]
    matrix = np.zeros((len(row), len(column)))
    matrix[tuple(zip(*places, strict=True))] = weigh(numbers)
    matched, total = _solve(matrix)
    for place in matched:
        without = matrix.copy()
        without[place] = 0
        if _solve(without)[1] >= total * (1 - TIE):
            whole = set(_whole_frame(pairs, rows[0], weigh))
            return [number for number in part if number in whole]
    return [number for number, place in zip(part, places, strict=True) if place in matched]


def _solve(matrix: Floats) -> tuple[set[tuple[int, int]], float]:
    """The places of the optimal assignment and their sum."""
    rows, columns = linear_sum_assignment(matrix, maximize=True)
    weights = matrix[rows, columns].tolist()
    found = zip(rows.tolist(), columns.tolist(), weights, strict=True)
    return {(r, c) for r, c, weight in found if weight > EPSILON}, sum(weights)


def _whole_frame(pairs: OverlappingPairs, row: int, weigh: Callable[[Ints], Floats]) -> list[int]:
    """The optimal pairs of the frame that holds truth `row`, from its whole matrix of weights."""
    frame = int(np.searchsorted(pairs.truth_ptr, row, "right")) - 1
    top, bottom = pairs.truth_ptr[frame : frame + 2]
    first, last = pairs.result_ptr[frame : frame + 2]
    which = np.arange(*np.searchsorted(pairs.truth, [top, bottom]))
    place = (pairs.truth[which] - top, pairs.result[which] - first)
    matrix = np.zeros((bottom - top, last - first))
    matrix[place] = weigh(which)
    number = np.full(matrix.shape, -1)
    number[place] = which
    rows, columns = linear_sum_assignment(-matrix)
    real = matrix[rows, columns] > EPSILON
    whole: list[int] = number[rows, columns][real].tolist()
    return whole
