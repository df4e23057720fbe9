"""Re-identification metrics: rank-1, mAP, and the true positive rate at a false accept rate.

Zheng, Shen, Tian, Wang, Wang & Tian, "Scalable person re-identification: a benchmark", ICCV 2015,
§4: each query ranks a gallery by similarity. Rank-1 is the share of queries whose most similar
image shows the same person; mAP is the mean over queries of the average precision of the ranking.
Liu et al., "OUTrack" (2022), Table 7, splits every track into queries and gallery.

Wang, Zheng, Liu, Li & Wang, "Towards real-time multi-object tracking", ECCV 2020, §4.1: the true
positive rate compares every pair of boxes; pairs of one person should be more similar than pairs
of two.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["halves", "search", "true_positive_rate"]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
CELLS = 1 << 22  # pairs of a query and a picture that are ranked at once

LEVELS = 1 << 16  # of similarity in [-1, 1]: counts of pairs need no room, however many there are
BLOCK = 512  # boxes that are compared with as many others: their arrays stay in the cache


def halves(identities: Ints) -> Bools:
    """Which boxes, (n,) in the order of frames, are queries: the first half of every track.

    The other ones are the gallery, with the middle one of an odd track. Somebody seen once is in
    the gallery only.
    """
    order = np.argsort(identities, kind="stable")
    _, start, count = np.unique(identities[order], return_index=True, return_counts=True)
    place = np.arange(len(order)) - np.repeat(start, count)  # in its own track
    query = np.zeros(len(order), bool)
    query[order] = place < np.repeat(count // 2, count)
    return query


def search(
    queries: Floats, wanted: Ints, gallery: Floats, identities: Ints
) -> tuple[Floats, Floats]:
    """For each of q queries whether rank 1 is right, 0 or 1, and the average precision, (q,) each.

    `queries` (q, D) and `gallery` (g, D) are of unit length, `wanted` (q,) and `identities` (g,)
    say who they are of. The average precision is the mean, over the right answers, of the
    precision at their ranks. NaN in both for a query whose person is not in the gallery.
    """
    rank_1, precision = np.full(len(queries), np.nan), np.full(len(queries), np.nan)
    if not len(gallery):
        return rank_1, precision
    step = max(1, CELLS // len(gallery))
    for start in range(0, len(queries), step):
        rows = slice(start, start + step)
        similarity = queries[rows] @ gallery.T  # (b, g)
        order = np.argsort(-similarity, axis=1, kind="stable")
        right = identities[order] == wanted[rows, None]  # (b, g)
        answers = right.sum(axis=1)
        known = np.flatnonzero(answers)
        at_rank = np.cumsum(right, axis=1) / np.arange(1, len(gallery) + 1)
        rank_1[start + known] = right[known, 0]
        precision[start + known] = (at_rank * right).sum(axis=1)[known] / answers[known]
    return rank_1, precision


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
