"""The trackers there are and the settings of each, under the names their authors publish.

Nothing heavy is imported here: the command line reads this file for its flags and its help.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mottool.settings import Settings, setting

__all__ = [
    "OF_EMBEDDINGS",
    "REGISTRY",
    "SETTINGS",
    "ByteTrackSettings",
    "CSTrackSettings",
    "EmbeddingThenIoUSettings",
    "DeepSortSettings",
    "FairMOTSettings",
    "JDESettings",
    "LifeCycleSettings",
    "OTrackSettings",
    "OUTrackSettings",
    "RefindSettings",
    "SortSettings",
    "TDTSettings",
    "without_remarks",
]

REGISTRY = {
    "fairmot": "mottool.association.fairmot:FairMOTTracker",
    "jde": "mottool.association.jde:JDETracker",
    "cstrack": "mottool.association.cstrack:CSTrackTracker",
    "outrack": "mottool.association.outrack:OUTrackTracker",
    "otrack": "mottool.association.otrack:OTrackTracker",
    "tdt": "mottool.association.fairmot:FairMOTTracker",
    "sort": "mottool.association.sort:SortTracker",
    "deepsort": "mottool.association.deepsort:DeepSortTracker",
    "bytetrack": "mottool.association.bytetrack:ByteTrackTracker",
}

# Settings that are thresholds or weights of embeddings, whichever tracker has them.
OF_EMBEDDINGS = frozenset({"appearance", "first_assoc", "max_cosine_distance", "reid_thres"})

# What published lists of settings say of how a run was made, and what sets nothing here.
_REMARKS = {
    "filterpy": r"[\d.]+",
    "gmm": r"(?i:false)",
    "note": r".*",
    "occlusion_offset": r"(?i:true|false)",
    "reid_feat_type": r"momentum",
    "score_filter": re.escape("score > conf_thres (strict)"),
}


def without_remarks(given: Mapping[str, str], kind: type[Settings]) -> dict[str, str]:
    """The settings of a published list without its remarks that are no setting of `kind`."""
    known = kind.__dataclass_fields__
    return {
        key: value
        for key, value in given.items()
        if key in known or not re.fullmatch(_REMARKS.get(key, "(?!)"), value)
    }


def _threshold(measure: str) -> Callable[[str], float]:
    """Read a threshold as a number, or as the words it is published with, the number last."""

    def parse(text: str) -> float:
        *words, last = text.split()
        if words and not words[0].lower().startswith(measure.lower()):
            raise ValueError(text)
        return float(last)

    return parse


def _rate(text: str) -> float | None:
    """Read a rate that may be published as 'per sequence' or as '30 always (…)'."""
    return None if text == "per sequence" else float(text.split()[0])


@dataclass(frozen=True)
class LifeCycleSettings(Settings):
    """What the descendants of JDE's published code have in common."""

    track_buffer: int = setting(
        30, "Frames a lost tracklet is remembered at 30 frames a second; scaled to others.", low=0
    )
    second: float = setting(
        0.5,
        "Highest IoU distance of a match in the second round, for tracklets that found none in "
        "the first.",
        low=0,
        high=1,
        parse=_threshold("IoU"),
    )
    unconfirmed: float = setting(
        0.7,
        "Highest IoU distance of a match for tracklets with a single detection.",
        low=0,
        high=1,
        parse=_threshold("IoU"),
    )
    min_box_area: float = setting(
        100.0, "Tracks up to this area are not written, square pixels.", low=0
    )
    max_w_over_h: float = setting(
        1.6, "Tracks wider than this many times their height are not written.", low=0
    )
    frame_rate: float | None = setting(
        None,
        "Frames a second that the buffer is scaled by; none or 'per sequence': the sequence's own.",
        low=0,
        parse=_rate,
    )

    def patience(self, frame_rate: float) -> int:
        """Frames a tracklet stays lost in a sequence of `frame_rate` frames a second."""
        rate = frame_rate if self.frame_rate is None else self.frame_rate
        return int(rate / 30.0 * self.track_buffer)


