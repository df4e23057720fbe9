"""One cache measured: what is found in it, the tracks that come out of it, and the time of both."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt

from mottool.association.postprocess import postprocess
from mottool.association.run_tracker import run_tracker
from mottool.association.sequence_settings import InputSettings, PostprocessSettings
from mottool.cache.layout import TIMING
from mottool.cache.reader import Cache
from mottool.detections import Detections
from mottool.metrics.cache_metrics import CacheMatches, find
from mottool.metrics.evaluate import AUTO, objects_of, score_linked
from mottool.metrics.inputs import GroundTruthFile
from mottool.metrics.tracking import TrackingScore
from mottool.motchallenge.rules import detect_rules
from mottool.settings import Settings

__all__ = ["DetectionMeasurement", "TrackingMeasurement", "judged", "tracked"]

Floats = npt.NDArray[np.float64]
Linking = tuple[Settings, InputSettings, PostprocessSettings]


@dataclass(frozen=True)
class DetectionMeasurement:
    """What a pipeline found in the F frames of a sequence, and what it cost.

    `people` (F,) int64 are the detections of each frame; `detection` and `embedding` (F,) the
    seconds each took, decoding of the network's heads included, reading of the frame not.
    """

    finds: CacheMatches
    people: npt.NDArray[np.int64]
    detection: Floats
    embedding: Floats


@dataclass(frozen=True)
class TrackingMeasurement:
    """The score of a tracker on a sequence, and the seconds that each frame took it, (F,)."""

    score: TrackingScore
    association: Floats


def judged(
    path: Path,
    truth: GroundTruthFile,
    rules: str = AUTO,
    warn: Callable[[str], None] = lambda told: None,
) -> DetectionMeasurement:
    """Hold what a cache has against the ground truth of its sequence.

    `warn` hears of ground truth after the cache's last frame. Raises `InputError` or `CacheError`
    for what cannot be read.
    """
    objects = objects_of(truth.path)
    with Cache(path) as cache:
        sequence = cache.header.sequence
        rules = detect_rules(sequence, objects) if rules == AUTO else rules
        finds = find(cache, objects, rules, warn=warn)
        people = np.array([len(detections) for detections in cache.frames()], np.int64)
        cost = dict(zip(TIMING, cache.timing.T.astype(np.float64), strict=True))  # (F,) each
    return DetectionMeasurement(finds, people, cost["network"] + cost["heads"], cost["embed"])


def tracked(
    path: Path, truth: GroundTruthFile, tracker: str, settings: Linking, rules: str = AUTO
) -> TrackingMeasurement:
    """Link a cache and score the tracks; reading the cache does not count as association.

    Raises `InputError` or `CacheError` for what cannot be read, or what the tracker lacks.
    """
    own, seen, finishing = settings
    seconds: list[float] = []

    def timed(frames: Iterable[Detections]) -> Iterator[Detections]:
        for detections in frames:
            begun = perf_counter()
            yield detections
            seconds.append(perf_counter() - begun)

    with Cache(path) as cache:
        rows = postprocess(run_tracker(cache, tracker, own, timed, seen), finishing)
        score = score_linked(rows, cache.header.sequence, cache.frame_count, truth, rules)
    return TrackingMeasurement(score, np.array(seconds))
