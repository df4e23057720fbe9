"""Optimal assignment of tracklets to detections over a sparse set of candidate pairs.

A pair has a row (usually a tracklet), a column (a detection) and a cost. If leaving a row and a
column unmatched costs half the limit each, no pair above the limit is ever chosen. The problem
then splits into the connected components of the other pairs, most of which are a single pair.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import lap
import numpy as np
import numpy.typing as npt

from mottool.linear_assignment import linear_sum_assignment

__all__ = [
    "Matching",
    "assign",
    "assign_by_total",
    "assign_capped",
    "assign_overlaps",
    "pairs_within",
]

Floats = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.intp]


class Matching(NamedTuple):
    """Matched `rows` with their `cols`, both (k,) and sorted by row, and the unmatched of both."""

    rows: Indices
    cols: Indices
    unmatched_rows: Indices
    unmatched_cols: Indices

    @classmethod
    def empty(cls, rows: Indices, cols: Indices) -> "Matching":
        """Return the matching in which all of `rows` and `cols` are unmatched."""
        return cls(rows[:0], cols[:0], rows, cols)

    def reindex(self, rows: Indices, cols: Indices) -> "Matching":
        """Replace each row index r by `rows[r]` and each column index c by `cols[c]`."""
        return Matching(
            rows[self.rows], cols[self.cols], rows[self.unmatched_rows], cols[self.unmatched_cols]
        )


def pairs_within(costs: Floats, cost_limit: float) -> tuple[Indices, Indices, Floats]:
    """Return rows, columns and costs of the pairs in `costs` (R, C) of at most `cost_limit`."""
    width, costs = costs.shape[1], costs.ravel()
    flattened = (costs <= cost_limit).nonzero()[0]
    rows, cols = np.divmod(flattened, max(width, 1))
    return rows, cols, costs[flattened]


def assign(
    rows: Indices, cols: Indices, costs: Floats, shape: tuple[int, int], cost_limit: float
) -> Matching:
    """Return the matching of least total cost; an unmatched row or column costs `cost_limit` / 2.

    The pairs (K,) are of `shape` (R, C), cost at most `cost_limit` and are sorted by row. The total
    is that of `lap.lapjv(dense, extend_cost=True, cost_limit=cost_limit)`.
    """
    is_contested = (np.bincount(rows) > 1)[rows] | (np.bincount(cols) > 1)[cols]  # (K,)
    contested = is_contested.nonzero()[0]
    if len(contested):
        gains = costs[contested] - cost_limit
        chosen = ~is_contested
        chosen[contested] = _choose_pairs(rows[contested], cols[contested], gains)
        rows, cols = rows[chosen], cols[chosen]
    return _matching(rows, cols, shape)


def _choose_pairs(rows: Indices, cols: Indices, gains: Floats) -> npt.NDArray[np.bool_]:
    """Return which pairs (K,) an optimal matching contains; `gains` <= 0 are cost minus limit."""
    row_ids, col_ids = np.bincount(rows).nonzero()[0], np.bincount(cols).nonzero()[0]
    rows, cols = np.searchsorted(row_ids, rows), np.searchsorted(col_ids, cols)
    # A gain of zero means unmatched, so the matrix needs no extension.
    dense = np.zeros((len(row_ids), len(col_ids)))
    dense[rows, cols] = gains
    partner = np.empty(len(row_ids), np.intp)
    partner.fill(-1)
    matched, partners = linear_sum_assignment(dense)
    partner[matched] = partners
    chosen: npt.NDArray[np.bool_] = partner[rows] == cols
    return chosen


def _matching(rows: Indices, cols: Indices, shape: tuple[int, int]) -> Matching:
    return Matching(rows, cols, _unmatched(rows, shape[0]), _unmatched(cols, shape[1]))


def _unmatched(matched: Indices, count: int) -> Indices:
    """Return the indices below `count` that are not in `matched`."""
    is_matched = np.zeros(count, np.bool_)
    is_matched[matched] = True
    return (~is_matched).nonzero()[0]


def assign_overlaps(
    overlaps: Floats, threshold: float, gains: Callable[[], Floats] | None = None
) -> Matching:
    """Match detections (rows) with tracklets (columns) by their IoU (D, T), as SORT does.

    If the pairs above `threshold` are one-to-one, they are the result. Otherwise `assign_by_total`
    maximises the total of `gains()` (D, T), by default of the IoU.
    """
    if not overlaps.size:
        return Matching.empty(np.arange(overlaps.shape[0]), np.arange(overlaps.shape[1]))
    flattened = (overlaps > threshold).ravel().nonzero()[0]
    if 0 < len(flattened) <= min(overlaps.shape):
        rows, cols = np.divmod(flattened, overlaps.shape[1])
        if np.bincount(rows).max() == 1 and np.bincount(cols).max() == 1:
            return _matching(rows, cols, overlaps.shape)
    return assign_by_total(overlaps, threshold, None if gains is None else gains())


def assign_by_total(overlaps: Floats, threshold: float, gains: Floats | None = None) -> Matching:
    """Maximise the total of `gains` (D, T), by default of the IoU; drop pairs below `threshold`.

    `unmatched_rows` lists the rows without a partner before those of dropped pairs, as in SORT's
    published code: new identities depend on this order, and on ties, which `lap` resolves. Gains
    that are not the IoU seldom tie, and if every row gets a partner, `scipy` is faster.
    """
    if gains is None or len(gains) > gains.shape[1]:
        costs = -(overlaps if gains is None else gains)
        partner = lap.lapjv(costs, extend_cost=True, return_cost=False)[0]  # (D,)
        rows = (partner >= 0).nonzero()[0]
        cols = partner[rows]
    else:
        rows, cols = linear_sum_assignment(gains, maximize=True)
    close = overlaps[rows, cols] >= threshold
    unmatched_rows = np.concatenate((_unmatched(rows, len(overlaps)), rows[~close]))
    rows, cols = rows[close], cols[close]
    return Matching(rows, cols, unmatched_rows, _unmatched(cols, overlaps.shape[1]))


def assign_capped(costs: Floats, cost_limit: float) -> Matching:
    """Match as many pairs as possible, then drop those above `cost_limit`, as DeepSORT does.

    In the matrix (R, C) all costs above the limit count as slightly more than the limit.
    `unmatched_rows` and `unmatched_cols` list what has no partner before what is in dropped pairs,
    as in the published code: new identities depend on this order. `scipy` resolves ties.
    """
    row, col = linear_sum_assignment(np.where(costs > cost_limit, cost_limit + 1e-5, costs))
    close = costs[row, col] <= cost_limit
    assigned = _matching(row, col, costs.shape)
    return Matching(
        row[close],
        col[close],
        np.concatenate((assigned.unmatched_rows, row[~close])),
        np.concatenate((assigned.unmatched_cols, col[~close])),
    )
