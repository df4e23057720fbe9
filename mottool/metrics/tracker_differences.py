"""Where two trackers of one sequence differ: boxes that only one has, and identities that part."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from mottool.metrics.matching import best_matching
from mottool.metrics.pairs import overlapping, renumber
from mottool.motchallenge.rows import Rows

__all__ = ["Differences", "differences"]

Bools = npt.NDArray[np.bool_]

OVERLAP = 0.5  # the IoU from which two boxes are of the same person


class Differences(NamedTuple):
    """What differs, by row of the two files: masks (n,) of the first, (m,) of the second.

    `alone` are boxes that the other tracker has none for. `parted` are those that both have, but
    not under identities that belong together; `names` says which identity of the first belongs to
    an identity of the second.
    """

    alone: tuple[Bools, Bools]
    parted: tuple[Bools, Bools]
    names: dict[int, int]


def differences(first: Rows, second: Rows) -> Differences:
    """Match the boxes of two result files frame by frame (IoU of 0.5 or more) and compare.

    Identities belong together one to one, so that most boxes agree: the assignment of IDF1
    (Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking",
    2016) with the first tracker in the place of the ground truth.
    """
    orders = [np.argsort(rows.frames, kind="stable") for rows in (first, second)]
    (a, b), (one, other) = orders, (first, second)
    pairs = overlapping(one.frames[a], one.tlwh[a], other.frames[b], other.tlwh[b])
    weights = np.where(pairs.similarity >= OVERLAP, pairs.similarity, 0.0)
    matched = best_matching(pairs, weights)
    rows, columns = a[pairs.truth[matched]], b[pairs.result[matched]]  # (k,), (k,)
    ours, our = renumber(one.ids[rows])
    theirs, their = renumber(other.ids[columns])
    together = np.zeros((len(ours), len(theirs)), np.int64)  # frames
    np.add.at(together, (our, their), 1)
    mine, yours = linear_sum_assignment(together, maximize=True)
    belongs = np.full(len(theirs), -1)
    belongs[yours] = mine
    agree = belongs[their] == our
    masks = []
    for length, where in ((len(one), rows), (len(other), columns)):
        alone, parted = np.ones(length, bool), np.zeros(length, bool)
        alone[where], parted[where] = False, ~agree
        masks.append((alone, parted))
    met = together[mine, yours] > 0
    names = dict(zip(theirs[yours[met]].tolist(), ours[mine[met]].tolist(), strict=True))
    return Differences((masks[0][0], masks[1][0]), (masks[0][1], masks[1][1]), names)
