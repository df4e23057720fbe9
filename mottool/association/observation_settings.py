"""Settings of OC-SORT and Deep OC-SORT.

Imports no torch, numpy, cv2 or h5py: the command line reads this file for its flags and its help.
"""

from dataclasses import dataclass

from mottool.association.baseline_settings import ShapeSettings
from mottool.association.camera_settings import CameraMotionSettings
from mottool.settings import setting

__all__ = ["DeepOCSortSettings", "OCSortSettings", "ObservationSettings"]


@dataclass(frozen=True)
class ObservationSettings(ShapeSettings):
    """Settings that OC-SORT and Deep OC-SORT share."""

    track_thresh: float = setting(
        0.6, "Detections with a score above this are high-score detections.", low=0, high=1
    )
    max_age: int = setting(30, "Frames for which a tracklet without a detection is kept.", low=0)
    min_hits: int = setting(
        3,
        "Consecutive detections before a tracklet is written, except in the first min_hits frames.",
        low=0,
    )
    iou_threshold: float = setting(0.3, "Lowest IoU of a match.", low=0, high=1)
    delta_t: int = setting(
        3, "Frames between the two detections that give a tracklet's direction.", low=1
    )
    inertia: float = setting(
        0.2, "Weight of a tracklet's direction, beside the IoU's weight of 1.", low=0
    )

    @property
    def lowest_score(self) -> float:
        """Score above which detections are matched at all."""
        return self.track_thresh

    @property
    def similarity(self) -> str:
        """Name of the similarity of boxes in the second and third round."""
        return "iou"


@dataclass(frozen=True)
class OCSortSettings(ObservationSettings):
    """Settings of OC-SORT; defaults are those of its code for MOT17.

    The profiles `mot20` and `dancetrack` have what its GET_STARTED.md and `run_ocsort_dance.py`
    change for these benchmarks.
    """

    use_byte: bool = setting(
        False, "Match the remaining tracklets with low-score detections, as ByteTrack does."
    )
    low_thresh: float = setting(
        0.1,
        "Detections with a score between this and track_thresh are low-score detections.",
        low=0,
        high=1,
        at_most="track_thresh",
    )
    asso: str = setting(
        "iou",
        "Similarity of boxes after the first round: IoU, generalised, distance or complete IoU, "
        "or distance of centres, each in [0, 1]. Its lowest value is iou_threshold.",
        choices=("iou", "giou", "diou", "ciou", "ct_dist"),
    )

    @property
    def similarity(self) -> str:
        """Name of the similarity of boxes in the second and third round."""
        return self.asso

    @property
    def lowest_score(self) -> float:
        """Score above which detections are matched at all."""
        return self.low_thresh if self.use_byte else self.track_thresh


@dataclass(frozen=True)
class DeepOCSortSettings(CameraMotionSettings, ObservationSettings):
    """Settings of Deep OC-SORT; defaults are those of its best results on MOT17.

    The profiles `mot20` and `dancetrack` have what its README changes for these benchmarks.
    """

    min_box_area: float = setting(
        10.0, "Boxes of at most this area are not written, in square pixels.", low=0
    )
    w_assoc_emb: float = setting(
        0.75, "Weight of the cosine similarity, beside the IoU's weight of 1.", low=0
    )
    aw_param: float = setting(
        0.5,
        "Adaptive weighting: highest bonus of the weight w_assoc_emb where the best similarity "
        "exceeds the second best.",
        low=0,
    )
    alpha_fixed_emb: float = setting(
        0.95,
        "Dynamic appearance: weight of the previous embedding when a detection with score 1 "
        "updates it; it grows to 1 as the score falls to track_thresh.",
        low=0,
        high=1,
    )

    @property
    def lowest_embedded(self) -> float:
        """Lowest score of detections whose embeddings are read."""
        return self.lowest_score
