"""Detection and embedding metrics of a cache against ground truth.

Detections are matched as in PASCAL VOC (`metrics.detection`); ground truth that the benchmark
ignores is treated like "difficult" objects. Embeddings are evaluated only in caches made with
`detect-embed --boxes gt`, so that the choice of boxes does not depend on a detector.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mottool.boxes import areas, xyxy_from_tlwh
from mottool.detections import PERSON
from mottool.errors import ignore_warning
from mottool.metrics.detection import (
    FAIRMOT_SIZE_LIMITS,
    SIZES,
    average_precision,
    size_of,
)
from mottool.metrics.ground_truth import CHECK_VIDEO
from mottool.metrics.matches import CacheMatches, MatchBuilder, rank_tracks
from mottool.metrics.regions import (
    LEAVING_OUT,
    boxes_in_regions,
    left_out,
    mostly_covered,
    region_rows,
)
from mottool.metrics.reid import true_positive_rate
from mottool.metrics.settings import POOLED, RetrievalSettings
from mottool.motchallenge.rows import Rows
from mottool.motchallenge.rules import CLASS_COLUMNS, scored_and_ignored

if TYPE_CHECKING:  # imports h5py
    from mottool.cache.reader import Cache

__all__ = ["CacheMatches", "cache_metrics", "match_cache"]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

GROUND_TRUTH_DETECTOR = "gt"  # its boxes are the ground truth's


def match_cache(
    cache: "Cache",
    ground_truth: Rows,
    rules: str,
    size_limits: tuple[float, float] = FAIRMOT_SIZE_LIMITS,
    warn: Callable[[str], None] = ignore_warning,
    retrieval: RetrievalSettings | None = None,
) -> CacheMatches:
    """Match the detections of an open cache with ground truth, by a benchmark's rules.

    `size_limits` separate small, medium and large boxes, in square pixels. `retrieval` is the
    protocol of Rank1 and mAP. `warn` receives a message if no detection matches, or if ground truth
    continues after the cache's last frame, or lacks the visibility that the protocol needs.

    Raises `InputError` for ground truth that the rules cannot score, and `CacheError` for a damaged
    cache.
    """
    roles = scored_and_ignored(ground_truth, rules, cache.header.sequence)
    region_mask = region_rows(ground_truth, rules)
    covered = left_out(ground_truth, ground_truth, region_mask, rules)
    scored, ignored = (role & ~covered for role in roles)
    truth = _GroundTruth(ground_truth, (scored, ignored), size_limits)
    missing = truth.count_outside(cache.first_frame, cache.last_frame)
    if missing:
        problem, which = f"{cache.path} ends at frame {cache.last_frame}", "later"
        if cache.first_frame > 1:
            problem, which = f"{cache.path} starts at frame {cache.first_frame}", "other"
        warn(f"{problem}: {missing} {which} boxes of the ground truth are false negatives")
    detector = cache.header.pipeline.split("+")[0]
    with_embeddings = cache.has_embeddings and detector == GROUND_TRUTH_DETECTOR
    retrieval = retrieval or RetrievalSettings()
    if with_embeddings and retrieval.min_visibility and not truth.has_visibility:
        warn(f"{cache.header.sequence}: no visibility is annotated, so all boxes count as visible")
    builder = MatchBuilder()
    builder.add_ground_truth(truth.sizes[~truth.ignored])
    regions = ground_truth.select(region_mask)
    for number, frame in enumerate(cache.frames(), cache.first_frame):
        detections = frame.take(frame.classes == PERSON)
        start, stop = truth.rows_of(number)
        if len(regions):
            here = xyxy_from_tlwh(regions.tlwh[regions.frames == number])
            inside = boxes_in_regions(detections.boxes, here, truth.boxes[start:stop])
            if rules in LEAVING_OUT:
                inside |= mostly_covered(detections.boxes, here)
            detections = detections.take(~inside)
        rows = builder.add_detections(
            *(detections.boxes, detections.scores, size_of(areas(detections.boxes), size_limits)),
            *(truth.boxes[start:stop], truth.ignored[start:stop], truth.sizes[start:stop]),
        )
        if with_embeddings and detections.embeddings is not None:
            correct = rows >= 0
            known = start + rows[correct]
            described = truth.identities[known], truth.sizes[known], truth.visibility[known]
            builder.add_embeddings(detections.embeddings[correct], *described, 0)
    matches = builder.matches(retrieval, cache.embedding_size if with_embeddings else 0)
    if len(matches.scores) and matches.ground_truth_counts.any() and not matches.correct.any():
        warn(f"{cache.path}: no detection matches the ground truth; {CHECK_VIDEO}")
    return matches


class _GroundTruth:
    """The ground-truth boxes of a sequence, sorted by frame, with the rows that are ignored."""

    def __init__(
        self, rows: Rows, scored_and_ignored: tuple[Bools, Bools], size_limits: tuple[float, float]
    ) -> None:
        """Keep the scored and the ignored rows; drop the others."""
        scored, ignored = scored_and_ignored
        keep = np.flatnonzero(scored | ignored)
        keep = keep[np.argsort(rows.frames[keep], kind="stable")]
        self.frames, self.boxes = rows.frames[keep], xyxy_from_tlwh(rows.tlwh[keep])
        self.identities, self.ignored = rows.ids[keep], ~scored[keep]
        self.sizes = size_of(rows.tlwh[keep, 2] * rows.tlwh[keep, 3], size_limits)
        self.has_visibility = rows.rest.shape[1] == CLASS_COLUMNS[-1]
        self.visibility = rows.rest[keep, 2] if self.has_visibility else np.ones(len(keep))

    def count_outside(self, first: int, last: int) -> int:
        """Return the number of scored boxes before frame `first` or after frame `last`."""
        outside = (self.frames < first) | (self.frames > last)
        return int(np.count_nonzero(~self.ignored[outside]))

    def rows_of(self, frame: int) -> tuple[int, int]:
        """Return the start and the end of the rows of a frame."""
        start, stop = np.searchsorted(self.frames, [frame, frame + 1])
        return int(start), int(stop)


def cache_metrics(
    matches: Sequence[CacheMatches],
    min_score: float,
    repeats: Ints | None = None,
    retrieval: RetrievalSettings | None = None,
) -> dict[str, float]:
    """Compute the metrics of several sequences together, as fractions.

    `AP`, `AP_S`, `AP_M`, `AP_L` at IoU 0.5; `Rcll` and `Prcn` of detections scoring at least
    `min_score`; at ground-truth boxes `TPR` at a false accept rate of 0.1 (also per size), `Rank1`
    and `mAP` by the protocol `retrieval`, with which the sequences were matched. `repeats` (s,)
    counts each sequence that often (bootstrap); metrics that compare sequences (TPR, and Rank1 and
    mAP with a pooled gallery) are then omitted, as are undefined ones.
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
    if retrieval and retrieval.gallery == POOLED:
        return metrics | ({} if repeats is not None else _pooled_retrieval(matches, retrieval))
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


def _pooled_retrieval(
    matches: Sequence[CacheMatches], retrieval: RetrievalSettings
) -> dict[str, float]:
    """Compute Rank1 and mAP of queries that search all sequences; identities are distinct."""
    matches = [match for match in matches if match.searched.any()]
    if len({match.embeddings.shape[1] for match in matches}) != 1:
        return {}
    searched = np.concatenate([match.searched for match in matches])
    identities = np.concatenate(_distinct_identities(matches))[searched]
    embeddings = np.concatenate([match.embeddings for match in matches])[searched]
    ranked = zip(("Rank1", "mAP"), rank_tracks(embeddings, identities, retrieval), strict=True)
    return {
        name: float(np.nanmean(values)) for name, values in ranked if not np.isnan(values).all()
    }


def _distinct_identities(matches: Sequence[CacheMatches]) -> list[Ints]:
    """Renumber the identities of each sequence, (k,), so that no two sequences share one."""
    renumbered: list[Ints] = []
    count = 0
    for match in matches:
        distinct, index = np.unique(match.identities, return_inverse=True)
        renumbered.append(index + count)
        count += len(distinct)
    return renumbered
