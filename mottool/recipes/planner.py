"""Make the plan of a recipe: compare the record of each result with its current inputs.

A result is fresh if its file exists and its record has the same inputs as the recipe. Only files
that have changed since the last run are opened. Imports no numpy or h5py while nothing has changed.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from mottool._version import __version__
from mottool.association.associate import settings_record, track_inputs
from mottool.association.registry import TRACKERS
from mottool.drawing.render import RenderSettings, video_inputs
from mottool.engines.task import Task
from mottool.errors import CacheError, InputError, MottoolError, SettingError
from mottool.files import safe_name
from mottool.metrics.ground_truth_files import GroundTruthFile, get_ground_truth, has_ground_truth
from mottool.pipelines.cache_record import boxes_file, cache_inputs, pipeline_inputs
from mottool.pipelines.choice import check_detections, full_name_of
from mottool.pipelines.names import missing_fields, runs_network
from mottool.pixel_range import recorded_range
from mottool.recipes import jobs
from mottool.recipes.cache_facts import describe_cache, describe_motion, header_of
from mottool.recipes.plan import Plan, PlannedResult
from mottool.recipes.recipe import Recipe, RecipePipeline, RecipeTracker
from mottool.recipes.result_states import MISSING, ResultStates
from mottool.recipes.segments import in_segments
from mottool.recipes.sequences import PlannedSequence, source_hash
from mottool.records.known_files import KnownFiles
from mottool.splits import without_half
from mottool.workdir import WorkDir, find_camera_motion

__all__ = ["Planner"]

DAMAGED = "damaged"
CHANGED_SOURCE = "the content of the source changed"
UNREADABLE = "a file that it is made from cannot be read"  # its task raises the error
OTHER_RANGE = "made with another pixel range"
REMADE = {
    "caches": "its cache is remade",
    "camera-motion": "its camera motion is remade",
    "tracks": "its tracks are remade",
}
# Trackers that compensate for camera motion unless their settings say otherwise.
COMPENSATING = {
    name for name, entry in TRACKERS.items() if "camera_motion" in entry.required(entry.settings())
}


@dataclass(frozen=True)
class _Cache:
    """A cache in the plan; `facts` are what is known of it, None if it is not fresh."""

    result: PlannedResult
    facts: Mapping[str, Any] | None
    pipeline: RecipePipeline
    sequence: PlannedSequence


class Planner:
    """Plans the results of a recipe in a work folder, without making any."""

    def __init__(
        self,
        recipe: Recipe,
        work: WorkDir,
        truth: Mapping[str, GroundTruthFile],
        known: KnownFiles,
    ) -> None:
        """Start a plan; `truth` is the ground truth by sequence, `known` what is known of files."""
        self.recipe, self.work, self.truth, self.known = recipe, work, truth, known
        self.states = ResultStates(known)
        self.made = Plan()
        self._fitting = [(tracker, jobs.fitting_of(tracker)) for tracker in recipe.trackers]
        self._lacking: dict[str, dict[str, None]] = {}  # names of results, by what they lack
        self._motions: dict[tuple[Path, bool], PlannedResult] = {}
        self._truth_names: dict[str, list[str]] = {}  # of sequences and their halves
        for name in truth:
            self._truth_names.setdefault(without_half(name)[0], []).append(name)

    def plan(self, sequences: Sequence[PlannedSequence]) -> Plan:
        """Plan the results of sequences.

        Raises `InputError` if a folder of given caches has none, and `SettingError` for settings
        that do not fit and for results with the same file, and `CacheError` for a cache whose
        recorded settings do not fit a tracker.
        """
        known = bool(sequences) or not self.recipe.datasets
        if self.recipe.produce.scores and known and not self.truth:
            self.made.note("no sequence has ground truth, so there are no scores")
        for pipeline in self.recipe.pipelines:
            for cache in self._caches(pipeline, sequences):
                self.made.add(cache.result)
                self._plan_cache(cache)
        for missing, names in self._lacking.items():
            self.made.note(f"{', '.join(names)} left out: no {missing}")
        return self.made

    def _caches(
        self, pipeline: RecipePipeline, sequences: Sequence[PlannedSequence]
    ) -> list[_Cache]:
        if pipeline.caches is None:
            _check_files(pipeline, len(sequences))
            of_pipeline = pipeline_inputs(pipeline.config, self.states.input_digest)
            pixels = pipeline.pixel_range
            read = [replace(sequence, pixel_range=pixels) for sequence in sequences]
            return [self._cache(pipeline, each, of_pipeline) for each in read]
        names = {sequence.name: sequence for sequence in sequences}
        chosen = [
            self._given_cache(pipeline, names.get(path.stem, PlannedSequence(path.stem)), path)
            for path in sorted(pipeline.caches.glob("[!.]*.h5"))
            if not names or path.stem in names
        ]
        if not chosen:
            fix = "make them with mottool detect-embed, or name another folder"
            raise InputError(f"there are no caches of the sequences in {pipeline.caches}", fix)
        return chosen

    def _given_cache(
        self, pipeline: RecipePipeline, sequence: PlannedSequence, path: Path
    ) -> _Cache:
        """Plan a cache that is an input itself; if it is unreadable, its task raises the error."""
        group = f"caches/{safe_name(pipeline.name)}"
        facts = self.states.facts(path, "cache", describe_cache)
        task = Task(f"{group}/{sequence.name}", describe_cache, (path,))
        reasons = () if facts else (DAMAGED,)
        frames = facts["frames"] if facts else None
        if facts:
            sequence = replace(sequence, pixel_range=recorded_range(facts["settings"]))
        more = None if facts else task, facts, frames
        return _Cache(
            PlannedResult(group, sequence.name, path, reasons, *more), facts, pipeline, sequence
        )

    def _cache(
        self, pipeline: RecipePipeline, sequence: PlannedSequence, of_pipeline: Mapping[str, Any]
    ) -> _Cache:
        group, config = f"caches/{safe_name(pipeline.name)}", pipeline.config
        path = self.work.cache(pipeline.name, sequence.name)
        own = sequence.file("detections"), sequence.file("ground_truth")
        boxes = boxes_file(config, (sequence.name, sequence.whole_name), *own)
        facts = self.states.facts(path, "cache", describe_cache)
        inputs = None
        if facts:  # else the source need not be read
            with suppress(MottoolError, OSError):
                content = source_hash(sequence, self.known)
                pixels = sequence.pixel_range
                inputs = cache_inputs(of_pipeline, content, boxes, self.states.input_digest, pixels)
        reasons, record = self.states.compare(path, inputs)
        if reasons == [MISSING] and path.with_suffix(".part").is_dir():
            reasons = ["unfinished, and will be resumed"]
        elif not reasons and facts is None:
            reasons = [DAMAGED]
        elif not reasons and inputs is None:
            reasons = [UNREADABLE]
        elif not reasons and record.get("cache_header") != facts["header"]:
            reasons = ["replaced after it was made"]
        needs = "network" if runs_network(of_pipeline["pipeline"]) else "cpu"
        arguments = (sequence, config, path, of_pipeline)
        tasks = [Task(f"{group}/{sequence.name}", jobs.make_cache, arguments, needs=needs)]
        if self.recipe.segment_frames and reasons:
            tasks = in_segments(tasks[0], self.recipe.segment_frames, self.made.note)
        result = PlannedResult(
            *(group, sequence.name, path, tuple(reasons), tasks[-1] if reasons else None, inputs),
            facts["frames"] if facts else sequence.frames,
            facts["seconds"] if facts else None,
            tuple(tasks[:-1]),
        )
        return _Cache(result, None if reasons else facts, pipeline, sequence)

    def _plan_cache(self, cache: _Cache) -> None:
        """Plan what is made from a cache."""
        sequence, produce = cache.sequence, self.recipe.produce
        truth = self._truth_of(sequence.name)
        if truth and produce.scores and produce.comparison:
            self._detection_score(cache, truth)
        for tracker, fitting in self._fitting if produce.tracks else ():
            if missing := self._missing(cache, tracker):
                name = f"{cache.pipeline.name}.{tracker.name}"
                self._lacking.setdefault(missing, {})[name] = None
                continue
            tracks = self._tracks(cache, tracker, fitting)
            if truth and produce.scores:
                self._score(cache, tracker, tracks, truth)
            if produce.videos and sequence.source:
                self._video(sequence, tracks)

    def _truth_of(self, sequence: str) -> GroundTruthFile | None:
        names = self._truth_names.get(without_half(sequence)[0], [])
        if not has_ground_truth(sequence, names):
            return None
        return get_ground_truth(sequence, {name: self.truth[name] for name in names})

    def _missing(self, cache: _Cache, tracker: RecipeTracker) -> str:
        """Return what a tracker needs that the caches of a pipeline lack; "" for nothing."""
        needs = TRACKERS[tracker.tracker].needs
        if cache.facts is not None:
            fields = cache.facts["fields"] if cache.facts["detections"] else needs
            return " and ".join(name for name in needs if name not in fields)
        if cache.pipeline.caches is not None:
            return ""
        return " and ".join(missing_fields(full_name_of(cache.pipeline.config)[0], needs))

    def _tracks(self, cache: _Cache, tracker: RecipeTracker, fitting: Any) -> PlannedResult:
        folder = self.work.tracks(cache.pipeline.name, tracker.name)
        path = folder / f"{safe_name(cache.sequence.name)}.txt"
        stale, inputs = [cache.result] if cache.result.reasons else [], None
        if cache.facts is not None:
            try:
                settings, given, finishing = cast(Any, fitting.of(header_of(cache.facts)))
            except CacheError as error:
                raise CacheError(f"{cache.result.path}: {error.problem}", error.fix) from error
            required = TRACKERS[tracker.tracker].required(settings)
            moving = "camera_motion" in required and cache.facts["detections"]
            motion = self._motion(cache) if moving else None
            stale += [motion] if motion and motion.reasons else []
            described = settings_record(tracker.tracker, settings, given, finishing)
            of_motion = motion.inputs["settings"] if motion and motion.inputs else None
            inputs = track_inputs(described, cache.facts["header"], of_motion)
        elif tracker.tracker in COMPENSATING and cache.sequence.source:
            motion = self._motion(cache)
            stale += [motion] if motion.reasons else []
        reasons, record = self.states.compare(path, None if stale else inputs)
        if stale and not reasons:
            kind, missing = stale[0].kind, f"its camera motion is {stale[0].reasons[0]}"
            reasons = [REMADE[kind] if stale[0].task else missing]
        frames = cache.facts["frames"] if cache.facts else cache.sequence.frames
        spent = record.get("seconds", {}).get("association")
        group, job = f"tracks/{folder.name}", jobs.make_tracks
        arguments = cache.result.path, path, tracker, bool(reasons) and not stale
        return self._add(group, cache, path, reasons, job, arguments, inputs, frames, spent, stale)

    def _add(
        self,
        group: str,
        cache: _Cache,
        path: Path,
        reasons: Sequence[str],
        job: Any,
        arguments: tuple[Any, ...],
        inputs: Mapping[str, Any] | None,
        frames: int | None,
        spent: float | None,
        stale: Sequence[PlannedResult],
    ) -> PlannedResult:
        """Add a result of a cache's sequence that is made from `stale` results and others."""
        name = cache.sequence.name
        after = tuple(result.name for result in stale if result.task)
        task = Task(f"{group}/{name}", job, arguments, after) if reasons else None
        result = PlannedResult(group, name, path, tuple(reasons), task, inputs, frames, spent)
        return self.made.add(result)

    def _motion(self, cache: _Cache) -> PlannedResult:
        """Plan the camera motion of a sequence, once for all trackers that read the same file.

        It has a task if there are frames, and if the file is that of this work folder and is found
        from the cache. A file of another work folder, beside given caches, is never replaced. Of
        several pipelines, the first that needs it determines the pixel range.
        """
        sequence, near = cache.sequence, cache.result.path
        given = (without_half(sequence.name)[0],) if cache.pipeline.caches is not None else ()
        files = (find_camera_motion(near, name) for name in (sequence.name, *given))
        own = self.work.camera_motion(sequence.name)
        path = next(filter(None, files), own)
        near_own = self.work.root.resolve() in near.resolve().parents[:3]
        makeable = bool(sequence.source) and near_own and path.resolve() == own.resolve()
        if (path, makeable) in self._motions:
            return self._motions[path, makeable]
        facts = self.states.facts(path, "motion", describe_motion)
        reasons = [] if facts else [DAMAGED if path.is_file() else MISSING]
        if facts and makeable:
            try:
                content = source_hash(sequence, self.known)
                reasons = [] if content == facts["source_hash"] else [CHANGED_SOURCE]
            except (MottoolError, OSError):
                reasons = [UNREADABLE]
            if not reasons and recorded_range(facts["settings"]) != sequence.pixel_range:
                reasons = [OTHER_RANGE]
        task = Task(f"camera-motion/{sequence.name}", jobs.make_motion, (sequence, path))
        make = task if reasons and makeable else None
        result = PlannedResult("camera-motion", sequence.name, path, tuple(reasons), make, facts)
        self._motions[path, makeable] = self.made.add(result)
        return result

    def _detection_score(self, cache: _Cache, truth: GroundTruthFile) -> None:
        name, source = cache.pipeline.name, cache.result
        path = self.work.score(name, cache.sequence.name, "npz")
        content = {"cache_header": cache.facts["header"] if cache.facts else None}
        inputs = self._truth_inputs(truth) | content
        arguments = source.path, truth, path, self.recipe.produce.rules, inputs
        result = self._scored(name, cache, source, path, inputs, arguments)
        self.made.detections.setdefault(name, {})[truth.sequence] = result

    def _score(
        self, cache: _Cache, tracker: RecipeTracker, tracks: PlannedResult, truth: GroundTruthFile
    ) -> None:
        name = f"{cache.pipeline.name}.{tracker.name}"
        path = self.work.score(name, cache.sequence.name, "json")
        inputs = self._truth_inputs(truth)
        content = {"tracks": None if tracks.reasons else self.states.digest(tracks.path)}
        arguments = tracks.path, truth, path, self.recipe.produce.rules, inputs
        result = self._scored(name, cache, tracks, path, inputs | content, arguments)
        key = cache.pipeline.name, tracker.name
        self.made.scores.setdefault(key, {})[truth.sequence] = result

    def _truth_inputs(self, truth: GroundTruthFile) -> dict[str, Any]:
        return {
            "ground_truth": self.states.digest_of(truth),
            "span": None if truth.span is None else list(truth.span),
            "length": truth.length,
            "rules": self.recipe.produce.rules,
            "mottool": __version__,
        }

    def _scored(
        self,
        name: str,
        cache: _Cache,
        source: PlannedResult,
        path: Path,
        inputs: Mapping[str, Any],
        arguments: tuple[Any, ...],
    ) -> PlannedResult:
        """Plan the scores of the result `source`: tracks, or the detections of a cache."""
        reasons, record = self.states.compare(path, None if source.reasons else inputs)
        if source.reasons and not reasons:
            reasons = [REMADE[source.kind]]
        if inputs["ground_truth"] is None:
            reasons = [UNREADABLE]
        job = jobs.make_score if source.kind == "tracks" else jobs.make_detection_score
        group, stale = f"scores/{safe_name(name)}", [source] if source.reasons else []
        more = inputs, source.frames, record.get("took"), stale
        return self._add(group, cache, path, reasons, job, arguments, *more)

    def _video(self, sequence: PlannedSequence, tracks: PlannedResult) -> None:
        path, inputs = self.work.video(tracks.path.parent.name, sequence.name), None
        if not tracks.reasons:
            with suppress(MottoolError, OSError):
                content, hash_of = source_hash(sequence, self.known), self.known.digest
                inputs = video_inputs(
                    content,
                    tracks.path,
                    RenderSettings(),
                    hash_of=hash_of,
                    pixel_range=sequence.pixel_range,
                )
        reasons, record = self.states.compare(path, inputs)
        if inputs is None and not reasons:
            reasons = [REMADE["tracks"] if tracks.reasons else UNREADABLE]
        group = f"videos/{path.parent.name}"
        after = (tracks.name,) if tracks.task else ()
        task = Task(
            f"{group}/{sequence.name}", jobs.make_video, (sequence, tracks.path, path), after
        )
        make, spent = task if reasons else None, record.get("took")
        self.made.add(
            PlannedResult(
                group, sequence.name, path, tuple(reasons), make, inputs, tracks.frames, spent
            )
        )


def _check_files(pipeline: RecipePipeline, sequences: int) -> None:
    """Raise `SettingError` for files of a pipeline that are missing or do not fit."""
    config = pipeline.config
    check_detections(config, sequences)
    for path in (config.weights, config.embedder_weights, config.detections):
        if path is not None and not path.exists():
            fix = "check the path, which is relative to the recipe's folder"
            raise SettingError(f"{pipeline.name}: there is no file {path}", fix)
