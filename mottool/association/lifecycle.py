"""Lifecycle of tracklets: created, confirmed, lost, recovered, removed.

Shared by the trackers that descend from JDE's published code (JDE, FairMOT, CSTrack, OUTrack,
ByteTrack). Slot lists keep the order of that code, because new identities and the rows of a result
depend on it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mottool.association.assignment import Matching, assign, pairs_within
from mottool.association.baseline_settings import ShapeSettings
from mottool.association.motion import HeightFilter
from mottool.association.size_filter import SizeFilter
from mottool.association.tracks import Tracklets, Tracks, update_embedding
from mottool.boxes import iou
from mottool.detections import Detections

__all__ = ["PIXEL_BORDER", "CandidateDetections", "LifeCycle", "match_boxes"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

DUPLICATE_IOU_DISTANCE = 0.15  # below this a tracked and a lost tracklet are duplicates
PIXEL_BORDER = 1  # IoU counts pixels between integer corners inclusively


class CandidateDetections(NamedTuple):
    """The n detections of a frame that a tracker tries to match."""

    boxes: Floats  # (n, 4) x1 y1 x2 y2, pixels
    measurements: Floats  # (4, n) in the coordinates of the motion filter
    scores: npt.NDArray[np.floating[Any]]  # (n,)
    embeddings: npt.NDArray[np.float32] | None = None  # (n, D), or of the first: L2-normalised

    @classmethod
    def select(
        cls,
        detections: Detections,
        rows: Indices,
        embeddings: npt.NDArray[np.float32] | None = None,
        measure: Callable[[npt.NDArray[np.float32]], Floats] = HeightFilter.measurements,
    ) -> "CandidateDetections":
        """Select `rows` of a frame's detections, with the embeddings of those rows or the first.

        `measure` is that of the motion filter.
        """
        boxes = detections.boxes.take(rows, axis=0)
        measurements = measure(boxes)
        return cls(boxes.astype(np.float64), measurements, detections.scores[rows], embeddings)


def match_boxes(
    tracklet_boxes: Floats,
    detection_boxes: Floats,
    max_distance: float,
    weights: npt.NDArray[np.floating[Any]] | None = None,
) -> Matching:
    """Match tracklet boxes (T, 4) with detection boxes (n, 4) by IoU distance.

    A pair can match if 1 - IoU is at most `max_distance`. `weights` (n,) multiply the IoU of each
    detection.
    """
    if not len(tracklet_boxes) or not len(detection_boxes):
        return Matching.empty(np.arange(len(tracklet_boxes)), np.arange(len(detection_boxes)))
    overlaps = iou(tracklet_boxes, detection_boxes, PIXEL_BORDER)
    if weights is not None:
        overlaps *= weights
    distances = np.subtract(1, overlaps, out=overlaps)
    return assign(*pairs_within(distances, max_distance), distances.shape, max_distance)


class LifeCycle:
    """The tracklets of one sequence: slots of `pool`, split into `tracked` and `lost`.

    Process each frame with `start_frame`, the tracker's matching steps, then `finish_frame`. In
    between, `confirmed` and `unconfirmed` partition the tracked slots, and `confirmed_and_lost`
    holds the confirmed slots followed by the lost ones. `boxes` (T, 4) are the boxes of the tracked
    slots after `finish_frame`.
    """

    def __init__(
        self,
        max_lost_frames: float,
        confirm_in_first_frame: bool,
        update_score_when_recovered: bool = False,
        end_at_limit: bool = False,
        filter: HeightFilter | SizeFilter | None = None,
    ) -> None:
        """Create an empty set of tracklets.

        With `end_at_limit`, a tracklet ends after `max_lost_frames` frames without a detection;
        otherwise it can be recovered for two more, as in the published code. With
        `confirm_in_first_frame`, tracklets created in frame 1 are confirmed immediately; the others
        need a second detection. With `update_score_when_recovered`, a recovered tracklet takes the
        score of its detection. The default `filter` is a `HeightFilter`.
        """
        self._filter = filter or HeightFilter()
        self.pool = Tracklets(self._filter)
        self.tracked = self.lost = np.zeros(0, np.intp)
        self.confirmed = self.unconfirmed = self.confirmed_and_lost = self.tracked
        self.boxes = np.zeros((0, 4))  # (T, 4)
        self.time, self.frame = 0.0, 0
        self._max_lost_frames = max_lost_frames
        self._confirm_in_first_frame = confirm_in_first_frame
        self._update_score_when_recovered = update_score_when_recovered
        self._end_at_limit = end_at_limit

    def start_frame(self, elapsed: float) -> Floats:
        """Advance `elapsed` frames; predict the motion (…, T) of confirmed and lost tracklets.

        Lost tracklets keep their size; unconfirmed tracklets are not predicted.
        """
        self.time += elapsed
        self.frame += 1
        if elapsed > 1:
            self._remove_expired()
        is_confirmed = self.pool.is_confirmed[self.tracked]
        self.confirmed, self.unconfirmed = self.tracked[is_confirmed], self.tracked[~is_confirmed]
        self.confirmed_and_lost = np.concatenate((self.confirmed, self.lost))
        if len(self.lost):
            self.pool.motion[(*self._filter.SIZE_VELOCITY, self.lost)] = 0
        return self.pool.predict(self.confirmed_and_lost, elapsed)

    def _remove_expired(self) -> None:
        """Remove tracklets that expired during skipped frames.

        In consecutive frames a tracklet is marked as removed once it exceeds `max_lost_frames` and
        can be recovered for one more frame; hence the limit of `max_lost_frames + 2`.
        """
        limit = self._max_lost_frames + (0 if self._end_at_limit else 2)
        recent = np.floor(self.time - self.pool.last) <= limit
        self.tracked = self.tracked[recent[self.tracked]]
        self.lost = self.lost[recent[self.lost]]

    def unmatched_confirmed(self, first: Matching) -> Indices:
        """Return the confirmed slots that are unmatched in `first`.

        `first` is a matching of `confirmed_and_lost`.
        """
        rows = first.unmatched_rows
        return self.confirmed[rows[rows < len(self.confirmed)]]

    def match_iou(
        self,
        slots: Indices,
        columns: Indices,
        candidates: CandidateDetections,
        max_distance: float,
        weights: npt.NDArray[np.floating[Any]] | None = None,
    ) -> Matching:
        """Match these slots with these columns of `candidates` by IoU distance.

        `weights` (n,) belong to all candidates. The result contains slots and candidate columns.
        """
        if not len(slots) or not len(columns):
            return Matching.empty(slots, columns)
        boxes = candidates.boxes.take(columns, axis=0)
        weights = None if weights is None else weights[columns]
        matching = match_boxes(self.pool.boxes(slots), boxes, max_distance, weights)
        return matching.reindex(slots, columns)

    def finish_frame(
        self,
        first: Matching,
        second: Matching,
        third: Matching,
        new_tracks: Indices,
        candidates: CandidateDetections,
    ) -> None:
        """Apply the three matchings of a frame: update, create, lose and remove tracklets.

        `first` matches rows of `confirmed_and_lost`; `second` (confirmed) and `third` (unconfirmed)
        match slots. Unmatched unconfirmed tracklets are removed. The candidate columns `new_tracks`
        start tracklets.
        """
        split = first.rows.searchsorted(len(self.confirmed))  # later rows are of lost tracklets
        recovered = self.confirmed_and_lost[first.rows[split:]]
        slots = self.confirmed_and_lost[first.rows[:split]], second.rows, third.rows, recovered
        columns = first.cols[:split], second.cols, third.cols, first.cols[split:]
        self._update_matched(
            np.concatenate(slots), np.concatenate(columns), candidates, len(recovered)
        )
        created = self._create(new_tracks, candidates)
        matched = self.tracked[self.pool.last[self.tracked] == self.time]
        self.tracked = np.concatenate((matched, created, recovered))
        self.lost = self._update_lost(second.unmatched_rows)
        self._remove_duplicates()
        self.pool.keep(self.tracked, self.lost)

    def _update_matched(
        self, slots: Indices, columns: Indices, candidates: CandidateDetections, recovered: int
    ) -> None:
        """Update slots with their matched detections; the last `recovered` of them were lost."""
        if not len(slots):
            return
        pool = self.pool
        pool.update(slots, self.time, candidates.measurements.take(columns, axis=1))
        if candidates.embeddings is not None:
            embedded = columns < len(candidates.embeddings)
            previous = pool.embeddings[slots[embedded]]
            new = candidates.embeddings[columns[embedded]]
            if len(new):
                pool.embeddings[slots[embedded]] = update_embedding(previous, new)
        scored = len(slots) if self._update_score_when_recovered else len(slots) - recovered
        pool.scores[slots[:scored]] = candidates.scores[columns[:scored]]
        pool.is_confirmed[slots] = True

    def _create(self, columns: Indices, candidates: CandidateDetections) -> Indices:
        """Create a tracklet from each of these candidate columns and return their slots."""
        if not len(columns):
            return columns
        embeddings = None if candidates.embeddings is None else candidates.embeddings[columns]
        measurements, scores = candidates.measurements[:, columns], candidates.scores[columns]
        created = self.pool.create(self.time, measurements, scores, embeddings)
        self.pool.is_confirmed[created] = self._confirm_in_first_frame and self.frame == 1
        return created

    def _update_lost(self, newly_lost: Indices) -> Indices:
        """Return the slots that are lost after this frame; mark those over the limit as removed.

        As in the published code, a tracklet marked as removed stays recoverable for one more frame.
        If it is recovered, it is dropped as soon as it is lost again. With `end_at_limit`,
        tracklets at the limit are dropped at once.
        """
        pool = self.pool
        lost = self.lost[pool.last[self.lost] < self.time]
        if self._end_at_limit:
            lost = np.concatenate((lost, newly_lost))
            return lost[self.time - pool.last[lost] < self._max_lost_frames]
        expired = lost[self.time - pool.last[lost] > self._max_lost_frames]
        lost = np.concatenate((lost, newly_lost))
        lost = lost[~pool.is_removed[lost]]
        pool.is_removed[expired] = True
        return lost

    def _remove_duplicates(self) -> None:
        """Of a tracked and a lost tracklet that overlap almost fully, keep the longer-lived one."""
        pool, tracked, lost = self.pool, self.tracked, self.lost
        self.boxes = pool.boxes(tracked)
        if not len(tracked) or not len(lost):
            return
        overlaps = iou(self.boxes, pool.boxes(lost), PIXEL_BORDER)
        rows, columns = np.nonzero(1 - overlaps < DUPLICATE_IOU_DISTANCE)
        if not len(rows):
            return
        age = pool.last - pool.first
        tracked_is_older = age[tracked[rows]] > age[lost[columns]]
        self.tracked = np.delete(tracked, rows[~tracked_is_older])
        self.lost = np.delete(lost, columns[tracked_is_older])
        self.boxes = np.delete(self.boxes, rows[~tracked_is_older], axis=0)

    def confirmed_tracks(self) -> tuple[Indices, Floats]:
        """Return the slots (T,) of confirmed tracklets and their boxes (T, 4)."""
        is_confirmed = self.pool.is_confirmed[self.tracked]
        return self.tracked[is_confirmed], self.boxes[is_confirmed]

    def filter_by_shape(self, slots: Indices, boxes: Floats, settings: ShapeSettings) -> Tracks:
        """Return the tracks of these slots and boxes whose shape `settings` accept."""
        tracks = Tracks(self.pool.ids[slots], boxes, self.pool.scores[slots])
        return tracks.filter_by_shape(settings)
