"""The tracking metrics of one sequence, or of several combined."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from mottool.metrics.preprocess import EvalSequence
from mottool.metrics.registry import TRACK_METRICS, in_order

__all__ = ["TrackMetric", "TrackingScore", "combine", "score"]


class TrackMetric(Protocol):
    """Interface of the classes in `TRACK_METRICS`.

    An instance made without arguments contains no sequence. A class may also have `curves()`: its
    metrics at each of HOTA's thresholds, by name.
    """

    @classmethod
    def compute(cls, sequence: EvalSequence) -> Self:
        """Compute the metric of one sequence."""

    def __add__(self, other: Self, /) -> Self:
        """Combine two sets of sequences."""

    def metrics(self) -> dict[str, float]:
        """Return the numbers by their names in `METRICS`."""


def _classes() -> dict[str, type[TrackMetric]]:
    return {name: resolve_name(path) for name, path in TRACK_METRICS.items()}


@dataclass(frozen=True)
class TrackingScore:
    """The metrics of tracks, one part for each of `TRACK_METRICS`.

    Adding two combines their sequences as TrackEval does: counts are added, and HOTA's means are
    weighted by the detections of each sequence. `frames` is the number of scored frames.
    """

    parts: Mapping[str, TrackMetric] = field(
        default_factory=lambda: {name: part() for name, part in _classes().items()}
    )
    frames: int = 0

    def __add__(self, other: "TrackingScore") -> "TrackingScore":
        parts = {name: part + other.parts[name] for name, part in self.parts.items()}
        return TrackingScore(parts, self.frames + other.frames)

    def metrics(self) -> dict[str, float]:
        """Return the metrics by TrackEval's names: ratios as fractions, counts as integers."""
        values: dict[str, float] = {}
        for part in self.parts.values():
            values |= part.metrics()
        return in_order(values)

    def rates(self) -> dict[str, float]:
        """Return the rates in MOTChallenge's tables that TrackEval does not print.

        MT% and ML% are the fractions of objects that are mostly tracked and mostly lost, 0 without
        objects. FAR is the number of false positives per frame.
        """
        metrics = self.metrics()
        objects = max(1, metrics["MT"] + metrics["PT"] + metrics["ML"])
        shares = {"MT%": metrics["MT"] / objects, "ML%": metrics["ML"] / objects}
        return shares | ({"FAR": metrics["FP"] / self.frames} if self.frames else {})

    def curves(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return HOTA and its parts at each threshold, (19,) each."""
        curves: dict[str, npt.NDArray[np.float64]] = {}
        for part in self.parts.values():
            curves |= getattr(part, "curves", dict)()
        return curves


def score(sequence: EvalSequence) -> TrackingScore:
    """Compute all tracking metrics of a preprocessed sequence."""
    parts = {name: part.compute(sequence) for name, part in _classes().items()}
    return TrackingScore(parts, sequence.frames)


def combine(scores: Iterable[TrackingScore]) -> TrackingScore:
    """Combine the scores of several sequences into one."""
    return sum(scores, TrackingScore())
