"""Lifecycle of the tracklets of SORT and its descendants, which show runs of detections.

Slot lists are oldest first, as in the published codes: new identities depend on this order.
"""

import numpy as np
import numpy.typing as npt

from mottool.association.motion import POSITION
from mottool.association.tracks import Tracklets

__all__ = ["SortLifeCycle"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


class SortLifeCycle:
    """The tracklets of one sequence: `slots` of a pool with an `AreaFilter`, oldest first.

    Process each frame with `start_frame`, the tracker's matching steps, then `finish_frame`.
    `frame` counts the frames so far; `time` is in frames too, and includes skipped ones.
    """

    def __init__(self, pool: Tracklets, min_hits: int, max_age: int) -> None:
        """Show tracklets after `min_hits` matches, remove them after `max_age` frames without."""
        self.pool = pool
        self.slots = np.zeros(0, np.intp)
        self.frame, self.time = 0, 0.0
        self._min_hits, self._max_age = min_hits, max_age

    def start_frame(self, elapsed: float) -> Floats:
        """Advance `elapsed` frames; return the predicted boxes (T, 4) of `slots`.

        Tracklets whose area vanishes are removed.
        """
        pool, before = self.pool, self.time
        self.frame += 1
        self.time += elapsed
        # A frame without a detection resets the count of consecutive hits in the next frame.
        pool.hits[self.slots[pool.last[self.slots] < before]] = 0
        motion = pool.predict(self.slots, elapsed)
        with_area = (motion[POSITION, 2] * motion[POSITION, 3] > 0).nonzero()[0]
        if len(with_area) < len(self.slots):
            self.slots, motion = self.slots[with_area], motion.take(with_area, axis=2)
        return pool.filter.boxes(motion[POSITION])

    def remove_expired(self, elapsed: float) -> None:
        """Remove tracklets that would have expired in the frames skipped before the next one."""
        age = self.time + elapsed - self.pool.last[self.slots]
        self.slots = self.slots[age <= self._max_age + 1]

    def finish_frame(self, created: Indices) -> Indices:
        """Add created slots, remove expired ones; return the slots to show, youngest first.

        In the first `min_hits` frames every matched tracklet is shown.
        """
        pool = self.pool
        slots = np.concatenate((self.slots, created))
        age = self.time - pool.last[slots]
        shown = age == 0
        if self.frame > self._min_hits:
            shown &= pool.hits[slots] >= self._min_hits
        self.slots = slots[age <= self._max_age]
        pool.keep(self.slots)
        youngest_first: Indices = slots[shown][::-1]
        return youngest_first
