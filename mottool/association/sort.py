"""SORT: constant-velocity motion and IoU.

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
    """Tracker of one sequence; `_slots` are its tracklets, oldest first."""

    def __init__(self, settings: SortSettings, sequence: SequenceInfo) -> None:
        """Set up the tracker of one sequence; SORT counts in frames whatever their rate."""
        self.settings = settings
        self._filter = AreaFilter()
        self._frame = 0
        self._time = self._before = 0.0
        self._pool = Tracklets(self._filter)
        self._slots = np.zeros(0, np.intp)

    def update(self, detections: Detections, elapsed: float = 1.0) -> Tracks:
        """Track the next frame; return its tracks, youngest first, all with score 1."""
        self._frame += 1
        self._before, self._time = self._time, self._time + elapsed
        pool = self._pool
        boxes = self._candidates(detections)
        measurements = self._filter.measurements(boxes)
        predicted = self._predict(elapsed)

        matching = assign_overlaps(iou(boxes, predicted), self.settings.iou_threshold)
        pool.update(self._slots[matching.cols], self._time, measurements[:, matching.rows])
        pool.hits[self._slots[matching.cols]] += 1
        unmatched = matching.unmatched_rows
        created = pool.create(self._time, measurements[:, unmatched], np.ones(len(unmatched)))
        self._slots = np.concatenate((self._slots, created))

        shown = self._shown()
        age = self._time - pool.last[self._slots]
        self._slots = self._slots[age <= self.settings.max_age]
        pool.keep(self._slots)
        return Tracks(pool.ids[shown], pool.boxes(shown), pool.scores[shown])

    def _candidates(self, detections: Detections) -> Floats:
        boxes = detections.boxes
        keep = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        if self.settings.score_filter is not None:
            keep &= detections.scores > self.settings.score_filter
        return boxes[keep].astype(np.float64)

    def _predict(self, elapsed: float) -> Floats:
        """Predict the tracklets' boxes (T, 4); remove tracklets without an area."""
        pool = self._pool
        # A frame without a detection resets the count of consecutive hits in the next frame.
        pool.hits[self._slots[pool.last[self._slots] < self._before]] = 0
        motion = pool.predict(self._slots, elapsed)
        has_area = motion[POSITION, 2] * motion[POSITION, 3] > 0
        if not has_area.all():
            self._slots, motion = self._slots[has_area], motion[:, :, has_area]
        return self._filter.boxes(motion[POSITION])

    def _shown(self) -> Indices:
        pool, slots = self._pool, self._slots
        shown = pool.last[slots] == self._time
        if self._frame > self.settings.min_hits:
            shown &= pool.hits[slots] >= self.settings.min_hits
        youngest_first: Indices = slots[shown][::-1]
        return youngest_first
