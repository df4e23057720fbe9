"""Score the detections and embeddings of caches against ground truth, per sequence and combined."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from mottool.errors import ignore_warning
from mottool.metrics.bootstrap import intervals
from mottool.metrics.cache_metrics import CacheMatches, cache_metrics, match_cache
from mottool.metrics.detection import FAIRMOT_SIZE_LIMITS
from mottool.metrics.ground_truth import GroundTruth, check_frames, load_ground_truth
from mottool.metrics.ground_truth_files import GroundTruthFile
from mottool.metrics.settings import MIN_SCORE, RetrievalSettings
from mottool.metrics.tables import COMBINED, TableRow
from mottool.motchallenge.rules import AUTO

if TYPE_CHECKING:  # imports h5py
    from mottool.cache.reader import Cache

__all__ = ["CacheEvaluation", "score_cache"]

Limits = tuple[float, float]
Warn = Callable[[str], None]


def score_cache(
    cache: "Cache",
    ground_truth: GroundTruth,
    size_limits: Limits = FAIRMOT_SIZE_LIMITS,
    warn: Warn = ignore_warning,
    retrieval: RetrievalSettings | None = None,
) -> CacheMatches:
    """Match an open cache with its ground truth; raise as `match_cache` and `check_frames`."""
    check_frames(cache, ground_truth)
    truth, rules = ground_truth.rows, ground_truth.rules
    return match_cache(cache, truth, rules, size_limits, warn, retrieval)


class CacheEvaluation:
    """The scores of one pipeline's caches, and their rows in a table."""

    def __init__(
        self,
        pipeline: str,
        min_score: float = MIN_SCORE,
        size_limits: Limits = FAIRMOT_SIZE_LIMITS,
        retrieval: RetrievalSettings | None = None,
    ) -> None:
        """Start without sequences; `min_score` and `retrieval` are as in `cache_metrics`.

        `size_limits` are those between small, medium and large, in square pixels.
        """
        self.pipeline, self.min_score, self.size_limits = pipeline, min_score, size_limits
        self.retrieval = retrieval or RetrievalSettings()
        self._matches: dict[str, tuple[str, CacheMatches]] = {}

    def add(
        self,
        cache: "Cache",
        file: GroundTruthFile,
        rules: str = AUTO,
        warn: Warn = ignore_warning,
    ) -> None:
        """Score an open cache by `rules` (`auto` or a benchmark's); raise as `match_cache`."""
        sequence = cache.header.sequence
        truth = load_ground_truth(file, sequence, rules)
        match = score_cache(cache, truth, self.size_limits, warn, self.retrieval)
        self._matches[sequence] = truth.rules, match

    def rows(self, draws: int = 0, seed: int = 0) -> list[TableRow]:
        """Return a row for each sequence and a last one, `COMBINED`; none without sequences.

        The last one has confidence intervals from `draws` draws of sequences, see `intervals`.
        """
        if not self._matches:
            return []
        matches = [match for _, match in self._matches.values()]
        metrics = partial(cache_metrics, min_score=self.min_score, retrieval=self.retrieval)
        drawn = partial(cache_metrics, matches, self.min_score, retrieval=self.retrieval)
        rows = [
            TableRow("cache", self.pipeline, rules, sequence, metrics([match]))
            for sequence, (rules, match) in self._matches.items()
        ]
        all_rules = "+".join(sorted({rules for rules, _ in self._matches.values()}))
        interval = intervals(drawn, len(matches), draws, seed)
        combined = metrics(matches)
        last = TableRow("cache", self.pipeline, all_rules, COMBINED, combined, interval=interval)
        return [*rows, last]
