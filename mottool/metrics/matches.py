"""Detections and embeddings of a sequence or a dataset, matched with its ground truth."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.metrics.detection import SIZES, match_to_ground_truth
from mottool.metrics.reid import rank_gallery, split_query_gallery
from mottool.metrics.settings import SEQUENCE, TRAPEZOID, RetrievalSettings

__all__ = ["CacheMatches", "MatchBuilder", "rank_tracks"]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CacheMatches:
    """The detections of one sequence or dataset, matched with its ground truth.

    `scores` (n,) and `correct` (n,) bool describe n person detections; `sizes` (n,) is the size
    class (index into `SIZES`) of the matched ground-truth box, or of the detection if unmatched.
    `ground_truth_counts` (3,) counts ground-truth boxes per size class. For k embeddings at
    ground-truth boxes (k = 0 where there are none): `embeddings` (k, D), `identities` (k,) and
    `embedding_sizes` (k,); `searched` (k,) bool are those that take part in retrieval. For the q
    queries of a search in their own sequence, `rank_1` and `average_precision` (q,); q = 0 if
    queries search all sequences.
    """

    scores: Floats
    correct: Bools
    sizes: Indices
    ground_truth_counts: Ints
    embeddings: Floats
    identities: Ints
    embedding_sizes: Indices
    searched: Bools
    rank_1: Floats
    average_precision: Floats


class MatchBuilder:
    """Matches detections with ground truth image by image, and collects embeddings."""

    def __init__(self) -> None:
        """Start without images."""
        self._detections = [(np.zeros(0, np.float32), np.zeros(0, bool), np.zeros(0, np.intp))]
        self._embeddings: list[tuple[Floats, Ints, Indices, Floats, Ints]] = []
        self._counts = np.zeros(len(SIZES), np.int64)

    def add_ground_truth(self, sizes: Indices) -> None:
        """Count scored boxes of the size classes `sizes` (m,)."""
        self._counts += np.bincount(sizes, minlength=len(SIZES))

    def add_detections(
        self,
        boxes: Floats,
        scores: Floats,
        box_sizes: Indices,
        ground_truth: Floats,
        ignored: Bools,
        sizes: Indices,
    ) -> Indices:
        """Match the detections of an image; return the row of each true positive, (n,), or -1.

        `boxes` (n, 4), `scores` (n,) and `box_sizes` (n,) describe the detections, `ground_truth`
        (m, 4), `ignored` (m,) and `sizes` (m,) the ground truth. Detections matched with an
        `ignored` box are not scored.
        """
        rows, first = match_to_ground_truth(boxes, scores, ground_truth)
        matched = rows >= 0
        counted = ~np.append(ignored, False)[rows]  # row -1 is the added one
        of_match = np.where(matched, np.append(sizes, 0)[rows], box_sizes)
        self._detections.append((scores[counted], first[counted], of_match[counted]))
        return np.where(first & counted, rows, -1)

    def add_embeddings(
        self, embeddings: Floats, identities: Ints, sizes: Indices, visibility: Floats, group: int
    ) -> None:
        """Add embeddings (k, D) at ground-truth boxes of an image.

        `identities`, `sizes` and `visibility` are (k,). `group` is the number of the video: with
        the gallery `sequence` a query searches its own group.
        """
        groups = np.full(len(identities), group)
        self._embeddings.append((embeddings, identities, sizes, visibility, groups))

    def matches(self, retrieval: RetrievalSettings, width: int = 0) -> CacheMatches:
        """Return the matches of all images; `width` is the embedding size if there are none."""
        scores, correct, detection_sizes = map(np.concatenate, zip(*self._detections, strict=True))
        none = np.zeros(0, np.int64)
        empty = np.zeros((0, width), np.float32), none, none.astype(np.intp), np.zeros(0), none
        parts = zip(*(self._embeddings or [empty]), strict=True)
        embeddings, identities, sizes, visibility, groups = map(np.concatenate, parts)
        searched = visibility >= retrieval.min_visibility
        rank_1, precision = np.zeros(0), np.zeros(0)
        if retrieval.gallery == SEQUENCE and len(embeddings):
            ranked = [
                rank_tracks(embeddings[rows], identities[rows], retrieval)
                for group in np.unique(groups)
                for rows in [searched & (groups == group)]
            ]
            rank_1, precision = map(np.concatenate, zip(*ranked, strict=True))
        return CacheMatches(
            *(scores, correct, detection_sizes, self._counts, embeddings, identities, sizes),
            *(searched, rank_1, precision),
        )


def rank_tracks(
    embeddings: Floats, identities: Ints, retrieval: RetrievalSettings
) -> tuple[Floats, Floats]:
    """Search with the first half of every track in all second halves.

    `embeddings` (k, D) and `identities` (k,) are in the order of frames. Returns the rank-1
    accuracy and the average precision of each query, (q,), as `rank_gallery`.
    """
    query = split_query_gallery(identities)
    queries = embeddings[query], identities[query]
    return rank_gallery(
        *queries, embeddings[~query], identities[~query], retrieval.ap_sum == TRAPEZOID
    )
