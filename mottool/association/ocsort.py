"""OC-SORT: SORT centred on observations instead of the filter's estimates.

Cao, Pang, Weng, Khirodkar & Kitani, "Observation-Centric SORT: Rethinking SORT for Robust
Multi-Object Tracking", CVPR 2023, §4, as the published code does it. It adds three parts to SORT:
a re-update of the filter after a gap (ORU, in `observed_tracklets`), the direction of the
observations in the cost (OCM), and recovery by the latest observation (OCR).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.association.assignment import Matching, assign_by_total, assign_overlaps
from mottool.association.box_similarity import SIMILARITIES
from mottool.association.lifecycle import CandidateDetections
from mottool.association.observation_settings import ObservationSettings
from mottool.association.observed_tracklets import (
    ObservedTracklets,
    centres_and_sides,
    directions,
)
from mottool.association.sort_lifecycle import SortLifeCycle
from mottool.association.tracks import SequenceInfo, Tracks
from mottool.boxes import iou
from mottool.detections import Detections

__all__ = ["OCSortTracker"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


class OCSortTracker:
    """Tracker of one sequence."""

    def __init__(self, settings: ObservationSettings, sequence: SequenceInfo) -> None:
        """Set up the tracker of one sequence; OC-SORT counts in frames whatever their rate."""
        self.settings = settings
        self.similarity = SIMILARITIES[settings.similarity]
        self.pool = ObservedTracklets(settings.delta_t)
        self.life = SortLifeCycle(self.pool, settings.min_hits, settings.max_age)

    def update(self, detections: Detections, elapsed: float = 1.0) -> Tracks:
        """Track the next frame; return its tracks, youngest first, at the boxes of detections."""
        life, pool = self.life, self.pool
        if elapsed > 1:
            life.remove_expired(elapsed)
        candidates, high_count = self.candidates(detections)
        predicted = life.start_frame(elapsed)
        pool.start_frame(life.time)
        # 1. Match high-score detections by IoU and the direction of the observations (OCM).
        overlaps = iou(candidates.boxes[:high_count], predicted)
        first = assign_overlaps(
            overlaps,
            self.settings.iou_threshold,
            lambda: self.gains(overlaps, candidates),
        )
        # 2. Match the remaining tracklets with low-score detections, if there are any.
        low = np.arange(high_count, len(candidates.scores))
        second = self._match_boxes(low, first.unmatched_cols, candidates, predicted)
        # 3. Match the remaining high-score detections with the latest observations (OCR).
        # As in the published code, a tracklet without observations has one in the corner.
        is_observed = pool.is_observed[life.slots, None]  # (T, 1)
        observations = np.where(is_observed, pool.observations[life.slots], -1)
        third = self._match_boxes(
            first.unmatched_rows, second.unmatched_cols, candidates, observations
        )

        rows = np.concatenate((first.rows, second.rows, third.rows))
        cols = np.concatenate((first.cols, second.cols, third.cols))
        self.update_matched(life.slots[cols], rows, candidates)
        pool.miss(life.slots[third.unmatched_cols])
        shown = life.finish_frame(self._create(third.unmatched_rows, candidates))
        tracks = Tracks(pool.ids[shown], pool.observations[shown], pool.scores[shown])
        return tracks.filter_by_shape(self.settings)

    def candidates(self, detections: Detections) -> tuple[CandidateDetections, int]:
        """Return the detections to match, high-score ones first, and how many these are."""
        settings, scores = self.settings, detections.scores
        left, top, right, bottom = detections.boxes.T
        keep = (right > left) & (bottom > top)
        high = (keep & (scores > settings.track_thresh)).nonzero()[0]
        keep &= (scores > settings.lowest_score) & (scores < settings.track_thresh)
        rows = np.concatenate((high, keep.nonzero()[0]))
        return self.select(detections, rows), len(high)

    def select(self, detections: Detections, rows: Indices) -> CandidateDetections:
        """Select `rows` of a frame's detections."""
        boxes = detections.boxes.take(rows, axis=0).astype(np.float64)
        measurements = self.pool.filter.measurements(boxes)
        return CandidateDetections(boxes, measurements, detections.scores[rows])

    def gains(
        self, overlaps: npt.NDArray[np.floating[Any]], candidates: CandidateDetections
    ) -> Floats:
        """Return what the first matching maximises, (D, T): IoU and consistent direction (§4.2).

        The angle between a tracklet's direction and that to a detection counts from 0.5 (none) to
        -0.5 (opposite), times `inertia` and the detection's score.
        """
        slots, count = self.life.slots, len(overlaps)
        starts = centres_and_sides(self.pool.earlier(slots))[:, None, :]  # (4, 1, T)
        ends = centres_and_sides(candidates.boxes[:count])[:, :, None]  # (4, D, 1)
        x, y = directions(starts, ends)  # (D, T)
        cosines = x * self.pool.directions[slots, 0]
        cosines += y * self.pool.directions[slots, 1]
        gains: Floats = np.arcsin(np.clip(cosines, -1, 1, out=cosines), out=cosines)
        gains *= self.settings.inertia / np.pi * candidates.scores[:count, None]
        gains += overlaps
        return gains

    def _match_boxes(
        self, rows: Indices, cols: Indices, candidates: CandidateDetections, boxes: Floats
    ) -> Matching:
        """Match `rows` of the candidates with `cols` of the tracklets' `boxes` (T, 4)."""
        if not len(rows) or not len(cols):
            return Matching.empty(rows, cols)
        similar = self.similarity(candidates.boxes[rows], boxes[cols])
        threshold = self.settings.iou_threshold
        if similar.max() <= threshold:
            return Matching.empty(rows, cols)
        matching = assign_by_total(similar, threshold).reindex(rows, cols)
        # In the order of the frame, as in the published code: new identities depend on it.
        return matching._replace(unmatched_rows=np.sort(matching.unmatched_rows))

    def update_matched(
        self, slots: Indices, rows: Indices, candidates: CandidateDetections
    ) -> None:
        """Update slots (k,) with their matched candidates, rows (k,)."""
        measurements = candidates.measurements.take(rows, axis=1)
        self.pool.observe(slots, candidates.boxes[rows], measurements)
        self.pool.scores[slots] = candidates.scores[rows]

    def _create(self, rows: Indices, candidates: CandidateDetections) -> Indices:
        """Create a tracklet from each of these candidates and return their slots."""
        embeddings = None if candidates.embeddings is None else candidates.embeddings[rows]
        created = self.pool.create(
            self.life.time, candidates.measurements[:, rows], candidates.scores[rows], embeddings
        )
        self.pool.begin(created, candidates.boxes[rows])
        return created
