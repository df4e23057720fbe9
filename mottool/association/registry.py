"""The trackers and their settings, by the names that their authors published.

Imports no torch, numpy, cv2 or h5py: the command line reads this file for its flags and its help.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mottool.settings import Settings, setting

if TYPE_CHECKING:
    from mottool.association.tracks import SequenceInfo, Tracker

__all__ = [
    "DEFAULT_TRACKER",
    "EMBEDDING_SETTINGS",
    "TRACKERS",
    "ByteTrackSettings",
    "CSTrackSettings",
    "DeepSortSettings",
    "EmbeddingThenIoUSettings",
    "FairMOTSettings",
    "JDESettings",
    "LifeCycleSettings",
    "OTrackSettings",
    "OUTrackSettings",
    "OcclusionRecoverySettings",
    "SortSettings",
    "TDTSettings",
    "TrackerEntry",
    "drop_comments",
    "settings_by_tracker",
]

DEFAULT_TRACKER = "fairmot"

# Settings of any tracker that are thresholds or weights of embeddings.
EMBEDDING_SETTINGS = frozenset({"appearance", "first_assoc", "max_cosine_distance", "reid_thres"})

# Entries of published settings that describe how a run was made, and are not settings here.
_COMMENTS = {
    "filterpy": r"[\d.]+",
    "gmm": r"(?i:false)",
    "note": r".*",
    "occlusion_offset": r"(?i:true|false)",
    "reid_feat_type": r"momentum",
    "score_filter": re.escape("score > conf_thres (strict)"),
}


@dataclass(frozen=True)
class TrackerEntry:
    """A tracker that a user can name.

    `tracker` is `module:class` of a `tracks.Tracker`, `settings` the class of its settings. `needs`
    are the fields of `Detections` that the tracker requires, `uses` those that it can do without.
    """

    tracker: str
    settings: type[Settings]
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()

    def load(self) -> Callable[[Any, SequenceInfo], Tracker]:
        """Import the tracker's class; call it with settings and a `SequenceInfo`."""
        module, _, name = self.tracker.partition(":")
        tracker: Callable[[Any, SequenceInfo], Tracker] = getattr(import_module(module), name)
        return tracker


def drop_comments(given: Mapping[str, str], settings_class: type[Settings]) -> dict[str, str]:
    """Drop the comments of published settings that are not fields of `settings_class`."""
    fields = settings_class.__dataclass_fields__
    return {
        key: value
        for key, value in given.items()
        if key in fields or not re.fullmatch(_COMMENTS.get(key, "(?!)"), value)
    }


def _threshold(measure: str) -> Callable[[str], float]:
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


def _frame_rate(default: float | None) -> Any:
    """Declare the frame rate that `track_buffer` is scaled to."""
    help = "Frame rate that track_buffer is scaled to; none or 'per sequence': the sequence's."
    return setting(default, help, low=0, parse=_rate)


@dataclass(frozen=True)
class LifeCycleSettings(Settings):
    """Settings of all trackers that descend from JDE's published code."""

    track_buffer: int = setting(
        30,
        "Frames for which a lost tracklet is kept, at 30 frames per second; scaled to other rates.",
        low=0,
    )
    second: float = setting(
        0.5,
        "Highest IoU distance of a match in the second step, for tracklets without a match in the "
        "first.",
        low=0,
        high=1,
        parse=_threshold("IoU"),
    )
    unconfirmed: float = setting(
        0.7,
        "Highest IoU distance of a match for unconfirmed tracklets, which have a single detection.",
        low=0,
        high=1,
        parse=_threshold("IoU"),
    )
    min_box_area: float = setting(
        100.0, "Boxes of at most this area are not written, in square pixels.", low=0
    )
    max_w_over_h: float = setting(
        1.6, "Boxes wider than this many times their height are not written.", low=0
    )
    frame_rate: float | None = _frame_rate(None)

    def max_lost_frames(self, frame_rate: float) -> int:
        """Return after how many frames a lost tracklet is removed, at `frame_rate` per second."""
        rate = frame_rate if self.frame_rate is None else self.frame_rate
        return int(rate / 30.0 * self.track_buffer)


