"""Score the results of trackers and the caches of pipelines, all sequences of each in a table."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mottool.errors import InputError, ignore_warning
from mottool.layouts.registry import read_ground_truth
from mottool.metrics.cache_evaluation import CacheEvaluation
from mottool.metrics.ground_truth_files import GroundTruthFile, get_ground_truth, part_of_cache
from mottool.metrics.settings import EvaluationSettings
from mottool.metrics.speed import timing_notes
from mottool.metrics.tables import TableRow
from mottool.metrics.track_evaluation import TrackEvaluation
from mottool.metrics.unscored import MissingResults, scored_once
from mottool.motchallenge.rules import CLASS_COLUMNS, CLASS_NAMES
from mottool.records.tracker_settings import mixed_settings

__all__ = ["evaluate_caches", "evaluate_results"]

Warn = Callable[[str], None]
Attempt = Callable[[str, Callable[[], object]], object]


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
