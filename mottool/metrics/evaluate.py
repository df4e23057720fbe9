"""Score tracks and caches against ground truth, per sequence and combined."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.cache.reader import Cache
from mottool.metrics.bootstrap import intervals
from mottool.metrics.cache_metrics import CacheMatches, figures, find
from mottool.metrics.clear import switches
from mottool.metrics.detection import FAIRMOT, SIZES, size_of
from mottool.metrics.inputs import GroundTruthFile
from mottool.metrics.preprocess import preprocess
from mottool.metrics.tables import COMBINED, TableRow
from mottool.metrics.tracking import TrackingScore, combined, score
from mottool.motchallenge.rows import Rows, read_rows
from mottool.motchallenge.rules import PEDESTRIAN, detect_rules, of_class

__all__ = ["AUTO", "CacheEvaluation", "MIN_SCORE", "TrackEvaluation", "objects_of", "score_linked"]

Ints = npt.NDArray[np.int64]
FLAGS_ONLY = "mot15"
AUTO = "auto"  # rules that go by the ground truth's columns and the sequence's name
MIN_SCORE = 0.5  # from here on a detection counts in recall and precision
DECIMALS = 4  # of a result file's boxes


class TrackEvaluation:
    """Scores result files of one tracker and gives the rows of its table."""

    def __init__(
        self,
        tracker: str,
        second_opinion: bool = False,
        limits: tuple[float, float] | None = None,
    ) -> None:
        """`second_opinion` also asks motmetrics, which takes far longer.

        `limits` between small, medium and large, in square pixels, have the identity switches
        counted by size too.
        """
        self.tracker, self.limits = tracker, limits
        self._scores: dict[str, tuple[str, TrackingScore]] = {}
        self._switches: dict[str, Ints] = {}  # (3,) each
        self._opinion = None
        if second_opinion:
            # Imported here because it brings pandas with it.
            from mottool.metrics.motmetrics_check import SecondOpinion

            self._opinion = SecondOpinion()

    def add(
        self,
        sequence: str,
        path: Path,
        truth: GroundTruthFile,
        rules: str = AUTO,
        warn: Callable[[str], None] = lambda told: None,
        kind: int | None = None,
    ) -> None:
        """Score the result file `path` by `rules` (`AUTO` or a benchmark's).

        With `kind` only results of that class of MOTChallenge's are scored, against its objects.
        Raises `InputError` as `read_rows` and `preprocess` do. Without a known length the sequence
        ends with the last row of either file, and `warn` is told what that costs.
        """
        objects, results = read_rows(truth.path, "ground truth"), read_rows(path, "result")
        rules = detect_rules(sequence, objects) if rules == AUTO else rules
        if kind is not None:
            results = of_class(results, kind)
        if kind is not None and kind != PEDESTRIAN:
            # The benchmarks' rules are about pedestrians; what is left here is the flag.
            objects, rules = of_class(objects, kind), FLAGS_ONLY
        labelled = int(objects.frames.max(initial=0))
        beyond = int(np.count_nonzero(results.frames > labelled))
        length = truth.length or max(labelled, int(results.frames.max(initial=0)))
        if truth.length is None and beyond:
            warn(
                f"{sequence}: no seqinfo.ini says where it ends; {beyond} results after frame "
                f"{labelled}, the last with ground truth, count as false positives"
            )
        scene = preprocess(objects, results, length, rules, sequence)
        if not len(scene.truth_ids):
            warn(f"{sequence}: {truth.path} has no row that counts by {rules} rules")
        self._scores[sequence] = (rules, score(scene))
        if self.limits:
            width, height = objects.tlwh[scene.truth_rows[switches(scene)], 2:].T
            sizes = size_of(width * height, self.limits)
            self._switches[sequence] = np.bincount(sizes, minlength=len(SIZES))
        if self._opinion:
            self._opinion.add(sequence, scene)

    def entries(self, draws: int = 0, seed: int = 0) -> list[TableRow]:
        """A row for each sequence and a last one for all of them; none if nothing was scored.

        The last one has the interval of so many `draws` of sequences, see `intervals`.
        """
        if not self._scores:
            return []
        every = "+".join(sorted({rules for rules, _ in self._scores.values()}))
        joined = combined(score for _, score in self._scores.values())
        rows = {**self._scores, COMBINED: (every, joined)}
        by_size = {**self._switches, COMBINED: sum(self._switches.values())}
        second = self._opinion.figures() if self._opinion else {}
        return [
            TableRow(
                self.tracker,
                rules,
                sequence,
                score.figures() | self._named(by_size.get(sequence)),
                second.get(sequence),
                {name: curve.tolist() for name, curve in score.hota.curves().items()},
                self._interval(draws, seed) if sequence == COMBINED else {},
            )
            for sequence, (rules, score) in rows.items()
        ]

    def _named(self, switches: Any) -> dict[str, float]:
        """The switches of each size, (3,), by name; nothing where they were not counted."""
        if not self.limits:
            return {}
        return {f"IDSW_{size}": int(count) for size, count in zip(SIZES, switches, strict=True)}

    def _interval(self, draws: int, seed: int) -> dict[str, tuple[float, float]]:
        scores = [score for _, score in self._scores.values()]

        def figures(times: Ints) -> dict[str, float]:
            drawn = zip(scores, times.tolist(), strict=True)
            return combined(score for score, count in drawn for _ in range(count)).figures()

        return intervals(figures, len(scores), draws, seed)


class CacheEvaluation:
    """Scores the caches of one pipeline and gives the rows of its table."""

    def __init__(
        self,
        pipeline: str,
        min_score: float = MIN_SCORE,
        limits: tuple[float, float] = FAIRMOT,
    ) -> None:
        """`limits` are those between small, medium and large, in square pixels."""
        self.pipeline, self.min_score, self.limits = pipeline, min_score, limits
        self._finds: dict[str, tuple[str, CacheMatches]] = {}

    def add(
        self,
        cache: Cache,
        truth: GroundTruthFile,
        rules: str = AUTO,
        warn: Callable[[str], None] = lambda told: None,
    ) -> None:
        """Score an open cache by `rules` (`AUTO` or a benchmark's); raises as `find` does."""
        sequence, objects = cache.header.sequence, read_rows(truth.path, "ground truth")
        rules = detect_rules(sequence, objects) if rules == AUTO else rules
        self._finds[sequence] = rules, find(cache, objects, rules, self.limits, warn)

    def entries(self, draws: int = 0, seed: int = 0) -> list[TableRow]:
        """A row for each sequence and a last one for all of them; none if nothing was scored.

        The last one has the interval of so many `draws` of sequences, see `intervals`.
        """
        if not self._finds:
            return []
        every = "+".join(sorted({rules for rules, _ in self._finds.values()}))
        finds = [found for _, found in self._finds.values()]

        def drawn(times: npt.NDArray[np.int64]) -> dict[str, float]:
            return figures(finds, self.min_score, times)

        rows = [
            TableRow(self.pipeline, rules, sequence, figures([found], self.min_score))
            for sequence, (rules, found) in self._finds.items()
        ]
        joined, interval = figures(finds, self.min_score), intervals(drawn, len(finds), draws, seed)
        return [*rows, TableRow(self.pipeline, every, COMBINED, joined, interval=interval)]


def score_linked(
    rows: Rows, sequence: str, frames: int, truth: GroundTruthFile, rules: str = AUTO
) -> TrackingScore:
    """Score the tracks `rows` of a sequence of `frames` frames, as `evaluate` would their file.

    `rules` are a benchmark's or `AUTO`. Raises `InputError` as `read_rows` and `preprocess` do.
    """
    objects = objects_of(truth.path)
    rules = detect_rules(sequence, objects) if rules == AUTO else rules
    length = truth.length or max(frames, int(objects.frames.max(initial=0)))
    written = Rows(rows.frames, rows.ids, rows.tlwh.round(DECIMALS), rows.rest)
    return score(preprocess(objects, written, length, rules, sequence))


@lru_cache(maxsize=256)
def objects_of(path: Path) -> Rows:
    """The ground truth in a file, read once by each process."""
    return read_rows(path, "ground truth")
