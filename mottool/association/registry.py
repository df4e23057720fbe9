"""The trackers and their settings, by the names that their authors published.

Imports no torch, numpy, cv2 or h5py: the command line reads this file for its flags and its help.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mottool.association.baseline_settings import (
    ByteTrackSettings,
    DeepSortFamilySettings,
    DeepSortSettings,
    LifeCycleSettings,
    SortSettings,
    frame_rate_setting,
    threshold,
)
from mottool.association.camera_settings import (
    BotSortReIDSettings,
    BotSortSettings,
    StrongSortSettings,
)
from mottool.association.observation_settings import DeepOCSortSettings, OCSortSettings
from mottool.association.occlusion_settings import OcclusionRecoverySettings, form_setting
from mottool.errors import SettingError
from mottool.settings import Settings, setting

if TYPE_CHECKING:
    from mottool.association.tracks import SequenceInfo, Tracker

__all__ = [
    "DEFAULT_TRACKER",
    "EMBEDDING_SETTINGS",
    "TRACKERS",
    "ByteTrackSettings",
    "CSTrackSettings",
    "DeepSortFamilySettings",
    "DeepOCSortSettings",
    "DeepSortSettings",
    "EmbeddingThenIoUSettings",
    "FairMOTSettings",
    "JDESettings",
    "LifeCycleSettings",
    "OCSortSettings",
    "OTrackSettings",
    "OUTrackSettings",
    "OcclusionRecoverySettings",
    "SortSettings",
    "TDTSettings",
    "TrackerEntry",
    "drop_comments",
    "profile_settings",
    "profiles_by_tracker",
    "settings_by_tracker",
]

DEFAULT_TRACKER = "fairmot"

# Settings of any tracker that are thresholds or weights of embeddings.
EMBEDDING_SETTINGS = frozenset(
    {
        "appearance",
        "appearance_thresh",
        "aw_param",
        "first_assoc",
        "max_cosine_distance",
        "reid_thres",
        "w_assoc_emb",
    }
)

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
    """The entry of a tracker: its class, its settings and the data that it needs.

    `tracker` is `module:class` of a `tracks.Tracker`, `settings` the class of its settings. `needs`
    are the fields of `Detections` that the tracker requires, `uses` those that it can do without,
    and `needs_if` those that it requires if the setting of that name is on. `profiles` are other
    settings that the authors published, by name: texts that differ from the defaults.
    """

    tracker: str
    settings: type[Settings]
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    needs_if: Mapping[str, str] = field(default_factory=dict)
    profiles: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def required(self, settings: Settings) -> list[str]:
        """Return the fields of `Detections` that the tracker requires with these settings."""
        chosen = [name for name, switch in self.needs_if.items() if getattr(settings, switch)]
        return [*self.needs, *chosen]

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


@dataclass(frozen=True)
class EmbeddingThenIoUSettings(LifeCycleSettings):
    """Settings of trackers that match by embedding first and by IoU second."""

    conf_thres: float = setting(
        0.6,
        "Detections with a score above this are tracked; the others are ignored.",
        low=0,
        high=1,
    )

    @property
    def lowest_embedded(self) -> float:
        """Lowest score of detections whose embeddings are read."""
        return self.conf_thres


@dataclass(frozen=True)
class FairMOTSettings(EmbeddingThenIoUSettings):
    """Settings of FairMOT; defaults are those of its code since 11 September 2020 (6fa35d4).

    The profile `2020-05` has those of its code of 19 May 2020 (ddc9200), which is the first whose
    tracklets of the first frame are confirmed. The profile `mot20` has the score that its README
    gives for MOT20 and 2DMOT15.
    """

    conf_thres: float = setting(
        0.4,
        "Detections with a score above this are tracked; the others are ignored.",
        low=0,
        high=1,
    )
    first_assoc: float = setting(
        0.4,
        "Highest cost of a match by embedding and motion: 0.98 × embedding distance + 0.02 × "
        "squared Mahalanobis distance.",
        low=0,
        high=2,
        parse=threshold("cosine"),
    )


@dataclass(frozen=True)
class TDTSettings(FairMOTSettings):
    """Settings of TDT; the module `fairmot` states where the defaults come from.

    The profile `mot20` has the lowest score that its paper uses for MOT20 (supplement A).
    """

    conf_thres: float = setting(
        0.5,
        "Detections with a score above this are tracked; the others are ignored.",
        low=0,
        high=1,
    )


@dataclass(frozen=True)
class CSTrackSettings(FairMOTSettings):
    """Settings of CSTrack; defaults are those of its code."""

    conf_thres: float = setting(
        0.5,
        "Detections with a score above this are tracked; the others are ignored.",
        low=0,
        high=1,
    )
    max_w_over_h: float = setting(
        0.6, "Boxes wider than this many times their height are not written.", low=0
    )


@dataclass(frozen=True)
class JDESettings(EmbeddingThenIoUSettings):
    """Settings of JDE; defaults are those of its code."""

    conf_thres: float = setting(
        0.5,
        "Detections with a score above this are tracked; the others are ignored.",
        low=0,
        high=1,
    )
    min_box_area: float = setting(
        200.0, "Boxes of at most this area are not written, in square pixels.", low=0
    )
    first_assoc: float = setting(
        0.7,
        "Highest cost of a match by embedding and motion.",
        low=0,
        parse=threshold("euclidean"),
        search=(0.3, 1.1),
    )
    form: str = setting(
        "code",
        "Variant of the method. code: as in the authors' code. paper: as in the paper; for jde a "
        "single association by cosine distance, where a tracklet ends if it is not detected in the "
        "latest track_buffer frames; for outrack and otrack, Algorithm 1, which keeps the boxes "
        "computed from occlusion centres.",
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
class OUTrackSettings(OcclusionRecoverySettings, EmbeddingThenIoUSettings):
    """Settings of OUTrack; defaults are those of its code, with the paper's confidence (§4.4).

    With the occlusion centres of `mottool-s`, on real videos, the form of the code tracks better.
    """

    conf_thres: float = setting(
        0.5,
        "Detections with a score above this are tracked; the others are ignored.",
        low=0,
        high=1,
    )
    reid_thres: float = setting(
        0.4,
        "Highest cost of a match by embedding and motion.",
        low=0,
        high=2,
        parse=threshold("cosine"),
    )
    form: str = form_setting("code")
    clip_box: bool = setting(False, "Clip boxes to the frame before they are written.")
    frame_rate: float | None = frame_rate_setting(30.0)


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
        at_least="track_thresh",
    )
    max_age: int = setting(
        30,
        "Frames after which a tracklet without a detection is removed.",
        low=-1,
        search=(10, 90),
    )

    @property
    def creation_threshold(self) -> float:
        """Score above which a detection may start a track, as the authors' options derive it."""
        return max(self.track_thresh, 0.3) if self.new_thresh is None else self.new_thresh


