"""What is done to the tracks of a whole sequence once it has been seen to its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mottool.settings import Settings, knob

if TYPE_CHECKING:
    from mottool.motchallenge.rows import Rows

__all__ = ["Finishing", "finish"]


@dataclass(frozen=True)
class Finishing(Settings):
    """Offline finishing: which tracks stay, and how their boxes are mended; by default nothing."""

    min_track_length: int = knob(
        1, "Tracks with fewer boxes than this are removed, before gaps are filled.", low=1
    )
    fill_gaps: int = knob(
        0,
        "Gaps of up to this many frames within a track are filled along a straight line; 0: none.",
        low=0,
    )
    smooth: str = knob(
        "none",
        "Smooth the boxes of each track: gaussian by a Gaussian process, as StrongSORT does after "
        "filling gaps of 18 frames; rts by a Kalman filter that runs forwards and back.",
        choices=("none", "gaussian", "rts"),
    )
    smooth_tau: float = knob(
        10.0,
        "How far a Gaussian process smooths, StrongSORT's tau. Tracks of more than its third power "
        "of boxes are left as they are.",
        low=2,
        high=15,
    )


def finish(rows: Rows, config: Finishing) -> Rows:
    """Remove short tracks, fill gaps and smooth, in this order, as far as `config` asks for it.

    The `rows` of one sequence come back in their order, or by frame and identity if any was added.
    """
    from mottool.association.postprocess import (
        filled,
        smoothed_gaussian,
        smoothed_rts,
        without_short,
    )

    if config.min_track_length > 1:
        rows = without_short(rows, config.min_track_length)
    if config.fill_gaps:
        rows = filled(rows, config.fill_gaps)
    if config.smooth == "gaussian":
        rows = smoothed_gaussian(rows, config.smooth_tau)
    if config.smooth == "rts":
        rows = smoothed_rts(rows)
    return rows
