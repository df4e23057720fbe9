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
BLOCK = 1024  # boxes that are compared with all the others at once


def true_positive_rate(embeddings: Floats, identities: Ints, false_accepts: float = 0.1) -> float:
    """The share of pairs of one person, in [0, 1], that are above the threshold of similarity.

    The threshold lets the share `false_accepts` of the pairs of different people through.
    `embeddings` (n, D) are of unit length, `identities` (n,) negative where unknown; those are
    left out. NaN without a pair of either kind.
    """
    known = identities >= 0
    embeddings, identities = embeddings[known].astype(np.float32), identities[known]
    same, other = np.zeros(LEVELS, np.int64), np.zeros(LEVELS, np.int64)
    for start in range(0, len(embeddings), BLOCK):
        rows = slice(start, start + BLOCK)
        similarity = embeddings[rows] @ embeddings[start:].T  # (b, n - start)
        level = ((similarity + 1) / 2 * (LEVELS - 1)).round().clip(0, LEVELS - 1).astype(np.int64)
        alike = identities[rows, None] == identities[start:]
        later = np.triu(np.ones(level.shape, bool), 1)  # each pair once, nobody with themselves
        same += np.bincount(level[alike & later], minlength=LEVELS)
        other += np.bincount(level[~alike & later], minlength=LEVELS)
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
