"""Detection and embedding metrics of a cache against ground truth.

Detections are matched as in PASCAL VOC (`metrics.detection`); ground truth that the benchmark
ignores is treated like "difficult" objects. Embeddings are evaluated only in caches made with
`detect-embed --boxes gt`, so that the choice of boxes does not depend on a detector.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.boxes import xyxy_from_tlwh
from mottool.cache.reader import Cache
from mottool.detections import PERSON, Detections
from mottool.errors import ignore_warning
from mottool.metrics.detection import (
    FAIRMOT_SIZE_LIMITS,
    SIZES,
    average_precision,
    match_to_ground_truth,
    size_of,
)
from mottool.metrics.reid import rank_gallery, split_query_gallery, true_positive_rate
from mottool.motchallenge.rows import Rows
from mottool.motchallenge.rules import scored_and_ignored

__all__ = ["CacheMatches", "cache_metrics", "match_cache"]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

GROUND_TRUTH_DETECTOR = "gt"  # its boxes are the ground truth's


@dataclass(frozen=True)
class CacheMatches:
    """The detections of one sequence, matched with its ground truth.

    `scores` (n,) and `correct` (n,) bool describe n person detections; `sizes` (n,) is the size
    class (index into `SIZES`) of the matched ground-truth box, or of the detection if unmatched.
    `ground_truth_counts` (3,) counts ground-truth boxes per size class. For k embeddings at
    ground-truth boxes (k = 0 in other caches): `embeddings` (k, D), `identities` (k,) and
    `embedding_sizes` (k,); for the q queries among them, `rank_1` and `average_precision` (q,).
    """

    scores: Floats
    correct: Bools
    sizes: npt.NDArray[np.intp]
    ground_truth_counts: Ints
    embeddings: Floats
    identities: Ints
    embedding_sizes: npt.NDArray[np.intp]
    rank_1: Floats
    average_precision: Floats


def match_cache(
    cache: Cache,
    ground_truth: Rows,
    rules: str,
    size_limits: tuple[float, float] = FAIRMOT_SIZE_LIMITS,
    warn: Callable[[str], None] = ignore_warning,
) -> CacheMatches:
    """Match the detections of an open cache with ground truth, by a benchmark's rules.

    `size_limits` separate small, medium and large boxes, in square pixels. `warn` receives a
    message if ground truth continues after the cache's last frame.

    Raises `InputError` for ground truth that the rules cannot score, and `CacheError` for a damaged
    cache.
    """
    roles = scored_and_ignored(ground_truth, rules, cache.header.sequence)
    truth = _GroundTruth(ground_truth, roles, size_limits)
    missing = truth.count_outside(cache.first_frame, cache.last_frame)
    if missing:
        problem, which = f"{cache.path} ends at frame {cache.last_frame}", "later"
        if cache.first_frame > 1:
            problem, which = f"{cache.path} starts at frame {cache.first_frame}", "other"
        warn(f"{problem}: {missing} {which} boxes of the ground truth are false negatives")
    detector = cache.header.pipeline.split("+")[0]
    with_embeddings = cache.has_embeddings and detector == GROUND_TRUTH_DETECTOR
    width = cache.embedding_size if with_embeddings else 0
    matches = [(np.zeros(0, np.float32), np.zeros(0, np.bool_), np.zeros(0, np.intp))]
    known = [(np.zeros((0, width), np.float32), np.zeros(0, np.int64), np.zeros(0, np.intp))]
    for number, frame in enumerate(cache.frames(), cache.first_frame):
        detections = frame.take(frame.classes == PERSON)
        rows, first = truth.match(number, detections)
        counted = ~truth.ignored[rows] | (rows < 0)
        areas = (detections.boxes[:, 2:] - detections.boxes[:, :2]).prod(axis=1)
        sizes = np.where(rows < 0, size_of(areas, size_limits), truth.sizes[rows])
        matches.append((detections.scores[counted], first[counted], sizes[counted]))
        if with_embeddings and detections.embeddings is not None:
            correct = first & counted
            known_rows = rows[correct]
            embedded = detections.embeddings[correct]
            known.append((embedded, truth.identities[known_rows], truth.sizes[known_rows]))
    scores, correct, sizes = map(np.concatenate, zip(*matches, strict=True))
    embeddings, identities, embedding_sizes = map(np.concatenate, zip(*known, strict=True))
    query = split_query_gallery(identities)
    ranked = rank_gallery(
        embeddings[query], identities[query], embeddings[~query], identities[~query]
    )
    counts = truth.counts
    return CacheMatches(
        scores, correct, sizes, counts, embeddings, identities, embedding_sizes, *ranked
    )


class _GroundTruth:
    """The ground-truth boxes of a sequence, sorted by frame, with the rows that are ignored.

    Arrays have one extra last row, so that row -1 ("unmatched") can be looked up.
    """

    def __init__(
        self, rows: Rows, scored_and_ignored: tuple[Bools, Bools], size_limits: tuple[float, float]
    ) -> None:
        """Keep the scored and the ignored rows; drop the others."""
        scored, ignored = scored_and_ignored
        keep = np.flatnonzero(scored | ignored)
        keep = keep[np.argsort(rows.frames[keep], kind="stable")]
        self.frames, self.boxes = rows.frames[keep], xyxy_from_tlwh(rows.tlwh[keep])
        self.identities = np.append(rows.ids[keep], -1)  # (t + 1,)
        self.ignored = np.append(~scored[keep], False)
        self.sizes = np.append(size_of(rows.tlwh[keep, 2] * rows.tlwh[keep, 3], size_limits), 0)
        self.counts = np.bincount(self.sizes[:-1][~self.ignored[:-1]], minlength=len(SIZES))

    def count_outside(self, first: int, last: int) -> int:
        """Return the number of scored boxes before frame `first` or after frame `last`."""
        outside = (self.frames < first) | (self.frames > last)
        return int(np.count_nonzero(~self.ignored[:-1][outside]))

    def match(self, frame: int, detections: Detections) -> tuple[npt.NDArray[np.intp], Bools]:
        """Match the detections of a frame.

        Return the ground-truth row of each detection, (n,), or -1, and which detections are the
        highest-scoring match of their row, (n,).
        """
        start, stop = np.searchsorted(self.frames, [frame, frame + 1])
        rows, first = match_to_ground_truth(
            detections.boxes, detections.scores, self.boxes[start:stop]
        )
        return np.where(rows < 0, -1, start + rows), first


def cache_metrics(
    matches: Sequence[CacheMatches], min_score: float, repeats: Ints | None = None
) -> dict[str, float]:
    """Compute the metrics of several sequences together, as fractions.

    `AP`, `AP_S`, `AP_M`, `AP_L` at IoU 0.5; `Rcll` and `Prcn` of detections scoring at least
    `min_score`; at ground-truth boxes `TPR` at a false accept rate of 0.1 (also per size), `Rank1`
    and `mAP`, where queries search their own sequence. `repeats` (s,) counts each sequence that
    often (bootstrap); TPR, which compares sequences, is then omitted, as are undefined metrics.
    """
    factors = np.ones(len(matches)) if repeats is None else repeats.astype(float)
    weight = np.repeat(factors, [len(match.scores) for match in matches])  # (n,)
    scores, correct, sizes = (
        np.concatenate([getattr(match, name) for match in matches])
        for name in ("scores", "correct", "sizes")
    )
    pairs = zip(factors, matches, strict=True)
    counts = np.sum([factor * match.ground_truth_counts for factor, match in pairs], axis=0)
    metrics = {"AP": average_precision(scores, correct, counts.sum(), weight)}
    for index, size in enumerate(SIZES):
        if counts[index]:
            of_size = sizes == index
            metrics[f"AP_{size}"] = average_precision(
                scores[of_size], correct[of_size], counts[index], weight[of_size]
            )
    confident = weight * (scores >= min_score)
    hits = float(confident[correct].sum())
    metrics |= {
        "Rcll": hits / max(counts.sum(), 1),
        "Prcn": hits / max(float(confident.sum()), 1),
    }
    if repeats is None:
        metrics |= _tpr(matches)
    for name, attribute in (("Rank1", "rank_1"), ("mAP", "average_precision")):
        per_sequence = [getattr(match, attribute) for match in matches]
        values = np.concatenate(per_sequence)
        weights = np.repeat(factors, list(map(len, per_sequence))) * ~np.isnan(values)
        if weights.sum():
            metrics[name] = float((np.nan_to_num(values) * weights).sum() / weights.sum())
    return metrics


def _tpr(matches: Sequence[CacheMatches]) -> dict[str, float]:
    """Compute TPR of all embeddings and per size class; identities of sequences are distinct."""
    matches = [match for match in matches if len(match.identities)]
    if len({match.embeddings.shape[1] for match in matches}) != 1:
        return {}
    identities = np.concatenate(_distinct_identities(matches))
    embeddings = np.concatenate([match.embeddings for match in matches])
    sizes = np.concatenate([match.embedding_sizes for match in matches])
    rates = {"TPR": true_positive_rate(embeddings, identities)}
    for index, size in enumerate(SIZES):
        of_size = sizes == index
        rates[f"TPR_{size}"] = true_positive_rate(embeddings[of_size], identities[of_size])
    return {name: rate for name, rate in rates.items() if not np.isnan(rate)}


def _distinct_identities(matches: Sequence[CacheMatches]) -> list[Ints]:
    """Renumber the identities of each sequence, (k,), so that no two sequences share one."""
    renumbered: list[Ints] = []
    count = 0
    for match in matches:
        distinct, index = np.unique(match.identities, return_inverse=True)
        renumbered.append(index + count)
        count += len(distinct)
    return renumbered
