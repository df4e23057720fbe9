"""SORT: constant velocity and overlap, nothing else.

Bewley et al., "Simple Online and Realtime Tracking", ICIP 2016, §3, as the published code does it.
"""

import numpy as np
import numpy.typing as npt

from mottool.association.assignment import assign_overlaps
from mottool.association.motion import POSITION, AreaFilter
from mottool.association.registry import SortSettings
from mottool.association.tracks import SequenceInfo, Tracklets, Tracks
from mottool.boxes import iou
from mottool.detections import Detections

__all__ = ["SortTracker"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


class SortTracker:
    """Tracks one sequence; `slots` are its tracklets, oldest first."""

    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()

    def __init__(self, settings: SortSettings, video: SequenceInfo) -> None:
        """Begin a sequence; SORT counts in frames whatever their rate."""
        self.settings = settings
        self._filter = AreaFilter()
        self._frame = 0
        self._now = self._before = 0.0
        self._pool = Tracklets(self._filter)
        self._slots = np.zeros(0, np.intp)

    def step(self, detections: Detections, elapsed: float = 1.0) -> Tracks:
        """The tracks of the next frame, youngest first; every score is 1."""
        self._frame += 1
        self._before, self._now = self._now, self._now + elapsed
        pool = self._pool
        boxes = self._found(detections)
        measured = self._filter.measured(boxes)
        expected = self._expected(elapsed)

        matching = assign_overlaps(iou(boxes, expected), self.settings.iou_threshold)
        pool.update(self._slots[matching.cols], self._now, measured[:, matching.rows])
        pool.hits[self._slots[matching.cols]] += 1
        alone = matching.rows_alone
        born = pool.born(self._now, measured[:, alone], np.ones(len(alone)))
        self._slots = np.concatenate((self._slots, born))

        shown = self._shown()
        unseen = self._now - pool.last[self._slots]
        self._slots = self._slots[unseen <= self.settings.max_age]
        pool.keep(self._slots)
        return Tracks(pool.ids[shown], pool.boxes(shown), pool.scores[shown])

    def _found(self, detections: Detections) -> Floats:
        boxes = detections.boxes
        good = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        if self.settings.score_filter is not None:
            good &= detections.scores > self.settings.score_filter
        return boxes[good].astype(np.float64)

    def _expected(self, elapsed: float) -> Floats:
        """Where the tracklets (T, 4) should be now; those without an area any more are dropped."""
        pool = self._pool
        # A frame without a detection ends the row of hits, which the next frame gets to see.
        pool.hits[self._slots[pool.last[self._slots] < self._before]] = 0
        motion = pool.predict(self._slots, elapsed)
        has_area = motion[POSITION, 2] * motion[POSITION, 3] > 0
        if not has_area.all():
            self._slots, motion = self._slots[has_area], motion[:, :, has_area]
        return self._filter.boxes(motion[POSITION])

    def _shown(self) -> Indices:
        pool, slots = self._pool, self._slots
        shown = pool.last[slots] == self._now
        if self._frame > self.settings.min_hits:
            shown &= pool.hits[slots] >= self.settings.min_hits
        youngest_first: Indices = slots[shown][::-1]
        return youngest_first
