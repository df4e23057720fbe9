"""Settings of the recovery of lost tracklets by occlusion centres: OUTrack's and OTrack's.

Imports no torch, numpy, cv2 or h5py, as `registry`.
"""

from dataclasses import dataclass
from typing import Any

from mottool.errors import SettingError
from mottool.settings import Settings, setting

__all__ = ["FORM_SETTINGS", "OcclusionRecoverySettings", "form_setting"]

AGREEMENT, WINDOW = 0.7, 1.0  # defaults
# Settings that have an effect with one form only: the form, and their default.
FORM_SETTINGS: dict[str, tuple[str, object]] = {
    "lost_window": ("paper", None),
    "occlusion_agreement": ("paper", AGREEMENT),
    "lost_frame_range": ("code", WINDOW),
}


def form_setting(default: str) -> Any:
    """Declare the variant of the recovery."""
    return setting(
        default,
        "Variant of the method. paper: write and keep the box that is computed from the occlusion "
        "centre (Algorithm 1). code: write the predicted box of tracklets that were occluded in "
        "the frame before, as the authors' code does.",
        choices=("paper", "code"),
    )


@dataclass(frozen=True)
class OcclusionRecoverySettings(Settings):
    """Settings of the recovery of lost tracklets by occlusion centres."""

    occlusion: bool = setting(True, "Recover lost tracklets by occlusion centres.")
    occlusion_thres: float = setting(
        0.1, "Occlusion centres with a lower score are ignored.", low=0, high=1
    )
    occlusion_agreement: float = setting(
        AGREEMENT,
        "With form paper, lost tracklets are recovered where an occlusion centre scores above "
        "this, from 0 to 1: the paper's τ_o.",
        low=0,
        high=1,
        at_least="occlusion_thres",
    )
    lost_window: int | None = setting(
        None,
        "With form paper, a tracklet is looked for in as many frames without its detection: the "
        "paper's τ_w. Frames in which it is recovered do not count. none: as long as it is kept.",
        low=0,
    )
    lost_frame_range: float = setting(
        WINDOW,
        "With form code, longest time since a lost tracklet was last occluded, in frames, or if "
        "below 1 in seconds.",
        low=0,
        search=(1, 30),
    )
    form: str = form_setting("paper")
    track_type: str = setting(
        "private_track",
        "public_track: only detections near public detections (--public) may start tracks.",
        choices=("private_track", "public_track"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, (form, default) in FORM_SETTINGS.items():
            if getattr(self, name) != default and self.form != form:
                fix = f"leave out {name}, or give form {form}"
                raise SettingError(f"{name} has no effect with form {self.form}", fix)
