"""The jobs of a recipe: each makes one result, in any process, unless it is there already.

A job imports what it needs when it runs, and returns what the plan has to know of its result.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from mottool.association.associate import associate, inputs_of, settings_record
from mottool.association.empty_result import EmptyResult, describe_empty, explain_empty
from mottool.association.fitted_settings import CacheSettings
from mottool.association.sequence_settings import settings_classes_of
from mottool.drawing.render import RenderSettings, render_video, video_inputs
from mottool.engines.task import from_shared_folder
from mottool.errors import BusyError, CacheError, SegmentError
from mottool.files import digest, file_digest
from mottool.metrics.ground_truth_files import GroundTruthFile
from mottool.pipelines.cache_record import record_cache
from mottool.pipelines.camera_motion import estimate_motion
from mottool.pipelines.choice import PipelineConfig
from mottool.pipelines.detect_embed import detect_embed
from mottool.pipelines.make_caches import kept_pipelines
from mottool.recipes.cache_facts import describe_cache, describe_motion
from mottool.recipes.recipe import RecipeTracker
from mottool.recipes.sequences import PlannedSequence
from mottool.records.known_files import refuse_changes, signature
from mottool.records.record import (
    is_made_from,
    locked_result,
    read_record,
    remove_record,
    write_record,
)
from mottool.records.tracker_settings import warn_of_replaced

if TYPE_CHECKING:
    from mottool.pipelines.interfaces import Pipeline
    from mottool.sources.sequence import Sequence as Source

__all__ = [
    "Made",
    "compensates",
    "divide_cache",
    "fitting_of",
    "make_cache",
    "make_detection_score",
    "make_motion",
    "make_score",
    "make_segment",
    "make_tracks",
    "make_video",
]


KEEP_BOTH = "give another --work, or --settings NAME.toml, whose results go to TRACKER@NAME"


@dataclass(frozen=True)
class Made:
    """A result: what was computed from its file, by name, and messages for the user.

    `kept` is True if it was there already, made from the same inputs. `source` is the sequence of a
    cache with its fingerprint, and `empty` explains tracks without rows.
    """

    path: Path
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    kept: bool = False
    source: "tuple[PlannedSequence, str] | None" = None
    empty: EmptyResult | None = None


def fitting_of(tracker: RecipeTracker) -> CacheSettings:
    """Return what gives the settings of a tracker for each cache."""
    classes = settings_classes_of(tracker.tracker)
    return CacheSettings(
        tracker.tracker,
        classes,
        tracker.given,
        tracker.by_sequence,
        tracker.published,
        tracker.profile,
    )


def compensates(cache: Path, tracker: RecipeTracker) -> bool:
    """Return whether a tracker requires the camera motion of a cache.

    Raises `CacheError` for a cache that cannot be read.
    """
    from mottool.association.camera_motion import needs_motion
    from mottool.cache.reader import Cache

    with Cache(cache) as opened:
        settings = fitting_of(tracker).of(opened.header)
        return needs_motion(opened, tracker.tracker, settings[0])


def _pipeline(config: PipelineConfig, inputs: Mapping[str, Any]) -> "Pipeline":
    """Return the pipeline that this process keeps; messages about it are dropped."""
    (pipeline,), _ = kept_pipelines((config,), 1, digest([inputs]))
    return pipeline


def make_cache(
    sequence: PlannedSequence, config: PipelineConfig, out: Path, of_pipeline: Mapping[str, Any]
) -> Made:
    """Detect and embed a sequence; resume an interrupted cache of the same inputs.

    A cache that is damaged or was made from other inputs is replaced. `of_pipeline` are the inputs
    of the pipeline. Raises what `detect_embed` raises.
    """
    notes, before = list[str](), signature(out)
    source, pipeline = sequence.open(), _pipeline(config, of_pipeline)
    _replacing(notes, lambda again: detect_embed(source, out, pipeline, again, notes.append))
    kept = bool(before) and signature(out) == before
    facts = describe_cache(out)
    record_cache(out, source, config, of_pipeline)
    content = read_record(out)["source_hash"]
    return Made(out, {"cache": facts}, () if kept else tuple(notes), kept, (sequence, content))


def divide_cache(
    sequence: PlannedSequence,
    config: PipelineConfig,
    out: Path,
    of_pipeline: Mapping[str, Any],
    frames: int,
) -> Made:
    """Divide a cache that is to be made into segments of so many frames.

    It replaces a cache as `make_cache` does. A note says so if one process must make the cache.
    """
    from mottool.pipelines.segments import divide_cache as divide

    notes, source = list[str](), sequence.open()
    pipeline = _pipeline(config, of_pipeline)
    try:
        _replacing(notes, lambda again: divide(source, out, pipeline, frames, again, notes.append))
    except SegmentError as error:
        notes.append(_undivided(error))
    return Made(out, notes=tuple(notes))


def make_segment(
    sequence: PlannedSequence,
    config: PipelineConfig,
    out: Path,
    of_pipeline: Mapping[str, Any],
    number: int,
    count: int,
) -> Made:
    """Detect and embed segment `number` of a divided cache, and every `count`-th after it."""
    from mottool.pipelines.segments import run_segment

    notes, source = list[str](), sequence.open()
    pipeline = _pipeline(config, of_pipeline)

    def make(again: bool) -> None:
        run_segment(source, out, pipeline, number, count, again, notes.append)

    try:
        _replacing(notes, make)
    except SegmentError as error:
        notes.append(_undivided(error))
    return Made(out, notes=tuple(notes))


def _undivided(error: SegmentError) -> str:
    return f"{error.problem}, so that one process reads it"


def _replacing(notes: list[str], make: Callable[[bool], object]) -> None:
    """Call `make(False)`, or `make(True)`, which overwrites a file that cannot be continued.

    Messages of the first try are dropped. Raises the error of a file that must be kept: another
    process is writing it, or its folder is gone for a moment and the task is tried again.
    """
    try:
        make(False)
    except CacheError as error:
        if isinstance(error, BusyError) or from_shared_folder(error):
            raise
        notes.clear()
        make(True)


def make_motion(sequence: PlannedSequence, out: Path) -> Made:
    """Estimate the camera motion of a sequence; replace a file as `make_cache` does.

    The file says itself what it is made from. Its record is for a store, which has none without.
    """
    notes, source = list[str](), sequence.open()
    remove_record(out)
    _replacing(notes, lambda again: estimate_motion(source, out, None, again, notes.append))
    facts = describe_motion(out)
    write_record(out, facts)
    return Made(out, {"motion": facts}, tuple(notes))


def make_tracks(
    cache: Path,
    out: Path,
    tracker: RecipeTracker,
    overwrite: bool = False,
    warn: Callable[[str], None] | None = None,
) -> Made:
    """Track a cache, unless its result file is made from the same inputs.

    Messages are passed to `warn`, or returned without it. Raises what `associate` raises.
    """
    from mottool.association.camera_motion import required_motion
    from mottool.cache.reader import Cache

    notes, fitting = list[str](), fitting_of(tracker)
    note = warn or notes.append
    with Cache(cache) as opened:
        name = opened.header.sequence
        settings, inputs, finishing = cast(Any, fitting.of(opened.header))
        described = settings_record(tracker.tracker, settings, inputs, finishing)
        motion = required_motion(opened, tracker.tracker, settings)
        made_from = inputs_of(opened, described, motion)
    if warn is not None:
        for message in fitting.notes:
            warn(message)
    kept = not overwrite and _is_fresh(out, made_from)
    if not kept:
        if warn is not None:
            warn_of_replaced({out: made_from}, warn, KEEP_BOTH)
        associate(
            cache,
            out,
            tracker.tracker,
            settings=settings,
            postprocessing=finishing,
            inputs=inputs,
            warn=note,
        )
    record, empty = read_record(out), None
    if record.get("rows") == 0:
        empty = explain_empty(name, cache, settings, inputs, finishing)
        if warn is not None:
            for message in describe_empty([empty]):
                warn(message)
    return Made(out, {"sha256": record.get("sha256")}, tuple(notes), kept, empty=empty)


def _is_fresh(result: Path, inputs: Mapping[str, Any]) -> bool:
    """Return whether a result is made from these inputs and has the content of its record.

    It has not if the file was edited, or if a process was killed before it wrote the record.
    """
    recorded = is_made_from(result, inputs)
    return recorded and read_record(result).get("sha256") == file_digest(result)


def _make(
    out: Path,
    inputs: Callable[[], Mapping[str, Any]],
    files: Sequence[Path],
    make: Callable[[], object],
    notes: list[str],
    overwrite: bool = False,
) -> Made:
    """Call `make` and write the record of `out`, unless `out` is fresh and not to be overwritten.

    `inputs` returns those of the record, read from `files`, which may not change meanwhile. If
    another process makes the same result, wait for it and look again.
    """
    start = perf_counter()
    if not overwrite and _is_fresh(out, inputs()):  # its folder may be read-only
        return Made(out, kept=True)
    with locked_result(out):
        with refuse_changes(*files):
            content = inputs()
            if not overwrite and _is_fresh(out, content):
                return Made(out, kept=True)
            remove_record(out)
            make()
        took, checksum = perf_counter() - start, file_digest(out)
        write_record(out, {**content, "sha256": checksum, "took": took})
    return Made(out, {"sha256": checksum}, tuple(notes))


def make_score(
    tracks: Path, truth: GroundTruthFile, out: Path, rules: str, inputs: Mapping[str, Any]
) -> Made:
    """Score a result file; `inputs` are those of its record beside the tracks."""
    from mottool.metrics.stored_scores import store_score

    notes = list[str]()

    def inputs_now() -> Mapping[str, Any]:
        return {**inputs, "tracks": file_digest(tracks)}

    def make() -> None:
        store_score(tracks, truth.sequence, truth, out, rules, notes.append)

    return _make(out, inputs_now, [tracks, truth.path], make, notes)


def make_detection_score(
    cache: Path, truth: GroundTruthFile, out: Path, rules: str, inputs: Mapping[str, Any]
) -> Made:
    """Score the detections of a cache.

    `inputs` are those of its record; the cache's is read if it was not known to the plan.
    """
    from mottool.metrics.stored_scores import store_detection_score

    notes = list[str]()

    def inputs_now() -> Mapping[str, Any]:
        header = inputs["cache_header"]
        return {**inputs, "cache_header": header or describe_cache(cache)["header"]}

    def make() -> None:
        store_detection_score(cache, truth, out, rules, notes.append)

    return _make(out, inputs_now, [cache, truth.path], make, notes)


def make_video(
    sequence: "Source | PlannedSequence",
    tracks: Path,
    out: Path,
    overwrite: bool = False,
    warn: Callable[[str], None] | None = None,
    watch: Callable[[Any], Any] = lambda frames: frames,
) -> Made:
    """Draw a result file over its sequence, unless the video is made from the same inputs.

    Messages are passed to `warn`, or returned without it. `watch` may wrap the frames.
    """
    notes, settings = list[str](), RenderSettings()
    source = sequence.open() if isinstance(sequence, PlannedSequence) else sequence
    content, pixels = source.fingerprint(), source.pixel_range

    def inputs_now() -> Mapping[str, Any]:
        return video_inputs(content, tracks, settings, pixel_range=pixels)

    def make() -> None:
        render_video(source, tracks, out, settings, warn or notes.append, watch)

    return _make(out, inputs_now, [tracks], make, notes, overwrite)
