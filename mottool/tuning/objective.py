"""What a point of the space is worth: the score of the tracks that it gives on every sequence."""

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
    kinds_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from mottool.metrics.inputs import GroundTruthFile
    from mottool.tuning.search_space import Point

__all__ = ["FIGURES", "Objective"]

FIGURES = ("HOTA", "MOTA", "IDF1", "DetA", "AssA", "FP", "FN", "IDSW")
DIGITS = 6  # of a figure, as evaluate writes them


@dataclass(frozen=True)
class Objective:
    """Scores points for one tracker on caches whose sequences have ground truth.

    `fixed` are settings that every point has, `rules` a benchmark's or `auto`. It is sent to
    other processes and holds no file open.
    """

    tracker: str
    fixed: Point
    sequences: tuple[tuple[Path, str, GroundTruthFile], ...]
    rules: str = "auto"

    def __call__(self, point: Point) -> dict[str, float]:
        """The `FIGURES` of all sequences joined, as `evaluate` would tell for the result files.

        Raises what `associate` and `evaluate` do for caches and ground truth they cannot use.
        """
        from mottool.cache.reader import Cache
        from mottool.metrics.evaluate import score_linked
        from mottool.metrics.tracking import combined

        scores = []
        kinds, given = kinds_of(self.tracker), self.fixed | point
        for path, sequence, truth in self.sequences:
            with Cache(path) as cache:
                fitted = fitted_settings(cache.header.settings, self.tracker)
                settings, seen, finishing = SequenceSettings().of("", kinds, given, fitted)
                rows = run_tracker(cache, self.tracker, settings, inputs=cast(InputSettings, seen))
                frames = cache.frame_count
            rows = postprocess(rows, cast(PostprocessSettings, finishing))
            scores.append(score_linked(rows, sequence, frames, truth, self.rules))
        figures: dict[str, Any] = combined(scores).figures()
        return {name: round(figures[name], DIGITS) for name in FIGURES}