@dataclass(frozen=True)
class EmbeddingThenIoUSettings(LifeCycleSettings):
    """The same with a first round by embedding."""

    conf_thres: float = setting(
        0.6,
        "Detections with a score above this are tracked; the others are not looked at.",
        low=0,
        high=1,
    )


@dataclass(frozen=True)
class FairMOTSettings(EmbeddingThenIoUSettings):
    """FairMOT's association; the values are those of its code with detections above 0.6."""

    first_assoc: float = setting(
        0.4,
        "Highest cost of a match by embedding and motion: 0.98 of the embeddings' distance and "
        "0.02 of the squared Mahalanobis distance.",
        low=0,
        high=2,
        parse=_threshold("cosine"),
    )


@dataclass(frozen=True)
class TDTSettings(FairMOTSettings):
    """TDT's association; see `tdt` for where the values come from."""


@dataclass(frozen=True)
class CSTrackSettings(FairMOTSettings):
    """CSTrack's association; the values are those of its code."""

    max_w_over_h: float = setting(
        0.6, "Tracks wider than this many times their height are not written.", low=0
    )


@dataclass(frozen=True)
class JDESettings(EmbeddingThenIoUSettings):
    """JDE's association; the values are those of its code."""

    min_box_area: float = setting(
        200.0, "Tracks up to this area are not written, square pixels.", low=0
    )
    first_assoc: float = setting(
        0.7,
        "Highest cost of a match by embedding and motion.",
        low=0,
        parse=_threshold("euclidean"),
    )
    form: str = setting(
        "code",
        "code: the authors' cascade. paper: as the paper has it; for jde a single association by "
        "cosine distance, track_buffer being the frames after which a tracklet ends; for outrack "
        "and otrack the box that an occlusion centre gives back is what is written.",
        choices=("code", "paper"),
    )
    appearance: float = setting(
        0.98,
        "Weight of the embeddings' distance in the cost; the rest is the squared Mahalanobis "
        "distance's.",
        low=0,
        high=1,
    )


@dataclass(frozen=True)
class RefindSettings(Settings):
    """How lost people are found again from occlusion centres."""

    occlusion: bool = setting(True, "Find lost people again from occlusion centres.")
    occlusion_thres: float = setting(
        0.1, "Occlusion centres with a lower score are not looked at.", low=0, high=1
    )
    occlusion_agreement: float = setting(
        0.7,
        "How well an occlusion centre has to agree with the overlap of a lost and a tracked box, "
        "from 0 to 1: the paper's τ_o.",
        low=0,
        high=1,
    )
    lost_frame_range: float = setting(
        1.0,
        "Frames, or if less than 1 seconds, since a lost one was last seen behind another: the "
        "paper's τ_w.",
        low=0,
    )
    form: str = setting(
        "paper",
        "paper: the box that an occlusion centre gives back is what is written. code: as the "
        "authors' code, which writes the expected box.",
        choices=("paper", "code"),
    )
    track_type: str = setting(
        "private_track",
        "public_track: only detections near the public ones (--public) may begin tracks.",
        choices=("private_track", "public_track"),
    )


@dataclass(frozen=True)
class OUTrackSettings(RefindSettings, EmbeddingThenIoUSettings):
    """OUTrack's association; the values are those of its code with detections above 0.6."""

    reid_thres: float = setting(
        0.4,
        "Highest cost of a match by embedding and motion.",
        low=0,
        high=2,
        parse=_threshold("cosine"),
    )
    clip_box: bool = setting(False, "Clip tracks to the frame before they are written.")
    frame_rate: float | None = setting(
        30.0,
        "Frames a second that the buffer is scaled by; none or 'per sequence': the sequence's own.",
        low=0,
        parse=_rate,
    )


