"""Score tracks, result files and caches against ground truth, per sequence and combined."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mottool.errors import InputError, ignore_warning
from mottool.layouts.registry import read_ground_truth
from mottool.metrics.bootstrap import intervals
from mottool.metrics.cache_metrics import CacheMatches, cache_metrics, match_cache
from mottool.metrics.clear import identity_switches
from mottool.metrics.detection import FAIRMOT_SIZE_LIMITS, SIZES, size_of
from mottool.metrics.ground_truth import (
    GroundTruth,
    cached_ground_truth,
    check_frames,
    check_half,
    load_ground_truth,
    preprocess_tracks,
    warn_of_mismatch,
    warn_of_missing_frames,
)
from mottool.metrics.inputs import (
    GroundTruthFile,
    get_ground_truth,
    part_of_cache,
)
from mottool.metrics.settings import MIN_SCORE, EvaluationSettings, RetrievalSettings
from mottool.metrics.speed import rates_of, timing_notes
from mottool.metrics.tables import COMBINED, TableRow
from mottool.metrics.tracking import TrackingScore, combine, score
from mottool.metrics.unscored import MissingResults, scored_once
from mottool.motchallenge.rows import Rows, read_rows
from mottool.motchallenge.rules import (
    AUTO,
    CLASS_COLUMNS,
    CLASS_NAMES,
    PEDESTRIAN,
    of_class,
)
from mottool.records.record import read_checked_record
from mottool.records.tracker_settings import mixed_settings

if TYPE_CHECKING:  # imports h5py
    from mottool.cache.reader import Cache

__all__ = [
    "CacheEvaluation",
    "GroundTruth",
    "TrackEvaluation",
    "cached_ground_truth",
    "evaluate_caches",
    "evaluate_results",
    "load_ground_truth",
    "preprocess_tracks",
    "score_cache",
    "score_tracks",
]

Ints = npt.NDArray[np.int64]
Limits = tuple[float, float]
Warn = Callable[[str], None]
Attempt = Callable[[str, Callable[[], object]], object]

FLAGS_ONLY = "mot15"  # rules that regard no classes
DECIMALS = 4  # of the boxes in a result file


def score_tracks(
    tracks: Rows, ground_truth: GroundTruth, frames: int = 0, decimals: int | None = DECIMALS
) -> TrackingScore:
    """Score the tracks of one sequence as `evaluate` scores their result file.

    Boxes are therefore rounded to `decimals`; None keeps them. `frames` is as in
    `preprocess_tracks`. Raises `InputError` as `preprocess` does.
    """
    if decimals is not None:
        tracks = replace(tracks, tlwh=tracks.tlwh.round(decimals))
    return score(preprocess_tracks(tracks, ground_truth, frames))


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


class TrackEvaluation:
    """The scores of one tracker's result files, and their rows in a table."""

    def __init__(
        self, tracker: str, motmetrics: bool = False, size_limits: Limits | None = None
    ) -> None:
        """Start without sequences.

        With `motmetrics` that package scores them, too, which takes much longer. With `size_limits`
        between small, medium and large, in square pixels, identity switches are also counted by
        the size of the object.
        """
        self.tracker, self.size_limits = tracker, size_limits
        self._scores: dict[str, tuple[str, TrackingScore]] = {}
        self._switches: dict[str, Ints] = {}  # (3,) each
        self.records: dict[str, Mapping[str, Any]] = {}  # of result files, by sequence
        self._check = None
        if motmetrics:
            # Imported here because it imports pandas.
            from mottool.metrics.motmetrics_check import MotmetricsCheck

            self._check = MotmetricsCheck()

    def add(
        self,
        sequence: str,
        path: Path,
        file: GroundTruthFile,
        rules: str = AUTO,
        warn: Warn = ignore_warning,
        number: int | None = None,
    ) -> None:
        """Score the result file `path` by `rules` (`auto` or a benchmark's).

        If the ground truth is a half, the result of the whole sequence is scored on its frames.
        With `number` only results and objects of that MOTChallenge class are scored. Without a
        known length the sequence ends with the last row of either file. `warn` receives messages
        about what does not fit. Raises `InputError` as `read_rows` and `preprocess` do.
        """
        truth, tracks = load_ground_truth(file, sequence, rules), read_rows(path, "result")
        if file.span:
            check_half(path, tracks, file)
            sequence = file.sequence
        if number is not None:
            tracks = of_class(tracks, number)
        if number is not None and number != PEDESTRIAN:
            # The benchmarks' rules are about pedestrians; of them only the flag applies here.
            truth = replace(truth, rows=of_class(truth.rows, number), rules=FLAGS_ONLY)
        scored = preprocess_tracks(tracks, truth)
        warn_of_mismatch(sequence, path, file, truth, tracks, scored, warn)
        if number is None:
            warn_of_missing_frames(sequence, path, truth, tracks, scored, warn)
        del tracks  # of which the scored sequence has what is needed
        self._scores[sequence] = (truth.rules, score(scored))
        self.records[sequence] = read_checked_record(path, warn)
        if self.size_limits:
            switches = scored.truth_rows[identity_switches(scored)]
            areas = truth.rows.tlwh[switches, 2] * truth.rows.tlwh[switches, 3]
            sizes = size_of(areas, self.size_limits)
            self._switches[sequence] = np.bincount(sizes, minlength=len(SIZES))
        if self._check:
            self._check.add(sequence, scored)

    def rows(self, draws: int = 0, seed: int = 0) -> list[TableRow]:
        """Return a row for each sequence and a last one, `COMBINED`; none without sequences.

        The last one has confidence intervals from `draws` draws of sequences, see `intervals`.
        """
        if not self._scores:
            return []
        scores = [score for _, score in self._scores.values()]

        def drawn(repeats: Ints) -> dict[str, float]:
            counts = zip(scores, repeats.tolist(), strict=True)
            total = combine(score for score, count in counts for _ in range(count))
            return {**total.metrics(), **total.rates()}

        all_rules = "+".join(sorted({rules for rules, _ in self._scores.values()}))
        every = {**self._scores, COMBINED: (all_rules, combine(scores))}
        switches = {**self._switches, COMBINED: np.sum(list(self._switches.values()), axis=0)}
        checked = self._check.metrics() if self._check else {}
        rows = []
        for name, (rules, total) in every.items():
            metrics = {**total.metrics(), **total.rates(), **self._speeds(name)}
            if self.size_limits:
                for size, count in zip(SIZES, switches[name].tolist(), strict=True):
                    metrics[f"IDSW_{size}"] = count
            curves = {key: curve.tolist() for key, curve in total.curves().items()}
            row = TableRow("tracks", self.tracker, rules, name, metrics, checked.get(name), curves)
            rows.append(row)
        rows[-1] = replace(rows[-1], interval=intervals(drawn, len(scores), draws, seed))
        return rows

    def _speeds(self, sequence: str) -> dict[str, float]:
        """Return the frames per second of a sequence, or of all if each has recorded times."""
        names = list(self._scores) if sequence == COMBINED else [sequence]
        return rates_of(self.records[name] for name in names)


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


