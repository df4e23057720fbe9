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

__all__ = ["rank_gallery", "split_query_gallery", "true_positive_rate"]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
CELLS = 1 << 22  # pairs of a query and a gallery image per step

LEVELS = (
    1 << 16
)  # of similarity in [-1, 1]: a histogram needs the same memory for any number of pairs
BLOCK = 512  # boxes compared with as many others: their arrays fit into the processor's cache


def split_query_gallery(identities: Ints) -> Bools:
    """Return which boxes are queries, (n,): the first half of every track, in the order of frames.

    The others are the gallery, the middle box of an odd track included. An identity with a single
    box is in the gallery only.
    """
    order = np.argsort(identities, kind="stable")
    _, start, count = np.unique(identities[order], return_index=True, return_counts=True)
    index = np.arange(len(order)) - np.repeat(start, count)  # in the track
    queries = np.zeros(len(order), bool)
    queries[order] = index < np.repeat(count // 2, count)
    return queries


def rank_gallery(
    queries: Floats,
    query_identities: Ints,
    gallery: Floats,
    gallery_identities: Ints,
    trapezoid: bool = False,
) -> tuple[Floats, Floats]:
    """Rank the gallery by similarity; return rank-1 accuracy, 0 or 1, and average precision, (q,).

    `queries` (q, D) and `gallery` (g, D) are L2-normalised, with identities (q,) and (g,). The
    average precision is the mean precision at the ranks of the query's identity; with `trapezoid`,
    as in Market-1501's code, the mean of that precision and the one at the rank before, which is 1
    before the first rank. Both are NaN for a query whose identity is not in the gallery.
    """
    rank_1, average_precision = np.full(len(queries), np.nan), np.full(len(queries), np.nan)
    if not len(gallery):
        return rank_1, average_precision
    step = max(1, CELLS // len(gallery))
    for start in range(0, len(queries), step):
        rows = slice(start, start + step)
        similarity = queries[rows] @ gallery.T  # (b, g)
        order = np.argsort(-similarity, axis=1, kind="stable")
        correct = gallery_identities[order] == query_identities[rows, None]  # (b, g)
        counts = correct.sum(axis=1)
        known = np.flatnonzero(counts)
        precision = np.cumsum(correct, axis=1) / np.arange(1, len(gallery) + 1)  # at each rank
        rank_1[start + known] = correct[known, 0]
        if trapezoid:
            before = np.concatenate([np.ones((len(precision), 1)), precision[:, :-1]], axis=1)
            precision = (before + precision) / 2
        sums = (precision * correct).sum(axis=1)
        average_precision[start + known] = sums[known] / counts[known]
    return rank_1, average_precision


def true_positive_rate(embeddings: Floats, identities: Ints, false_accepts: float = 0.1) -> float:
    """Return the share of pairs of one person, in [0, 1], that are above a similarity threshold.

    The threshold accepts the share `false_accepts` of the pairs of different people. `embeddings`
    (n, D) are L2-normalised; those with negative `identities` (n,), unknown ones, are skipped.
    NaN without a pair of either kind.
    """
    known = identities >= 0
    embeddings, identities = embeddings[known].astype(np.float32), identities[known]
    counts = np.zeros(2 * LEVELS, np.int64)  # of pairs of different people, then of one person
    for row in range(0, len(embeddings), BLOCK):
        for column in range(row, len(embeddings), BLOCK):
            rows, columns = slice(row, row + BLOCK), slice(column, column + BLOCK)
            level = embeddings[rows] @ embeddings[columns].T  # (b, c), the similarity
            level += 1
            level *= (LEVELS - 1) / 2
            np.clip(np.rint(level, out=level), 0, LEVELS - 1, out=level)
            index = level.astype(np.intp)
            index += LEVELS * (identities[rows, None] == identities[columns])
            if row == column:  # each pair once, no box with itself
                index = index[np.triu_indices(len(index), 1)]
            counts += np.bincount(index.ravel(), minlength=2 * LEVELS)
    different, same = counts[:LEVELS], counts[LEVELS:]
    if not same.sum() or not different.sum():
        return float("nan")
    # The ROC curve from the strictest threshold on, with straight lines between its points.
    fpr = np.concatenate([[0], different[::-1].cumsum()]) / different.sum()
    tpr = np.concatenate([[0], same[::-1].cumsum()]) / same.sum()
    after = int(np.searchsorted(fpr, false_accepts, side="right"))
    if after == len(fpr):
        return 1.0
    (x1, x2), (y1, y2) = fpr[after - 1 : after + 1], tpr[after - 1 : after + 1]
    return float(y1 + (y2 - y1) * (false_accepts - x1) / (x2 - x1))
