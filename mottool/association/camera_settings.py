"""Settings of BoT-SORT and StrongSORT, which compensate for camera motion.

Imports no torch, numpy, cv2 or h5py: the command line reads this file for its flags and its help.
"""

from dataclasses import dataclass

from mottool.association.baseline_settings import (
    DeepSortFamilySettings,
    LifeCycleSettings,
    frame_rate_setting,
)
from mottool.settings import Settings, setting

__all__ = [
    "BotSortReIDSettings",
    "BotSortSettings",
    "CameraMotionSettings",
    "StrongSortSettings",
]


@dataclass(frozen=True)
class CameraMotionSettings(Settings):
    """Whether a tracker compensates for camera motion."""

    camera_motion: bool = setting(
        True, "Compensate for the camera motion that mottool camera-motion has estimated."
    )


@dataclass(frozen=True)
class BotSortSettings(CameraMotionSettings, LifeCycleSettings):
    """Settings of BoT-SORT; defaults are those of its code for MOT17.

    The profile `mot20` has the settings of its code for MOT20.
    """

    track_high_thresh: float = setting(
        0.6, "Detections with a score above this are high-score detections.", low=0, high=1
    )
    track_low_thresh: float = setting(
        0.1,
        "Detections with a score between this and track_high_thresh are low-score detections.",
        low=0,
        high=1,
        at_most="track_high_thresh",
    )
    new_track_thresh: float | None = setting(
        None,
        "Detections with a score of at least this may start tracks; none: track_high_thresh + 0.1.",
        low=0,
        high=1,
        at_least="track_high_thresh",
    )
    match_thresh: float = setting(
        0.8,
        "Highest distance, 1 - IoU × score, of a match with a high-score detection.",
        low=0,
        high=1,
    )
    min_box_area: float = setting(
        10.0, "Boxes of at most this area are not written, in square pixels.", low=0
    )
    mot20: bool = setting(False, "Match by IoU alone, without the score, as for MOT20.")
    frame_rate: float | None = frame_rate_setting(30.0)

    @property
    def creation_threshold(self) -> float:
        """Lowest score at which a detection may start a track."""
        given = self.new_track_thresh
        return self.track_high_thresh + 0.1 if given is None else given


@dataclass(frozen=True)
class BotSortReIDSettings(BotSortSettings):
    """Settings of BoT-SORT-ReID; defaults are those of its code for MOT17."""

    proximity_thresh: float = setting(
        0.5,
        "Highest IoU distance of a pair whose embeddings are compared.",
        low=0,
        high=1,
    )
    appearance_thresh: float = setting(
        0.25,
        "Highest cosine distance, halved, of embeddings that belong together.",
        low=0,
        high=1,
    )

    @property
    def lowest_embedded(self) -> float:
        """Lowest score of detections whose embeddings are read."""
        return self.track_high_thresh


@dataclass(frozen=True)
class StrongSortSettings(CameraMotionSettings, DeepSortFamilySettings):
    """Settings of StrongSORT; defaults are those of its code with all its parts and BoT."""

    max_cosine_distance: float = setting(
        0.45,
        "Highest cost of a match: mc_lambda × cosine distance + (1 - mc_lambda) × squared "
        "Mahalanobis distance.",
        low=0,
        high=2,
        search=(0.2, 0.7),
    )
    mc_lambda: float = setting(
        0.98,
        "Weight of the cosine distance in the cost; the motion has the rest.",
        low=0,
        high=1,
        search=(0.9, 1),
    )
    ema_alpha: float = setting(
        0.9, "Weight of a tracklet's embedding when a new one is averaged into it.", low=0, high=1
    )
