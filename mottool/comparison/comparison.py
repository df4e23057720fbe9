"""Measure every pipeline with every tracker that can use its caches, on common sequences."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mottool.association.fitted_settings import fitted_settings
from mottool.association.registry import TRACKERS
from mottool.association.sequence_settings import (
    SequenceSettings,
    settings_classes_of,
    tracker_of,
)
from mottool.comparison.measure import DetectionMeasurement, measure_detection, measure_tracking
from mottool.comparison.pipelines import ComparedPipeline, find_pipelines
from mottool.comparison.results import ComparisonRow, comparison_row
from mottool.errors import InputError, SettingError
from mottool.metrics.cache_metrics import CacheMatches
from mottool.metrics.chosen_caches import unfinished_caches
from mottool.metrics.ground_truth_files import (
    covered_by_others,
    find_ground_truth,
    get_ground_truth,
    has_ground_truth,
    part_of_cache,
)
from mottool.metrics.speed import given_boxes_note
from mottool.motchallenge.rules import AUTO
from mottool.settings import to_json

__all__ = ["Comparison"]


class Comparison:
    """The pairs of pipelines and trackers to compare, and the measurements that they share.

    `pairs` are to be measured; `sequences` are those with ground truth and a cache of every
    pipeline; `notes` are messages for the reader, for example what was left out.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        ground_truth: Iterable[Path],
        trackers: Mapping[str, SequenceSettings],
        *,
        rules: str = AUTO,
        oracle: bool = False,
        published: bool = False,
        camera_motion: bool | None = None,
    ) -> None:
        """Find the pipelines and their sequences, without measuring yet.

        `paths` and `oracle` are as in `find_pipelines`, `ground_truth` as in `find_ground_truth`.
        `trackers` are names, as `bytetrack` or `bytetrack@best`, with their settings by sequence,
        which override those that fit a cache's network; `published` ignores the latter.
        `camera_motion` overrides the setting of that name of the trackers that have it. Raises
        `InputError` for files that are missing or do not belong together, `CacheError` for caches
        that cannot be read, and `SettingError` if no tracker has the overridden setting.
        """
        self._given = _by_tracker(trackers, camera_motion)
        self.notes: list[str] = []
        paths = tuple(paths)
        if unfinished := unfinished_caches(paths):
            self._note(unfinished)
        self.ground_truth_files = find_ground_truth(ground_truth)
        self.pipelines = [self._on_truth(pipeline) for pipeline in find_pipelines(paths, oracle)]
        self.sequences = self._common_sequences()
        self.trackers, self.rules, self.published = trackers, rules, published
        self.pairs = [
            (pipeline, tracker)
            for pipeline in self.pipelines
            for tracker in trackers
            if not pipeline.missing_fields(tracker_of(tracker))
        ]
        self._note_impossible()
        if not self.pairs:
            fix = "name a tracker that suits them with --tracker, such as sort"
            raise InputError("the caches lack what these trackers need", fix)
        untimed = dict.fromkeys(pipeline.name for pipeline, _ in self.pairs if pipeline.boxes_given)
        if untimed:
            self._note(given_boxes_note(untimed))
        self._measured: dict[str, dict[str, DetectionMeasurement]] = {}
        self._at_ground_truth: dict[str, dict[str, CacheMatches]] = {}

    def _on_truth(self, pipeline: ComparedPipeline) -> ComparedPipeline:
        """Return a pipeline with the halves of its caches that have ground truth.

        Caches of whole sequences whose ground truth is a half are limited to that half. For caches
        of halves, ground truth of the whole sequence is halved.
        """
        names: dict[str, str] = {}
        given = {*pipeline.caches, *pipeline.at_ground_truth}
        left_out = covered_by_others(given, self.ground_truth_files)
        for name in sorted(given.difference(left_out)):
            names[name] = name
            if has_ground_truth(name, self.ground_truth_files):
                file = get_ground_truth(name, self.ground_truth_files)
                names[name] = file.sequence
                self.ground_truth_files.setdefault(file.sequence, file)

        def part(caches: Mapping[str, Path]) -> dict[str, Path]:
            files = self.ground_truth_files
            return {
                names[name]: part_of_cache(path, name, files[names[name]])
                if names[name] in files
                else path
                for name, path in caches.items()
                if name in names
            }

        return replace(
            pipeline,
            caches=part(pipeline.caches),
            at_ground_truth=part(pipeline.at_ground_truth),
            settings={
                names[name]: settings
                for name, settings in pipeline.settings.items()
                if name in names
            },
        )

    def _common_sequences(self) -> list[str]:
        """Return the sequences with ground truth and a cache of every pipeline; note the others."""
        names = sorted({name for pipeline in self.pipelines for name in pipeline.caches})
        common = [
            name
            for name in names
            if name in self.ground_truth_files
            and all(name in pipeline.caches for pipeline in self.pipelines)
        ]
        if not common:
            problem = f"none of {', '.join(names)} has ground truth and a cache of every pipeline"
            fix = "run mottool detect-embed with each pipeline on the same sequences"
            raise InputError(problem, f"{fix}, and name their ground truth with --gt")
        unknown = [name for name in names if name not in self.ground_truth_files]
        if unknown:
            verb = "has" if len(unknown) == 1 else "have"
            self._note(f"{', '.join(unknown)} left out, which {verb} no ground truth")
        for pipeline in self.pipelines:
            missing = [name for name in names if name not in {*pipeline.caches, *unknown}]
            if missing:
                self._note(f"{', '.join(missing)} left out: no cache of {pipeline.name}")
        return common

    def _note_impossible(self) -> None:
        """Note the pairs whose caches lack what the tracker needs, once for all that lack it."""
        lacking = dict[str, list[str]]()
        for pipeline in self.pipelines:
            for tracker in self.trackers:
                if missing := " and ".join(pipeline.missing_fields(tracker_of(tracker))):
                    lacking.setdefault(missing, []).append(f"{pipeline.name}.{tracker}")
        for missing, names in lacking.items():
            whose = "its" if len(names) == 1 else "their"
            self._note(f"{', '.join(names)} left out: {whose} caches have no {missing}")

    def measure(
        self,
        pipeline: ComparedPipeline,
        tracker: str,
        progress: Callable[[Iterable[str]], Iterable[str]] = lambda sequences: sequences,
    ) -> ComparisonRow:
        """Measure one pair; `progress` wraps the sequences as they are measured.

        Raises the errors of `measure_detection` and `measure_tracking`, and `SettingError` for
        invalid settings.
        """
        settings_files, algorithm = self.trackers[tracker], tracker_of(tracker)
        settings_classes = settings_classes_of(algorithm)
        measured = self._measured.setdefault(pipeline.name, {})
        at_ground_truth = self._at_ground_truth.setdefault(pipeline.name, {})
        tracking, used = {}, {}
        for name in progress(self.sequences):
            file, cache = self.ground_truth_files[name], pipeline.caches[name]
            if name not in measured:
                measured[name] = measure_detection(cache, file, self.rules, self._note)
            if name in pipeline.at_ground_truth and name not in at_ground_truth:
                path = pipeline.at_ground_truth[name]
                at_ground_truth[name] = measure_detection(path, file, self.rules).finds
            cache_settings = {} if self.published else pipeline.settings[name]
            fitted = fitted_settings(cache_settings, algorithm)
            settings: Any = tuple(
                settings_files.of(name, settings_classes, self._given[tracker], fitted)
            )
            used[name] = {key: value for part in settings for key, value in to_json(part).items()}
            tracking[name] = measure_tracking(cache, file, algorithm, settings, self.rules)
        return comparison_row(pipeline, tracker, measured, tracking, at_ground_truth, used)

    def describe_pipelines(self) -> dict[str, dict[str, Any]]:
        """Return the settings of each pipeline's caches, without those of trackers."""
        return {
            pipeline.name: {
                key: value
                for key, value in pipeline.settings[self.sequences[0]].items()
                if key not in {"tracker", "trackers"}
            }
            for pipeline in self.pipelines
        }

    def _note(self, message: str) -> None:
        if message not in self.notes:
            self.notes.append(message)


def _by_tracker(
    trackers: Iterable[str], camera_motion: bool | None
) -> dict[str, dict[str, object]]:
    """Return the settings of each tracker that are given for all that have them."""
    owners = [name for name in trackers if "camera_motion" in _setting_names(tracker_of(name))]
    if camera_motion is not None and not owners:
        names = [name for name in TRACKERS if "camera_motion" in _setting_names(name)]
        problem = "none of these trackers compensates for camera motion"
        raise SettingError(problem, f"omit it, or use --tracker {' or '.join(names)}")
    given: dict[str, object] = {} if camera_motion is None else {"camera_motion": camera_motion}
    return {name: given if name in owners else {} for name in trackers}


def _setting_names(tracker: str) -> Collection[str]:
    """Return the names of a tracker's settings."""
    return TRACKERS[tracker].settings.__dataclass_fields__