_EMBED = ("embeddings",)
_OCCLUSIONS = ("occlusion_centres",)
_CAMERA = {"camera_motion": "camera_motion"}
_BOTSORT_PROFILES = {"mot20": {"match_thresh": "0.7", "mot20": "true"}}

TRACKERS = {
    "fairmot": TrackerEntry(
        "mottool.association.fairmot:FairMOTTracker",
        FairMOTSettings,
        _EMBED,
        profiles={
            "2020-05": {"conf_thres": "0.6", "first_assoc": "0.7", "min_box_area": "200"},
            "mot20": {"conf_thres": "0.3"},
        },
    ),
    "jde": TrackerEntry("mottool.association.jde:JDETracker", JDESettings, _EMBED),
    "cstrack": TrackerEntry("mottool.association.cstrack:CSTrackTracker", CSTrackSettings, _EMBED),
    "outrack": TrackerEntry(
        "mottool.association.outrack:OUTrackTracker", OUTrackSettings, _EMBED, _OCCLUSIONS
    ),
    "otrack": TrackerEntry(
        "mottool.association.otrack:OTrackTracker", OTrackSettings, ("offsets",), _OCCLUSIONS
    ),
    "tdt": TrackerEntry(
        "mottool.association.fairmot:FairMOTTracker",
        TDTSettings,
        _EMBED,
        profiles={"mot20": {"conf_thres": "0.3"}},
    ),
    "sort": TrackerEntry("mottool.association.sort:SortTracker", SortSettings),
    "deepsort": TrackerEntry(
        "mottool.association.deepsort:DeepSortTracker", DeepSortSettings, _EMBED
    ),
    "bytetrack": TrackerEntry("mottool.association.bytetrack:ByteTrackTracker", ByteTrackSettings),
    "botsort": TrackerEntry(
        "mottool.association.botsort:BotSortTracker",
        BotSortSettings,
        needs_if=_CAMERA,
        profiles=_BOTSORT_PROFILES,
    ),
    "botsort-reid": TrackerEntry(
        "mottool.association.botsort:BotSortReIDTracker",
        BotSortReIDSettings,
        _EMBED,
        needs_if=_CAMERA,
        profiles=_BOTSORT_PROFILES,
    ),
    "strongsort": TrackerEntry(
        "mottool.association.strongsort:StrongSortTracker",
        StrongSortSettings,
        _EMBED,
        needs_if=_CAMERA,
    ),
    "ocsort": TrackerEntry(
        "mottool.association.ocsort:OCSortTracker",
        OCSortSettings,
        profiles={
            "mot20": {"track_thresh": "0.4"},
            "dancetrack": {"max_w_over_h": "1000"},
        },
    ),
    "deepocsort": TrackerEntry(
        "mottool.association.deepocsort:DeepOCSortTracker",
        DeepOCSortSettings,
        _EMBED,
        needs_if=_CAMERA,
        profiles={
            "mot20": {"track_thresh": "0.4"},
            "dancetrack": {"max_w_over_h": "1000", "w_assoc_emb": "1.25", "aw_param": "1"},
        },
    ),
}


def settings_by_tracker() -> dict[str, type[Settings]]:
    """Return the settings class of each tracker."""
    return {name: entry.settings for name, entry in TRACKERS.items()}


def profiles_by_tracker() -> dict[str, Mapping[str, Mapping[str, str]]]:
    """Return the profiles of each tracker, by name."""
    return {name: entry.profiles for name, entry in TRACKERS.items()}


def profile_settings(tracker: str, profile: str) -> dict[str, str]:
    """Return the settings of a tracker's profile; raise a `SettingError` if it has no such."""
    profiles = TRACKERS[tracker].profiles
    if profile not in profiles:
        owners = [name for name, entry in TRACKERS.items() if profile in entry.profiles]
        fix = f"choose {' or '.join(profiles)}" if profiles else "leave --profile out"
        if owners:
            fix += f", or --tracker {' or '.join(owners)}"
        raise SettingError(f"{tracker} has no profile {profile!r}", fix)
    return dict(profiles[profile])
