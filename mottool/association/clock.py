"""How much time passes between frames, in frames, as a cache's presentation times tell it."""

import numpy as np
import numpy.typing as npt

__all__ = ["steps"]

Floats = npt.NDArray[np.float64]

JITTER = 0.1  # frames: less than this is how times are written down, not how frames were taken
ROUNDING = 1.1e-3  # seconds: a little more than the steps that some containers count in


def steps(times: Floats, frame_rate: float) -> tuple[Floats, float]:
    """The frames (F,) that pass before each frame, and how many frames there are in a second.

    `times` (F,) are in seconds. The frame to count in is the usual one of the sequence, so where
    frames come evenly every step is exactly 1 and the rate is the given `frame_rate`; a frame that
    was left out makes a step of 2. Where times stand still or go back a step is 1 too.
    """
    intervals = np.diff(times)
    forward = intervals > 0
    found = np.ones(len(times))
    if not forward.any():
        return found, frame_rate
    usual = float(np.median(intervals[forward]))
    passed = intervals / usual
    whole = np.maximum(np.round(passed), 1)
    even = abs(passed - whole) <= max(JITTER, ROUNDING / usual)
    found[1:] = np.where(forward & ~even, passed, np.where(forward, whole, 1))
    return found, frame_rate if (found == 1).all() else 1 / usual