@dataclass(frozen=True)
class OTrackSettings(RefindSettings):
    """OTrack's association; the values are CenterTrack's for MOT17."""

    track_thresh: float = setting(
        0.4,
        "Detections with a lower score are not looked at; to bytetrack they are the doubtful ones.",
        low=0,
        high=1,
    )
    new_thresh: float | None = setting(
        None,
        "Detections with a score above this may begin tracks; none: as track_thresh, but at least "
        "0.3.",
        low=0,
        high=1,
    )
    max_age: int = setting(
        30, "Frames after which a tracklet without a detection is dropped.", low=-1
    )

    @property
    def creation_threshold(self) -> float:
        """The score above which a detection may begin a track (the authors' options)."""
        return max(self.track_thresh, 0.3) if self.new_thresh is None else self.new_thresh


@dataclass(frozen=True)
class SortSettings(Settings):
    """SORT; the values are those of its code."""

    max_age: int = setting(1, "Frames a tracklet lives without a detection.", low=0)
    min_hits: int = setting(
        3,
        "Detections in a row before a tracklet is shown; all are in the first so many frames.",
        low=0,
    )
    iou_threshold: float = setting(0.3, "Lowest IoU of a match.", low=0, high=1)
    score_filter: float | None = setting(
        None,
        "Detections with a score above this are tracked; none: all of them.",
        low=0,
        high=1,
    )


@dataclass(frozen=True)
class DeepSortSettings(Settings):
    """DeepSORT; the values are those of its code, with detections above 0.6."""

    min_confidence: float = setting(
        0.6, "Detections with a lower score are not looked at.", low=0, high=1
    )
    nms_max_overlap: float = setting(
        1.0,
        "Detections of which a better one covers more than this share are suppressed; 1: none.",
        low=0,
        high=1,
    )
    min_detection_height: float = setting(
        0.0, "Detections lower than this are not looked at, pixels.", low=0
    )
    max_cosine_distance: float = setting(
        0.2, "Highest cosine distance from the nearest embedding in a gallery.", low=0, high=2
    )
    nn_budget: int = setting(100, "Embeddings kept of each tracklet, the latest ones.", low=1)
    max_iou_distance: float = setting(0.7, "Highest IoU distance of a match.", low=0, high=1)
    max_age: int = setting(30, "Frames a confirmed tracklet lives without a detection.", low=0)
    n_init: int = setting(3, "Detections in a row before a tracklet is confirmed and shown.", low=1)


@dataclass(frozen=True)
class ByteTrackSettings(LifeCycleSettings):
    """ByteTrack; the values are those of its code for MOT17."""

    track_thresh: float = setting(
        0.6, "Detections with a score above this are sure.", low=0, high=1
    )
    low_thresh: float = setting(
        0.1,
        "Detections with a score above this, but below track_thresh, are doubtful.",
        low=0,
        high=1,
    )
    det_thresh: float | None = setting(
        None,
        "Detections with a score of at least this may begin tracks; none: track_thresh + 0.1.",
        low=0,
        high=1,
    )
    match_thresh: float = setting(
        0.9, "Highest distance, 1 - IoU·score, of a match with a sure detection.", low=0, high=1
    )
    mot20: bool = setting(False, "Leave the score out of the distance, as is done for MOT20.")
    frame_rate: float | None = setting(
        30.0,
        "Frames a second that the buffer is scaled by; none or 'per sequence': the sequence's own.",
        low=0,
        parse=_rate,
    )

    @property
    def creation_threshold(self) -> float:
        """The score from which on a detection may begin a track (`det_thresh` in BYTETracker)."""
        return self.track_thresh + 0.1 if self.det_thresh is None else self.det_thresh


SETTINGS: dict[str, type[Settings]] = {
    "fairmot": FairMOTSettings,
    "jde": JDESettings,
    "cstrack": CSTrackSettings,
    "outrack": OUTrackSettings,
    "otrack": OTrackSettings,
    "tdt": TDTSettings,
    "sort": SortSettings,
    "deepsort": DeepSortSettings,
    "bytetrack": ByteTrackSettings,
}
