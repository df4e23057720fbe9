"""Differences between two trackers of one sequence: single boxes, and differing identities."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mottool.linear_assignment import linear_sum_assignment
from mottool.metrics.matching import best_matching
from mottool.metrics.pairs import overlapping, renumber
from mottool.motchallenge.rows import Rows

__all__ = ["Differences", "differences"]

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

MIN_IOU = 0.5  # of two boxes of the same person


class Differences(NamedTuple):
    """The differences by row of the two files: masks (n,) of the first, (m,) of the second.

    `alone` are boxes that the other tracker does not have. `parted` are boxes of both, but under
    identities that do not correspond. `partners` are the identities of the other's boxes of the
    same person, 0 where it has none. `names` maps identities of the second tracker to the
    corresponding ones of the first.
    """

    alone: tuple[Bools, Bools]
    parted: tuple[Bools, Bools]
    partners: tuple[Ints, Ints]
    names: dict[int, int]


def differences(first: Rows, second: Rows) -> Differences:
    """Match the boxes of two result files frame by frame (IoU of 0.5 or more) and compare them.

    Identities correspond one to one, so that most boxes agree: the assignment of IDF1 (Ristani et
    al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking", 2016) with
    the first tracker as ground truth.
    """
    order_1, order_2 = (np.argsort(rows.frames, kind="stable") for rows in (first, second))
    sorted_1, sorted_2 = first.select(order_1), second.select(order_2)
    pairs = overlapping(sorted_1.frames, sorted_1.tlwh, sorted_2.frames, sorted_2.tlwh)
    weights = np.where(pairs.similarity >= MIN_IOU, pairs.similarity, 0.0)
    matched = best_matching(pairs, weights)
    rows_1, rows_2 = order_1[pairs.truth[matched]], order_2[pairs.result[matched]]  # (k,), (k,)
    identities_1, index_1 = renumber(first.ids[rows_1])
    identities_2, index_2 = renumber(second.ids[rows_2])
    together = np.zeros((len(identities_1), len(identities_2)), np.int64)  # frames
    np.add.at(together, (index_1, index_2), 1)
    assigned_1, assigned_2 = linear_sum_assignment(together, maximize=True)
    corresponding = np.full(len(identities_2), -1)
    corresponding[assigned_2] = assigned_1
    agree = corresponding[index_2] == index_1
    columns = []
    for rows, matched_rows, partner_ids in (
        (first, rows_1, second.ids[rows_2]),
        (second, rows_2, first.ids[rows_1]),
    ):
        alone, parted, partners = np.ones(len(rows), bool), np.zeros(len(rows), bool), 0 * rows.ids
        alone[matched_rows], parted[matched_rows] = False, ~agree
        partners[matched_rows] = partner_ids
        columns.append((alone, parted, partners))
    shared = together[assigned_1, assigned_2] > 0
    keys, values = identities_2[assigned_2[shared]], identities_1[assigned_1[shared]]
    names = dict(zip(keys.tolist(), values.tolist(), strict=True))
    (alone_1, parted_1, partners_1), (alone_2, parted_2, partners_2) = columns
    return Differences((alone_1, alone_2), (parted_1, parted_2), (partners_1, partners_2), names)
