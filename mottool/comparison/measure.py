"""Measure one cache: detection metrics, tracking score, and the time of both."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mottool.association.postprocess import postprocess
from mottool.association.run_tracker import run_tracker
from mottool.association.sequence_settings import InputSettings, PostprocessSettings
from mottool.cache.reader import Cache
from mottool.errors import ignore_warning
from mottool.metrics.cache_evaluation import score_cache
from mottool.metrics.cache_metrics import CacheMatches
from mottool.metrics.ground_truth import cached_ground_truth
from mottool.metrics.ground_truth_files import GroundTruthFile
from mottool.metrics.speed import FrameTimer, detection_and_embedding
from mottool.metrics.track_evaluation import score_tracks
from mottool.metrics.tracking import TrackingScore
from mottool.motchallenge.rules import AUTO
from mottool.settings import Settings

__all__ = ["DetectionMeasurement", "TrackingMeasurement", "measure_detection", "measure_tracking"]

Floats = npt.NDArray[np.float64]
TrackingSettings = tuple[Settings, InputSettings, PostprocessSettings]


@dataclass(frozen=True)
class DetectionMeasurement:
    """The detections of a pipeline in the F frames of a sequence, and their time.

    `finds` are matched with ground truth. `people` (F,) int64 counts the detections of each frame.
    `detection` and `embedding` (F,) are seconds, including decoding of the network's heads but not
    reading of the frame.
    """

    finds: CacheMatches
    people: npt.NDArray[np.int64]
    detection: Floats
    embedding: Floats


@dataclass(frozen=True)
class TrackingMeasurement:
    """The score of a tracker on a sequence, and its seconds per frame, (F,)."""

    score: TrackingScore
    association: Floats


def measure_detection(
    path: Path,
    truth: GroundTruthFile,
    rules: str = AUTO,
    warn: Callable[[str], None] = ignore_warning,
) -> DetectionMeasurement:
    """Match the detections of a cache with the ground truth of its sequence.

    `warn` receives a message for ground truth after the cache's last frame. Raises `InputError` or
    `CacheError` for files that cannot be read.
    """
    with Cache(path) as cache:
        ground_truth = cached_ground_truth(truth, cache.header.sequence, rules)
        matches = score_cache(cache, ground_truth, warn=warn)
        people = np.array([len(detections) for detections in cache.frames()], np.int64)
        seconds = detection_and_embedding(cache.timing)  # (F,) each
    return DetectionMeasurement(matches, people, *seconds)


def measure_tracking(
    path: Path, truth: GroundTruthFile, tracker: str, settings: TrackingSettings, rules: str = AUTO
) -> TrackingMeasurement:
    """Track a cache and score the tracks; reading the cache does not count as association.

    Raises `InputError` or `CacheError` for files that cannot be read, or a cache without what the
    tracker needs.
    """
    tracker_settings, inputs, postprocessing = settings
    timer = FrameTimer()
    with Cache(path) as cache:
        tracks = run_tracker(cache, tracker, tracker_settings, timer, inputs)
        ground_truth = cached_ground_truth(truth, cache.header.sequence, rules)
        score = score_tracks(postprocess(tracks, postprocessing), ground_truth, cache.last_frame)
    return TrackingMeasurement(score, timer.array)
