"""Tracklets that remember their detections, here called observations, as OC-SORT needs them.

Cao, Pang, Weng, Khirodkar & Kitani, "Observation-Centric SORT: Rethinking SORT for Robust
Multi-Object Tracking", CVPR 2023, §4, as the published code does it.
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mottool.association.motion import AreaFilter, IndependentFilter
from mottool.association.tracks import Tracklets

__all__ = ["ObservedTracklets", "centres_and_sides", "directions"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

EPSILON = 1e-6  # pixels: centres at a distance of zero have no direction


def centres_and_sides(boxes: Floats) -> Floats:
    """Return centre x, centre y, width and height (4, n) of boxes (n, 4)."""
    corners = boxes.T
    sides = corners[2:] - corners[:2]
    return np.concatenate((corners[:2] + 0.5 * sides, sides))


def directions(start: Floats, end: Floats) -> tuple[Floats, Floats]:
    """Return x and y of the directions, of length 1, from centres (2, ...) to others (2, ...)."""
    x, y = end[0] - start[0], end[1] - start[1]
    lengths = np.sqrt(x * x + y * y)
    lengths += EPSILON
    x /= lengths
    y /= lengths
    return x, y


class ObservedTracklets(Tracklets):
    """A pool of tracklets with the latest observations of each.

    As in the published code, the detection that creates a tracklet is not an observation: until it
    is matched, a tracklet has no direction and cannot be recovered.
    """

    filter: AreaFilter

    def __init__(self, delta_t: int) -> None:
        """Keep the observations of the latest `delta_t` frames, and the latest one of all."""
        super().__init__(AreaFilter())
        self.delta_t = delta_t
        self.frame = 0
        self.times = [0.0]  # of this frame and those before it, back to the earliest `last`
        self.is_observed = np.zeros(self.capacity, np.bool_)  # has at least one observation
        self.observations = np.zeros((self.capacity, 4))  # the latest, or the first detection
        # Rings by frame number: the observations of the latest frames, and these frames.
        self.recent = np.zeros((self.capacity, delta_t, 4))
        self.recent_frames = np.zeros((self.capacity, delta_t), np.int64)
        self.directions = np.zeros((self.capacity, 2))  # x y, of length 1; 0 if unknown
        # A gap: the prediction in its first frame, and the observation before it.
        self.in_gap = np.zeros(self.capacity, np.bool_)
        self.gap_motion = np.zeros((5, 4, self.capacity))
        self.gap_starts = np.zeros((self.capacity, 4))  # centre x, centre y, width, height

    def start_frame(self, time: float) -> None:
        """Begin the frame at `time`, in frames."""
        self.frame += 1
        earliest = self.last[self._in_use].min(initial=time)
        self.times = [past for past in self.times if past >= earliest] + [time]

    def begin(self, slots: Indices, boxes: Floats) -> None:
        """Set the first detections (n, 4) of tracklets that were just created."""
        self.is_observed[slots] = self.in_gap[slots] = False
        self.observations[slots] = boxes
        self.recent_frames[slots] = -self.delta_t
        self.directions[slots] = 0

    def earlier(self, slots: Indices) -> Floats:
        """Return the observations (T, 4) of `delta_t` frames ago.

        Without one in that frame it is the next one after it, or else the latest of all.
        """
        frames = self.recent_frames[slots]  # (T, delta_t)
        is_recent = frames >= self.frame - self.delta_t
        first = np.where(is_recent, frames, self.frame).argmin(axis=1)
        has_recent = is_recent.any(axis=1, keepdims=True)  # (T, 1)
        return np.where(has_recent, self.recent[slots, first], self.observations[slots])

    def observe(self, slots: Indices, boxes: Floats, measurements: Floats) -> None:
        """Update these tracklets with an observation each: boxes (T, 4), measurements (4, T)."""
        after_gap = self.in_gap[slots].nonzero()[0]
        if len(after_gap):
            self._re_update(slots[after_gap], boxes[after_gap])
        self.update(slots, self.times[-1], measurements)
        self.hits[slots] += 1
        seen, start = centres_and_sides(boxes), centres_and_sides(self.earlier(slots))
        known = self.is_observed[slots]
        self.directions[slots] = np.where(known, directions(start, seen), 0).T
        self.is_observed[slots], self.in_gap[slots] = True, False
        self.observations[slots], self.gap_starts[slots] = boxes, seen.T
        index = self.frame % self.delta_t
        self.recent[slots, index], self.recent_frames[slots, index] = boxes, self.frame

    def miss(self, slots: Indices) -> None:
        """Begin a gap where one of these unmatched tracklets was observed in the frame before."""
        slots = slots[self.is_observed[slots] & ~self.in_gap[slots]]
        self.in_gap[slots] = True
        self.gap_motion[:, :, slots] = self.motion[:, :, slots]

    def _re_update(self, slots: Indices, boxes: Floats) -> None:
        """Correct the motion of tracklets after a gap, by a virtual trajectory (ORU, §4.1).

        From the observation before the gap to `boxes` (k, 4) of this frame, centre and sides change
        linearly, and the filter runs again over these boxes. The last of them is that of this
        frame, which the update that follows uses too, as in the published code.
        """
        order = np.argsort(self.last[slots], kind="stable")
        slots, end = slots[order], centres_and_sides(boxes[order])
        last, start = self.last[slots], self.gap_starts[slots].T
        rates = (end - start) / (self.times[-1] - last)  # (4, k) per frame
        motion = self.gap_motion[:, :, slots]
        for before, time in pairwise(past for past in self.times if past >= last[0]):
            # Gaps that began earlier come first.
            predicted, corrected = np.searchsorted(last, (before, time))
            IndependentFilter.predict(self.filter, motion[:, :, :predicted], time - before)
            passed = time - last[:corrected]
            x, y, width, height = start[:, :corrected] + passed * rates[:, :corrected]
            measurements = np.stack((x, y, width * height, width / height))
            self.filter.update(motion[:, :, :corrected], measurements)
        self.motion[:, :, slots] = motion