def _run(name: str, job: Callable[[], object]) -> None:
    job()


def evaluate_results(
    results: Mapping[str, Mapping[str, Path]],
    files: Mapping[str, GroundTruthFile],
    settings: EvaluationSettings,
    *,
    motmetrics: bool = False,
    attempt: Attempt = _run,
    warn: Warn = ignore_warning,
) -> list[TableRow]:
    """Score result files, by tracker and sequence, against the ground-truth `files`.

    `attempt` runs the job of a file, by its name, and may handle its errors. `motmetrics` is as in
    `TrackEvaluation`. Raises `InputError` for files that do not belong together.
    """
    classes = _scored_classes(files.values()) if settings.per_class else {None: ""}
    size_limits = settings.size_limits if settings.by_size else None

    def add(evaluation: TrackEvaluation, sequence: str, path: Path, number: int | None) -> None:
        file = get_ground_truth(sequence, files)
        evaluation.add(sequence, path, file, settings.rules, warn, number)

    rows, missing = list[TableRow](), MissingResults()
    records = dict[str, list[Mapping[str, Any]]]()
    for tracker, given in results.items():
        names = scored_once(tracker, given, files, warn)
        paths = {sequence: given[sequence] for sequence in names}
        if mixed := mixed_settings(paths):
            warn(f"{tracker}: COMBINED mixes results of different settings: {mixed}")
        for number, suffix in classes.items():
            evaluation = TrackEvaluation(f"{tracker}{suffix}", motmetrics, size_limits)
            for sequence, path in paths.items():
                attempt(f"{tracker}/{sequence}", partial(add, evaluation, sequence, path, number))
            new = evaluation.rows(settings.bootstrap, settings.seed)
            missing.add(new, paths, files)
            rows += new
            records[tracker] = list(evaluation.records.values())
    for note in timing_notes(records):
        warn(note)
    missing.report(warn)
    return rows


