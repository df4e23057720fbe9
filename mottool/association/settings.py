"""The trackers there are and the settings of each, under the names their authors publish.

Nothing heavy is imported here: the command line reads this file for its flags and its help.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mottool.config import Settings, knob

__all__ = ["REGISTRY", "SETTINGS", "FairMOTSettings", "SortSettings", "without_remarks"]

REGISTRY = {
    "fairmot": "mottool.association.fairmot:FairMOT",
    "sort": "mottool.association.sort:Sort",
}

# What published lists of settings say of how a run was made, and what sets nothing here.
_REMARKS = {
    "filterpy": r"[\d.]+",
    "note": r".*",
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
    return None if text == "per sequence" else float(text)


@dataclass(frozen=True)
class FairMOTSettings(Settings):
    """FairMOT's association; the values are those of its code with detections above 0.6."""

    conf_thres: float = knob(
        0.6, "Detections with a score above this are tracked; the others are not looked at."
    )
    track_buffer: int = knob(
        30, "Frames a lost tracklet is remembered at 30 frames a second; scaled to others.", low=0
    )
    first_assoc: float = knob(
        0.4,
        "Highest cost of a match by embedding and motion: 0.98 of the cosine distance and 0.02 of "
        "the squared Mahalanobis distance.",
        low=0,
        parse=_threshold("cosine"),
    )
    second: float = knob(
        0.5,
        "Highest IoU distance of a match for tracklets that found none by embedding.",
        low=0,
        high=1,
        parse=_threshold("IoU"),
    )
    unconfirmed: float = knob(
        0.7,
        "Highest IoU distance of a match for tracklets with a single detection.",
        low=0,
        high=1,
        parse=_threshold("IoU"),
    )
    min_box_area: float = knob(
        100.0, "Tracks up to this area are not written, square pixels.", low=0
    )
    max_w_over_h: float = knob(
        1.6, "Tracks wider than this many times their height are not written.", low=0
    )
    frame_rate: float | None = knob(
        None,
        "Frames a second that the buffer is scaled by; none or 'per sequence': the sequence's own.",
        low=0,
        parse=_rate,
    )


@dataclass(frozen=True)
class SortSettings(Settings):
    """SORT; the values are those of its code."""

    max_age: int = knob(1, "Frames a tracklet lives without a detection.", low=0)
    min_hits: int = knob(
        3, "Detections in a row before a tracklet is shown; all are in the first so many frames."
    )
    iou_threshold: float = knob(0.3, "Lowest IoU of a match.", low=0, high=1)
    score_filter: float | None = knob(
        None, "Detections with a score above this are tracked; none: all of them."
    )


SETTINGS: dict[str, type[Settings]] = {"fairmot": FairMOTSettings, "sort": SortSettings}
