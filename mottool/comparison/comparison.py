"""Who is compared: every pipeline with every tracker that its caches suit, on common sequences."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mottool.association.fitted_settings import fitted_settings
from mottool.association.sequence_settings import SequenceSettings, kinds_of
from mottool.comparison.measure import DetectionMeasurement, judged, tracked
from mottool.comparison.pipelines import ComparedPipeline, find_contenders
from mottool.comparison.results import ComparisonRow, standing
from mottool.errors import InputError
from mottool.metrics.cache_metrics import CacheMatches
from mottool.metrics.inputs import find_truth
from mottool.motchallenge.rules import AUTO

__all__ = ["Comparison"]


class Comparison:
    """The pairs of pipelines and trackers, and what is measured of each.

    `pairs` are to be measured; `sequences` are those that have ground truth and a cache of every
    pipeline; `notes` say what was left out and what a reader should know.
    """

    def __init__(
        self,
        places: Iterable[Path],
        truth: Iterable[Path],
        trackers: Mapping[str, SequenceSettings],
        rules: str = AUTO,
        oracle: bool = False,
        published: bool = False,
    ) -> None:
        """`places` and `oracle` are as in `find_contenders`, `truth` as in `find_truth`.

        `trackers` are names with the settings of each sequence, which go before those that fit a
        cache's network; with `published` the latter are left out. Raises `InputError` for files
        that are missing or do not belong together, `CacheError` for caches that cannot be read.
        """
        self.notes: list[str] = []
        self.truths = find_truth(truth)
        self.contenders = find_contenders(places, oracle)
        self.sequences = self._common()
        self.trackers, self.rules, self.published = trackers, rules, published
        self.pairs = [
            (contender, tracker)
            for contender in self.contenders
            for tracker in trackers
            if not self._left_out(contender, tracker)
        ]
        if not self.pairs:
            fix = "name a tracker that suits them with --tracker, such as sort"
            raise InputError("the caches lack what these trackers need", fix)
        given = dict.fromkeys(each.name for each, _ in self.pairs if each.boxes_given)
        if given:
            told = f"{', '.join(given)}: boxes come from files, so FPS counts no detection"
            self.notes.append(told)
        self._judged: dict[str, dict[str, DetectionMeasurement]] = {}
        self._at_truth: dict[str, dict[str, CacheMatches]] = {}

    def _common(self) -> list[str]:
        every = sorted({name for each in self.contenders for name in each.caches})
        common = [
            name
            for name in every
            if name in self.truths and all(name in each.caches for each in self.contenders)
        ]
        if not common:
            problem = f"none of {', '.join(every)} has ground truth and a cache of every pipeline"
            fix = "run mottool detect-embed with each pipeline on the same sequences"
            raise InputError(problem, f"{fix}, and name their ground truth with --gt")
        others = [name for name in every if name not in common]
        if others:
            why = "without ground truth or a cache of every pipeline"
            self.notes.append(f"{', '.join(others)} left out, {why}")
        return common

    def _left_out(self, contender: ComparedPipeline, tracker: str) -> bool:
        lacks = contender.lacks(tracker)
        if lacks:
            told = f"{contender.name}.{tracker} left out: its caches have no {' and '.join(lacks)}"
            self.notes.append(told)
        return bool(lacks)

    def measure(
        self,
        contender: ComparedPipeline,
        tracker: str,
        watch: Callable[[Iterable[str]], Iterable[str]] = lambda sequences: sequences,
    ) -> ComparisonRow:
        """The row of one pair; `watch` may follow the sequences.

        Raises as `judged` and `tracked` do, `SettingError` for settings that mean nothing.
        """
        profiles, kinds = self.trackers[tracker], kinds_of(tracker)
        found = self._judged.setdefault(contender.name, {})
        apart = self._at_truth.setdefault(contender.name, {})
        linked = {}
        for name in watch(self.sequences):
            truth = self.truths[name]
            if name not in found:
                found[name] = judged(contender.caches[name], truth, self.rules, self._note)
            if name in contender.at_truth and name not in apart:
                apart[name] = judged(contender.at_truth[name], truth, self.rules).finds
            own = {} if self.published else contender.settings[name]
            fitted = fitted_settings(own, tracker)
            settings: Any = tuple(profiles.of(name, kinds, {}, fitted))
            linked[name] = tracked(contender.caches[name], truth, tracker, settings, self.rules)
        return standing(contender, tracker, found, linked, apart)

    def _note(self, told: str) -> None:
        if told not in self.notes:
            self.notes.append(told)
