"""Settings of SORT, DeepSORT and ByteTrack, and those that trackers share.

Imports no torch, numpy, cv2 or h5py: the command line reads this file for its flags and its help.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mottool.settings import Settings, setting

__all__ = [
    "ByteTrackSettings",
    "DeepSortFamilySettings",
    "DeepSortSettings",
    "LifeCycleSettings",
    "ShapeSettings",
    "SortSettings",
    "frame_rate_setting",
    "threshold",
]


def threshold(measure: str) -> Callable[[str], float]:
    """Return a parser of a number, or of published words that end with it, such as `IoU 0.5`."""

    def parse(text: str) -> float:
        *words, last = text.split()
        if words and not words[0].lower().startswith(measure.lower()):
            raise ValueError(text)
        return float(last)

    return parse


def _rate(text: str) -> float | None:
    """Parse a frame rate; published settings have 'per sequence' or '30 always (…)'."""
    return None if text == "per sequence" else float(text.split()[0])


def frame_rate_setting(default: float | None) -> Any:
    """Declare the frame rate that `track_buffer` is scaled to."""
    help = "Frame rate that track_buffer is scaled to; none or 'per sequence': the sequence's."
    return setting(default, help, low=0, parse=_rate)


@dataclass(frozen=True)
class ShapeSettings(Settings):
    """Which boxes are written, by their shape."""

    min_box_area: float = setting(
        100.0, "Boxes of at most this area are not written, in square pixels.", low=0
    )
    max_w_over_h: float = setting(
        1.6, "Boxes wider than this many times their height are not written.", low=0
    )


@dataclass(frozen=True)
class LifeCycleSettings(ShapeSettings):
    """Settings of all trackers that descend from JDE's published code."""

    track_buffer: int = setting(
        30,
        "Frames for which a lost tracklet is kept, at 30 frames per second; scaled to other rates.",
        low=0,
        search=(10, 90),
    )
    second: float = setting(
        0.5,
        "Highest IoU distance of a match in the second step, for tracklets without a match in the "
        "first.",
        low=0,
        high=1,
        parse=threshold("IoU"),
    )
    unconfirmed: float = setting(
        0.7,
        "Highest IoU distance of a match for unconfirmed tracklets, which have a single detection.",
        low=0,
        high=1,
        parse=threshold("IoU"),
    )
    frame_rate: float | None = frame_rate_setting(None)

    def max_lost_frames(self, frame_rate: float) -> int:
        """Return after how many frames a lost tracklet is removed, at `frame_rate` per second."""
        rate = frame_rate if self.frame_rate is None else self.frame_rate
        return int(rate / 30.0 * self.track_buffer)


@dataclass(frozen=True)
class SortSettings(Settings):
    """Settings of SORT; defaults are those of its code."""

    max_age: int = setting(
        1, "Frames for which a tracklet without a detection is kept.", low=0, search=(1, 30)
    )
    min_hits: int = setting(
        3,
        "Consecutive detections before a tracklet is written, except in the first min_hits frames.",
        low=0,
        search=(1, 5),
    )
    iou_threshold: float = setting(0.3, "Lowest IoU of a match.", low=0, high=1)
    score_filter: float | None = setting(
        None,
        "Detections with a score above this are tracked; none: all detections.",
        low=0,
        high=1,
    )


@dataclass(frozen=True)
class DeepSortFamilySettings(Settings):
    """Settings of DeepSORT and StrongSORT; defaults are those of DeepSORT's code."""

    min_confidence: float = setting(
        0.6, "Detections with a lower score are ignored.", low=0, high=1
    )
    nms_max_overlap: float = setting(
        1.0,
        "Detections of which a higher-scoring one covers more than this fraction are suppressed; "
        "1: none.",
        low=0,
        high=1,
    )
    min_detection_height: float = setting(
        0.0, "Detections of less than this height are ignored, in pixels.", low=0
    )
    max_cosine_distance: float = setting(
        0.2,
        "Highest cosine distance to the nearest embedding of a gallery.",
        low=0,
        high=2,
        search=(0.05, 0.5),
    )
    max_iou_distance: float = setting(0.7, "Highest IoU distance of a match.", low=0, high=1)
    max_age: int = setting(
        30,
        "Frames for which a confirmed tracklet without a detection is kept.",
        low=0,
        search=(10, 90),
    )
    n_init: int = setting(
        3,
        "Consecutive detections before a tracklet is confirmed and written.",
        low=1,
        search=(1, 5),
    )

    @property
    def lowest_embedded(self) -> float:
        """Lowest score of detections whose embeddings are read."""
        return self.min_confidence


@dataclass(frozen=True)
class DeepSortSettings(DeepSortFamilySettings):
    """Settings of DeepSORT; defaults are those of its code for detections above 0.6."""

    nn_budget: int = setting(100, "Latest embeddings that are kept of each tracklet.", low=1)


@dataclass(frozen=True)
class ByteTrackSettings(LifeCycleSettings):
    """Settings of ByteTrack; defaults are those of its code for MOT17."""

    track_thresh: float = setting(
        0.6, "Detections with a score above this are high-score detections.", low=0, high=1
    )
    low_thresh: float = setting(
        0.1,
        "Detections with a score between this and track_thresh are low-score detections.",
        low=0,
        high=1,
        at_most="track_thresh",
    )
    det_thresh: float | None = setting(
        None,
        "Detections with a score of at least this may start tracks; none: track_thresh + 0.1.",
        low=0,
        high=1,
        at_least="track_thresh",
    )
    match_thresh: float = setting(
        0.9,
        "Highest distance, 1 - IoU × score, of a match with a high-score detection.",
        low=0,
        high=1,
    )
    mot20: bool = setting(False, "Match by IoU alone, without the score, as for MOT20.")
    frame_rate: float | None = frame_rate_setting(30.0)

    @property
    def creation_threshold(self) -> float:
        """Lowest score at which a detection may start a track (`det_thresh` in BYTETracker)."""
        return self.track_thresh + 0.1 if self.det_thresh is None else self.det_thresh