@dataclass(frozen=True)
class EmbeddingThenIoUSettings(LifeCycleSettings):
    """Settings of trackers that match by embedding first and by IoU second."""

    conf_thres: float = setting(
        0.6,
        "Detections with a score above this are tracked; the others are ignored.",
        low=0,
        high=1,
    )


@dataclass(frozen=True)
class FairMOTSettings(EmbeddingThenIoUSettings):
    """Settings of FairMOT; defaults are those of its code for detections above 0.6."""

    first_assoc: float = setting(
        0.4,
        "Highest cost of a match by embedding and motion: 0.98 × embedding distance + 0.02 × "
        "squared Mahalanobis distance.",
        low=0,
        high=2,
        parse=_threshold("cosine"),
    )


@dataclass(frozen=True)
class TDTSettings(FairMOTSettings):
    """Settings of TDT; the module `fairmot` states where the defaults come from."""


@dataclass(frozen=True)
class CSTrackSettings(FairMOTSettings):
    """Settings of CSTrack; defaults are those of its code."""

    max_w_over_h: float = setting(
        0.6, "Boxes wider than this many times their height are not written.", low=0
    )


@dataclass(frozen=True)
class JDESettings(EmbeddingThenIoUSettings):
    """Settings of JDE; defaults are those of its code."""

    min_box_area: float = setting(
        200.0, "Boxes of at most this area are not written, in square pixels.", low=0
    )
    first_assoc: float = setting(
        0.7,
        "Highest cost of a match by embedding and motion.",
        low=0,
        parse=_threshold("euclidean"),
    )
    form: str = setting(
        "code",
        "Variant of the method. code: as in the authors' code. paper: as in the paper; for jde a "
        "single association by cosine distance, where a tracklet ends after track_buffer frames; "
        "for outrack and otrack, write the box that is computed from the occlusion centre.",
        choices=("code", "paper"),
    )
    appearance: float = setting(
        0.98,
        "Weight of the embedding distance in the cost; the squared Mahalanobis distance has the "
        "remaining weight.",
        low=0,
        high=1,
    )


@dataclass(frozen=True)
class OcclusionRecoverySettings(Settings):
    """Settings of the recovery of lost tracklets by occlusion centres."""

    occlusion: bool = setting(True, "Recover lost tracklets by occlusion centres.")
    occlusion_thres: float = setting(
        0.1, "Occlusion centres with a lower score are ignored.", low=0, high=1
    )
    occlusion_agreement: float = setting(
        0.7,
        "Lowest agreement of an occlusion centre with the overlap of a lost and a tracked box, "
        "from 0 to 1: the paper's τ_o.",
        low=0,
        high=1,
    )
    lost_frame_range: float = setting(
        1.0,
        "Longest time since a lost tracklet was last occluded, in frames, or if below 1 in "
        "seconds: the paper's τ_w.",
        low=0,
    )
    form: str = setting(
        "paper",
        "Variant of the method. paper: write the box that is computed from the occlusion centre. "
        "code: write the predicted box, as the authors' code does.",
        choices=("paper", "code"),
    )
    track_type: str = setting(
        "private_track",
        "public_track: only detections near public detections (--public) may start tracks.",
        choices=("private_track", "public_track"),
    )


@dataclass(frozen=True)
class OUTrackSettings(OcclusionRecoverySettings, EmbeddingThenIoUSettings):
    """Settings of OUTrack; defaults are those of its code for detections above 0.6."""

    reid_thres: float = setting(
        0.4,
        "Highest cost of a match by embedding and motion.",
        low=0,
        high=2,
        parse=_threshold("cosine"),
    )
    clip_box: bool = setting(False, "Clip boxes to the frame before they are written.")
    frame_rate: float | None = _frame_rate(30.0)


