"""SORT: constant-velocity motion and IoU.

Bewley et al., "Simple Online and Realtime Tracking", ICIP 2016, §3, as the published code does it.
"""

import numpy as np
import numpy.typing as npt

from mottool.association.assignment import assign_overlaps
from mottool.association.motion import AreaFilter
from mottool.association.registry import SortSettings
from mottool.association.sort_lifecycle import SortLifeCycle
from mottool.association.tracks import SequenceInfo, Tracklets, Tracks
from mottool.boxes import iou
from mottool.detections import Detections

__all__ = ["SortTracker"]


class SortTracker:
    """Tracker of one sequence."""

    def __init__(self, settings: SortSettings, sequence: SequenceInfo) -> None:
        """Set up the tracker of one sequence; SORT counts in frames whatever their rate."""
        self.settings = settings
        pool = Tracklets(AreaFilter())
        self.life = SortLifeCycle(pool, settings.min_hits, settings.max_age)

    def update(self, detections: Detections, elapsed: float = 1.0) -> Tracks:
        """Track the next frame; return its tracks, youngest first, all with score 1."""
        life, pool = self.life, self.life.pool
        boxes = self._candidates(detections)
        measurements = pool.filter.measurements(boxes)
        predicted = life.start_frame(elapsed)

        matching = assign_overlaps(iou(boxes, predicted), self.settings.iou_threshold)
        matched, unmatched = life.slots[matching.cols], matching.unmatched_rows
        pool.update(matched, life.time, measurements[:, matching.rows])
        pool.hits[matched] += 1
        created = pool.create(life.time, measurements[:, unmatched], np.ones(len(unmatched)))

        shown = life.finish_frame(created)
        return Tracks(pool.ids[shown], pool.boxes(shown), pool.scores[shown])

    def _candidates(self, detections: Detections) -> npt.NDArray[np.float64]:
        boxes = detections.boxes
        keep = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        if self.settings.score_filter is not None:
            keep &= detections.scores > self.settings.score_filter
        return boxes[keep].astype(np.float64)
