"""The comparison of a recipe's results: a table, and a page with plots and videos.

It is made from stored scores; nothing is tracked again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mottool._version import __version__
from mottool.files import digest, safe_name
from mottool.recipes.cache_facts import describe_cache
from mottool.recipes.plan import Plan, PlannedResult
from mottool.recipes.recipe import Recipe
from mottool.records.record import is_made_from, read_record, remove_record, write_record
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.comparison.html_page import PageVideo
    from mottool.comparison.results import ComparisonRow
    from mottool.metrics.matches import CacheMatches
    from mottool.metrics.tables import Table
    from mottool.metrics.tracking import TrackingScore

__all__ = ["comparison_state", "read_notes", "read_table", "write_comparison"]

Records = Mapping[tuple[str, str], Mapping[str, Mapping[str, Any]]]

TABLE = "comparison"  # in the record of a page
EMBEDDED_MEGABYTES = 4.0  # of a video; larger ones are linked
TIMING = "by the commands that made the results, on the machines on which they ran"


def comparison_state(plan: Plan, path: Path) -> str:
    """Return why the page of a recipe is stale, "" if it is fresh or there is nothing on it."""
    if not plan.scores:
        return ""
    remade = [result for result in plan.stale if result.kind in {"scores", "videos"}]
    if not path.is_file():
        return "missing"
    if remade:
        return f"{len(remade)} of its results are remade"
    if TABLE not in read_record(path):
        return "no record of its table"
    return "" if is_made_from(path, _inputs(plan)) else "other results than before"


def read_table(path: Path) -> Table | None:
    """Return the table of the comparison that is at `path`; None if it is unknown."""
    from mottool.metrics.tables import Table

    content = read_record(path).get(TABLE)
    return Table(**content) if content else None


def read_notes(path: Path) -> list[str]:
    """Return the notes on the comparison that is at `path`."""
    return list(read_record(path).get("notes", []))


def write_comparison(recipe: Recipe, work: WorkDir, plan: Plan) -> tuple[Path | None, list[str]]:
    """Write the page of fresh scores; return its path, None if there are none, and notes on it.

    `plan` is the plan after the run: sequences whose scores are stale in it have failed and are
    left out. Raises `InputError` for damaged scores.
    """
    from mottool.comparison.environment import describe_environment
    from mottool.comparison.html_page import write_page
    from mottool.comparison.results import chance, comparison_table
    from mottool.drawing.comparison_page import draw_page
    from mottool.metrics.speed import timing_notes

    path = work.comparison(recipe.name)
    sequences, notes = _common_sequences(plan)
    if not sequences:
        return None, notes
    records = _records(plan, work, sequences)
    rows = _rows(plan, records)
    notes += timing_notes({".".join(pair): [*each.values()] for pair, each in records.items()})
    notes += chance(rows)
    page = replace(
        draw_page(rows, plan.notes + notes),
        videos=_videos(plan),
        facts=describe_environment() | {"Timing": TIMING},
        pipelines=_pipelines(recipe),
    )
    remove_record(path)
    write_page(rows, page, path, EMBEDDED_MEGABYTES)
    table = asdict(comparison_table(rows))
    write_record(path, _inputs(plan) | {TABLE: table, "notes": notes})
    return path, notes


def _inputs(plan: Plan) -> dict[str, Any]:
    """Return what determines the page: results, by what they were made from, and notes.

    Tracks are included because the page lists their settings and times, which can change without
    the scores.
    """
    fresh = [result for result in plan.results if not result.reasons]
    made_from = {
        result.name: [result.inputs, result.spent if result.kind == "tracks" else None]
        for result in fresh
        if result.kind in {"tracks", "scores", "videos"}
    }
    return {"results": digest([made_from, plan.notes]), "mottool": __version__}


def _common_sequences(plan: Plan) -> tuple[list[str], list[str]]:
    """Return the sequences of which all scores are fresh, and a note on the others."""
    parts: list[Mapping[str, PlannedResult]] = [*plan.scores.values(), *plan.detections.values()]
    names = list(dict.fromkeys(name for part in parts for name in part))
    common = [
        name for name in names if all(name in part and not part[name].reasons for part in parts)
    ]
    missing = [name for name in names if name not in common]
    notes = [f"{', '.join(missing)} left out of the comparison: not all scores are there"]
    return common, notes if missing else []


def _records(plan: Plan, work: WorkDir, sequences: Sequence[str]) -> Records:
    """Return the records of the tracks of each pipeline and tracker, by sequence."""
    return {
        pair: {
            name: read_record(work.tracks(*pair) / f"{safe_name(by_sequence[name].sequence)}.txt")
            for name in sequences
        }
        for pair, by_sequence in plan.scores.items()
    }


def _rows(plan: Plan, records: Records) -> list[ComparisonRow]:
    """Return a row for each pipeline and tracker with the records of its tracks."""
    from mottool.metrics.stored_scores import read_detection_score, read_score

    sequences = list(next(iter(records.values())))
    matches = {
        pipeline: {name: read_detection_score(by_sequence[name].path) for name in sequences}
        for pipeline, by_sequence in plan.detections.items()
    }
    caches = {
        (result.group.partition("/")[2], result.sequence): result
        for result in plan.results
        if result.kind == "caches"
    }
    rows = []
    for pair, by_sequence in plan.scores.items():
        cache = caches[safe_name(pair[0]), by_sequence[sequences[0]].sequence]
        scores = {name: read_score(by_sequence[name].path) for name in sequences}
        facts = describe_cache(cache.path)
        rows.append(_row(pair, facts, scores, matches[pair[0]], records[pair]))
    return rows


def _row(
    pair: tuple[str, str],
    facts: Mapping[str, Any],
    scores: Mapping[str, TrackingScore],
    matches: Mapping[str, CacheMatches],
    records: Mapping[str, Mapping[str, Any]],
) -> ComparisonRow:
    """Return the row of a pipeline and a tracker.

    `facts` are those of one of its caches. `scores` of tracks, `matches` of detections and
    `records` of tracks are by sequence.
    """
    import numpy as np

    from mottool.comparison.pipelines import kind_of
    from mottool.comparison.results import ComparisonRow, row_metrics
    from mottool.metrics.speed import rates_of
    from mottool.metrics.tracking import combine

    def metrics_of(names: Sequence[str]) -> dict[str, float | None]:
        score = combine(scores[name] for name in names)
        speeds = rates_of(records[name] for name in names)
        return row_metrics(score, [matches[name] for name in names], None, speeds)

    pipeline, tracker = pair
    return ComparisonRow(
        pipeline,
        kind_of(facts["pipeline"], "embeddings" in facts["fields"]),
        tracker,
        metrics_of(list(scores)),
        {name: metrics_of([name]) for name in scores},
        np.zeros(0, np.int64),
        np.zeros((3, 0)),
        {name: _settings(record) for name, record in records.items()},
    )


def _settings(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a result file by name."""
    parts = [record.get(part) or {} for part in ("settings", "input", "finishing")]
    return {name: value for part in parts for name, value in part.items()}


def _videos(plan: Plan) -> list[PageVideo]:
    """Return the fresh videos of the plan."""
    from mottool.comparison.html_page import PageVideo

    return [
        PageVideo(
            result.group.partition("/")[2], result.sequence, result.path, read_record(result.path)
        )
        for result in plan.results
        if result.kind == "videos" and not result.reasons
    ]


def _pipelines(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """Return the options of each pipeline that differ from the defaults."""
    from mottool.pipelines.choice import PipelineConfig
    from mottool.settings import to_json

    defaults = to_json(PipelineConfig())
    described = {}
    for pipeline in recipe.pipelines:
        options = to_json(pipeline.config).items()
        chosen = {name: value for name, value in options if value != defaults[name]}
        given = {"caches": str(pipeline.caches)} if pipeline.caches else {}
        given |= {"pixel_range": str(pipeline.pixel_range)} if pipeline.pixel_range else {}
        described[pipeline.name] = chosen | given or {"pipeline": pipeline.name}
    return described
