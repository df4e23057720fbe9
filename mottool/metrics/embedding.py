"""How well embeddings tell people apart: JDE's true positive rate at a false accept rate.

Wang, Zheng, Liu, Li & Wang, "Towards real-time multi-object tracking", ECCV 2020, §4.1: every two
boxes are compared, and two of one person should be more alike than two of different people.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["true_positive_rate"]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]

LEVELS = 1 << 16  # of similarity in [-1, 1]: counts of pairs need no room, however many there are
BLOCK = 512  # boxes that are compared with as many others: their arrays stay in the cache


def true_positive_rate(embeddings: Floats, identities: Ints, false_accepts: float = 0.1) -> float:
    """The share of pairs of one person, in [0, 1], that are above the threshold of similarity.

    The threshold lets the share `false_accepts` of the pairs of different people through.
    `embeddings` (n, D) are of unit length, `identities` (n,) negative where unknown; those are
    left out. NaN without a pair of either kind.
    """
    known = identities >= 0
    embeddings, identities = embeddings[known].astype(np.float32), identities[known]
    counts = np.zeros(2 * LEVELS, np.int64)  # of pairs of different people, then of one person
    for top in range(0, len(embeddings), BLOCK):
        for left in range(top, len(embeddings), BLOCK):
            rows, columns = slice(top, top + BLOCK), slice(left, left + BLOCK)
            level = embeddings[rows] @ embeddings[columns].T  # (b, c), the similarity
            level += 1
            level *= (LEVELS - 1) / 2
            np.clip(np.rint(level, out=level), 0, LEVELS - 1, out=level)
            place = level.astype(np.intp)
            place += LEVELS * (identities[rows, None] == identities[columns])
            if top == left:  # each pair once, nobody with themselves
                place = place[np.triu_indices(len(place), 1)]
            counts += np.bincount(place.ravel(), minlength=2 * LEVELS)
    other, same = counts[:LEVELS], counts[LEVELS:]
    if not same.sum() or not other.sum():
        return float("nan")
    # From the strictest threshold on, as a curve (ROC) with straight lines between its points.
    accepted = np.concatenate([[0], other[::-1].cumsum()]) / other.sum()
    found = np.concatenate([[0], same[::-1].cumsum()]) / same.sum()
    last = int(np.searchsorted(accepted, false_accepts, side="right"))
    if last == len(accepted):
        return 1.0
    (left, right), (low, high) = accepted[last - 1 : last + 1], found[last - 1 : last + 1]
    return float(low + (high - low) * (false_accepts - left) / (right - left))
