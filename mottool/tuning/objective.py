"""Score a point of the search space on one sequence, and combine the scores of several."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from mottool.association.fitted_settings import fitted_settings
from mottool.association.postprocess import postprocess
from mottool.association.run_tracker import run_tracker
from mottool.association.sequence_settings import (
    InputSettings,
    PostprocessSettings,
    SequenceSettings,
    settings_classes_of,
)
from mottool.metrics.registry import headline

if TYPE_CHECKING:
    from pathlib import Path

    from mottool.metrics.ground_truth_files import GroundTruthFile
    from mottool.metrics.tracking import TrackingScore
    from mottool.tuning.search_space import Point

__all__ = ["FIGURES", "OBJECTIVES", "Objective", "figures_of"]

FIGURES = ("HOTA", "MOTA", "IDF1", "DetA", "AssA", "FP", "FN", "IDSW")
OBJECTIVES = headline()  # metrics that a search may maximise
DIGITS = 6  # of a metric, as evaluate writes them


@dataclass(frozen=True)
class Objective:
    """The score of a point, for one tracker on caches whose sequences have ground truth.

    `fixed` are settings that every point has, `sequences` are cache, name and ground truth of each,
    and `rules` are a benchmark's or `auto`. An instance holds no open file, so that it can be sent
    to other processes.
    """

    tracker: str
    fixed: Point
    sequences: tuple[tuple[Path, str, GroundTruthFile], ...]
    rules: str = "auto"

    @property
    def names(self) -> list[str]:
        """The names of the sequences."""
        return [name for _, name, _ in self.sequences]

    def score(self, task: tuple[int, Point]) -> TrackingScore:
        """Score a point on one sequence, by its index, as `associate` and `evaluate` do.

        Raises the errors of these for caches and ground truth that they cannot use.
        """
        from mottool.cache.reader import Cache
        from mottool.metrics.ground_truth import cached_ground_truth, check_frames
        from mottool.metrics.track_evaluation import score_tracks

        index, point = task
        path, sequence, ground_truth = self.sequences[index]
        settings_classes, given = settings_classes_of(self.tracker), self.fixed | point
        evaluated = cached_ground_truth(ground_truth, sequence, self.rules)
        with Cache(path) as cache:
            check_frames(cache, evaluated)
            fitted = fitted_settings(cache.header.settings, self.tracker)
            settings, inputs, postprocessing = SequenceSettings().of(
                "", settings_classes, given, fitted
            )
            rows = run_tracker(cache, self.tracker, settings, inputs=cast(InputSettings, inputs))
            frames = cache.last_frame
        rows = postprocess(rows, cast(PostprocessSettings, postprocessing))
        return score_tracks(rows, evaluated, frames)

    def perfect_score(self, index: int) -> TrackingScore:
        """Score the ground truth of one sequence, by its index, as if it were the tracks."""
        from mottool.metrics.ground_truth import cached_ground_truth
        from mottool.metrics.track_evaluation import score_tracks
        from mottool.motchallenge.rules import scored_and_ignored

        _, sequence, file = self.sequences[index]
        truth = cached_ground_truth(file, sequence, self.rules)
        scored, _ = scored_and_ignored(truth.rows, truth.rules, sequence)
        return score_tracks(truth.rows.select(scored), truth, decimals=None)


def figures_of(scores: Iterable[TrackingScore]) -> dict[str, float]:
    """Return the `FIGURES` of several sequences combined, as `evaluate` computes them."""
    from mottool.metrics.tracking import combine

    metrics: dict[str, Any] = combine(scores).metrics()
    return {name: round(metrics[name], DIGITS) for name in FIGURES}
