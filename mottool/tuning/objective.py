"""Score a point of the search space: the metrics of its tracks on all sequences together."""

from __future__ import annotations

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

if TYPE_CHECKING:
    from pathlib import Path

    from mottool.metrics.inputs import GroundTruthFile
    from mottool.tuning.search_space import Point

__all__ = ["FIGURES", "Objective"]

FIGURES = ("HOTA", "MOTA", "IDF1", "DetA", "AssA", "FP", "FN", "IDSW")
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

    def __call__(self, point: Point) -> dict[str, float]:
        """Return the `FIGURES` of all sequences combined, as `evaluate` computes them.

        Raises the errors of `associate` and `evaluate` for caches and ground truth that they cannot
        use.
        """
        from mottool.cache.reader import Cache
        from mottool.metrics.evaluate import cached_ground_truth, score_tracks
        from mottool.metrics.tracking import combine

        scores = []
        settings_classes, given = settings_classes_of(self.tracker), self.fixed | point
        for path, sequence, ground_truth in self.sequences:
            with Cache(path) as cache:
                fitted = fitted_settings(cache.header.settings, self.tracker)
                settings, inputs, postprocessing = SequenceSettings().of(
                    "", settings_classes, given, fitted
                )
                rows = run_tracker(
                    cache, self.tracker, settings, inputs=cast(InputSettings, inputs)
                )
                frames = cache.last_frame
            rows = postprocess(rows, cast(PostprocessSettings, postprocessing))
            evaluated = cached_ground_truth(ground_truth, sequence, self.rules)
            scores.append(score_tracks(rows, evaluated, frames))
        metrics: dict[str, Any] = combine(scores).metrics()
        return {name: round(metrics[name], DIGITS) for name in FIGURES}