@dataclass(frozen=True)
class OTrackSettings(OcclusionRecoverySettings):
    """Settings of OTrack; defaults are those of CenterTrack for MOT17."""

    track_thresh: float = setting(
        0.4,
        "Detections with a lower score are ignored; in bytetrack they are low-score detections.",
        low=0,
        high=1,
    )
    new_thresh: float | None = setting(
        None,
        "Detections with a score above this may start tracks; none: track_thresh, but at least "
        "0.3.",
        low=0,
        high=1,
    )
    max_age: int = setting(
        30, "Frames after which a tracklet without a detection is removed.", low=-1
    )

    @property
    def creation_threshold(self) -> float:
        """Score above which a detection may start a track, as the authors' options derive it."""
        return max(self.track_thresh, 0.3) if self.new_thresh is None else self.new_thresh


@dataclass(frozen=True)
class SortSettings(Settings):
    """Settings of SORT; defaults are those of its code."""

    max_age: int = setting(1, "Frames for which a tracklet without a detection is kept.", low=0)
    min_hits: int = setting(
        3,
        "Consecutive detections before a tracklet is written, except in the first min_hits frames.",
        low=0,
    )
    iou_threshold: float = setting(0.3, "Lowest IoU of a match.", low=0, high=1)
    score_filter: float | None = setting(
        None,
        "Detections with a score above this are tracked; none: all detections.",
        low=0,
        high=1,
    )


@dataclass(frozen=True)
class DeepSortSettings(Settings):
    """Settings of DeepSORT; defaults are those of its code for detections above 0.6."""

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
        0.2, "Highest cosine distance to the nearest embedding of a gallery.", low=0, high=2
    )
    nn_budget: int = setting(100, "Latest embeddings that are kept of each tracklet.", low=1)
    max_iou_distance: float = setting(0.7, "Highest IoU distance of a match.", low=0, high=1)
    max_age: int = setting(
        30, "Frames for which a confirmed tracklet without a detection is kept.", low=0
    )
    n_init: int = setting(
        3, "Consecutive detections before a tracklet is confirmed and written.", low=1
    )


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
    )
    det_thresh: float | None = setting(
        None,
        "Detections with a score of at least this may start tracks; none: track_thresh + 0.1.",
        low=0,
        high=1,
    )
    match_thresh: float = setting(
        0.9,
        "Highest distance, 1 - IoU × score, of a match with a high-score detection.",
        low=0,
        high=1,
    )
    mot20: bool = setting(False, "Match by IoU alone, without the score, as for MOT20.")
    frame_rate: float | None = _frame_rate(30.0)

    @property
    def creation_threshold(self) -> float:
        """Lowest score at which a detection may start a track (`det_thresh` in BYTETracker)."""
        return self.track_thresh + 0.1 if self.det_thresh is None else self.det_thresh


_EMBED = ("embeddings",)
_OCCLUSIONS = ("occlusion_centres",)

TRACKERS = {
    "fairmot": TrackerEntry("mottool.association.fairmot:FairMOTTracker", FairMOTSettings, _EMBED),
    "jde": TrackerEntry("mottool.association.jde:JDETracker", JDESettings, _EMBED),
    "cstrack": TrackerEntry("mottool.association.cstrack:CSTrackTracker", CSTrackSettings, _EMBED),
    "outrack": TrackerEntry(
        "mottool.association.outrack:OUTrackTracker", OUTrackSettings, _EMBED, _OCCLUSIONS
    ),
    "otrack": TrackerEntry(
        "mottool.association.otrack:OTrackTracker", OTrackSettings, ("offsets",), _OCCLUSIONS
    ),
    "tdt": TrackerEntry("mottool.association.fairmot:FairMOTTracker", TDTSettings, _EMBED),
    "sort": TrackerEntry("mottool.association.sort:SortTracker", SortSettings),
    "deepsort": TrackerEntry(
        "mottool.association.deepsort:DeepSortTracker", DeepSortSettings, _EMBED
    ),
    "bytetrack": TrackerEntry("mottool.association.bytetrack:ByteTrackTracker", ByteTrackSettings),
}


def settings_by_tracker() -> dict[str, type[Settings]]:
    """Return the settings class of each tracker."""
    return {name: entry.settings for name, entry in TRACKERS.items()}
