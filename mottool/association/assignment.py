"""Who is matched with whom: optimal assignment over the few pairs that are worth it.

A pair is a tracklet (row), a detection (column) and a cost. Where staying unmatched costs half
the limit on each side, a pair above the limit is never chosen, so the problem falls apart into
the connected components of the other pairs, and most of these are a single pair.
"""

from typing import Any, NamedTuple

import lap
import numpy as np
import numpy.typing as npt

__all__ = ["Matching", "assign", "assign_capped", "assign_overlaps", "pairs_within"]

Floats = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.intp]


class Matching(NamedTuple):
    """Matched `rows` with their `cols`, both (k,), by row, and who stayed `alone` on each side."""

    rows: Indices
    cols: Indices
    rows_alone: Indices
    cols_alone: Indices

    @classmethod
    def nothing(cls, rows: Indices, cols: Indices) -> "Matching":
        """The matching in which all of `rows` and `cols` are alone."""
        return cls(rows[:0], cols[:0], rows, cols)

    def named(self, rows: Indices, cols: Indices) -> "Matching":
        """The same matching told in the names of its rows and columns."""
        return Matching(
            rows[self.rows], cols[self.cols], rows[self.rows_alone], cols[self.cols_alone]
        )


def pairs_within(costs: Floats, limit: float) -> tuple[Indices, Indices, Floats]:
    """The pairs of a dense matrix (R, C) whose cost is at most `limit`: rows, columns, costs."""
    width, costs = costs.shape[1], costs.ravel()
    flat = (costs <= limit).nonzero()[0]
    rows, cols = np.divmod(flat, max(width, 1))
    return rows, cols, costs[flat]


def assign(
    rows: Indices, cols: Indices, costs: Floats, shape: tuple[int, int], limit: float
) -> Matching:
    """The matching of least total cost where each row and column left alone costs `limit` / 2.

    The pairs (K,), of `shape` (R, C), are those that cost at most `limit`, in order of their rows.
    The total is that of `lap.lapjv(dense, extend_cost=True, cost_limit=limit)`.
    """
    contested = (np.bincount(rows) > 1)[rows] | (np.bincount(cols) > 1)[cols]  # (K,)
    rivals = contested.nonzero()[0]
    if len(rivals):
        gains = costs[rivals] - limit
        chosen = ~contested
        chosen[rivals] = _chosen(rows[rivals], cols[rivals], gains)
        rows, cols = rows[chosen], cols[chosen]
    return _matching(rows, cols, shape)


def _chosen(rows: Indices, cols: Indices, gains: Floats) -> npt.NDArray[np.bool_]:
    """Which of the pairs (K,) an optimal matching takes, `gains` <= 0 being cost minus limit."""
    from scipy.optimize import linear_sum_assignment  # takes as long to load as all the rest

    row_names, col_names = np.bincount(rows).nonzero()[0], np.bincount(cols).nonzero()[0]
    rows, cols = np.searchsorted(row_names, rows), np.searchsorted(col_names, cols)
    # Gaining nothing stands for being left alone, so the matrix needs no extension.
    dense = np.zeros((len(row_names), len(col_names)))
    dense[rows, cols] = gains
    partner = np.empty(len(row_names), np.intp)
    partner.fill(-1)
    matched, partners = linear_sum_assignment(dense)
    partner[matched] = partners
    chosen: npt.NDArray[np.bool_] = partner[rows] == cols
    return chosen


def _matching(rows: Indices, cols: Indices, shape: tuple[int, int]) -> Matching:
    row_alone, col_alone = np.ones(shape[0], np.bool_), np.ones(shape[1], np.bool_)
    row_alone[rows] = False
    col_alone[cols] = False
    return Matching(rows, cols, row_alone.nonzero()[0], col_alone.nonzero()[0])


def assign_overlaps(overlaps: Floats, threshold: float) -> Matching:
    """SORT's matching of detections (rows) with tracklets (columns) by their IoU (D, T).

    Pairs over `threshold` that are one to one are taken as they are; else the total IoU is made
    as large as can be, and pairs below `threshold` are parted again. `rows_alone` has those who
    were left over before those who were parted, as the published code does: the new identities
    follow that order, and so do ties between pairs that do not overlap, so `lap` decides them.
    """
    shape = overlaps.shape
    flat = (overlaps > threshold).ravel().nonzero()[0]
    rows, cols = np.divmod(flat, max(shape[1], 1))
    one_to_one = len(rows) and np.bincount(rows).max() == 1 and np.bincount(cols).max() == 1
    if one_to_one or not overlaps.size:
        return _matching(rows, cols, shape)
    partner = lap.lapjv(-overlaps, extend_cost=True)[1]  # (D,)
    assigned = (partner >= 0).nonzero()[0]
    partners = partner[assigned]
    close = overlaps[assigned, partners] >= threshold
    matching = _matching(assigned[close], partners[close], shape)
    parted = assigned[~close]
    left_over = (partner < 0).nonzero()[0]
    return matching._replace(rows_alone=np.concatenate((left_over, parted)))


def assign_capped(costs: Floats, limit: float) -> Matching:
    """DeepSORT's matching: as many pairs as there can be, those above `limit` parted again.

    In the matrix (R, C) all that is above the limit counts the same, just above it. In
    `cols_alone` who was left over comes before who was parted, as in the published code: the new
    identities follow that order, and which of the two somebody is, where it does not matter to the
    cost, is up to `scipy`.
    """
    from scipy.optimize import linear_sum_assignment

    row, col = linear_sum_assignment(np.where(costs > limit, limit + 1e-5, costs))
    near = costs[row, col] <= limit
    left_over = _matching(row, col, costs.shape)
    return Matching(
        row[near],
        col[near],
        np.concatenate((left_over.rows_alone, row[~near])),
        np.concatenate((left_over.cols_alone, col[~near])),
    )