def evaluate_caches(
    caches: Iterable[Path],
    files: Mapping[str, GroundTruthFile],
    settings: EvaluationSettings,
    *,
    attempt: Attempt = _run,
    warn: Warn = ignore_warning,
) -> list[TableRow]:
    """Score caches against the ground-truth `files`; return their rows by pipeline.

    `attempt` runs the job of a cache, by its path, and may handle its errors. Raises `InputError`
    for caches without ground truth, and `CacheError` for caches that cannot be read.
    """
    from mottool.cache.reader import Cache

    evaluations: dict[str, CacheEvaluation] = {}
    sequences: dict[str, dict[str, Path]] = {}  # by pipeline

    def open_header(path: Path) -> None:
        with Cache(path) as cache:
            pipeline, sequence = cache.header.pipeline, cache.header.sequence
        other = sequences.setdefault(pipeline, {}).setdefault(sequence, path)
        if other.resolve() != path.resolve():
            problem = f"{other} and {path} are both caches of {pipeline} for {sequence}"
            raise InputError(problem, "name one of them")

    def add(pipeline: str, sequence: str, path: Path) -> None:
        file = get_ground_truth(sequence, files)
        with Cache(part_of_cache(path, sequence, file)) as cache:
            limits = settings.size_limits
            new = CacheEvaluation(pipeline, settings.min_score, limits, settings)
            evaluations.setdefault(pipeline, new).add(cache, file, settings.rules, warn)

    for path in caches:
        attempt(str(path), partial(open_header, path))
    for pipeline, named in sequences.items():
        for sequence in scored_once(pipeline, named, files, warn):
            attempt(str(named[sequence]), partial(add, pipeline, sequence, named[sequence]))
    rows, missing = [], MissingResults()
    for evaluation in evaluations.values():
        new = evaluation.rows(settings.bootstrap, settings.seed)
        missing.add(new, [row.sequence for row in new], files)
        rows += new
    missing.report(warn)
    return rows


def _scored_classes(files: Iterable[GroundTruthFile]) -> dict[int | None, str]:
    """Return the classes of scored ground truth, by number, as suffixes of trackers' names.

    They are MOTChallenge's if all numbers are; others are called by their numbers.
    """
    numbers: set[int] = set()
    for file in files:
        rest = read_ground_truth(file.path).rest
        if rest.shape[1] in CLASS_COLUMNS:
            numbers.update(rest[rest[:, 0] != 0, 1].astype(int).tolist())
    if not numbers:
        fix = "leave --per-class out, or put classes 1 to 13 in column 8"
        raise InputError("the ground truth has no classes", fix)
    known = {} if numbers - {*range(1, len(CLASS_NAMES) + 1)} else dict(enumerate(CLASS_NAMES, 1))
    return {number: f" ({known.get(number, f'class {number}')})" for number in sorted(numbers)}
