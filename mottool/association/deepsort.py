"""DeepSORT: a matching cascade over galleries of embeddings, then IoU.

Wojke, Bewley & Paulus, "Simple Online and Realtime Tracking with a Deep Association Metric",
ICIP 2017, §2, as the published code does it.
"""

import numpy as np
import numpy.typing as npt

from mottool.association.assignment import Matching, assign_capped
from mottool.association.gallery import Gallery
from mottool.association.lifecycle import CandidateDetections
from mottool.association.motion import HeightFilter
from mottool.association.registry import DeepSortSettings
from mottool.association.tracks import (
    EMBEDDINGS_FIX,
    SequenceInfo,
    Tracklets,
    Tracks,
    l2_normalise,
)
from mottool.boxes import intersection, iou
from mottool.detections import Detections
from mottool.errors import CacheError

__all__ = ["DeepSortTracker"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


class DeepSortTracker:
    """Tracker of one sequence; `_slots` are its tracklets, oldest first."""

    def __init__(self, settings: DeepSortSettings, sequence: SequenceInfo) -> None:
        """Set up the tracker of one sequence; DeepSORT counts in frames whatever their rate."""
        self.settings = settings
        self._time = self._before = 0.0
        self._pool = Tracklets(HeightFilter())
        self._gallery = Gallery(settings.nn_budget)
        self._slots = np.zeros(0, np.intp)

    def update(self, detections: Detections, elapsed: float = 1.0) -> Tracks:
        """Track the next frame; return its tracks, oldest first, all with score 1."""
        self._before, self._time = self._time, self._time + elapsed
        pool = self._pool
        candidates, embeddings = self._candidates(detections)
        motion = pool.predict(self._slots, elapsed)
        matched, cols, unmatched_cols = self._match(motion, candidates, embeddings)
        self._update_matched(self._slots[matched], cols, candidates, embeddings)
        self._remove_expired()
        self._create(unmatched_cols, candidates, embeddings)

        reported = self._slots[
            pool.is_confirmed[self._slots] & (pool.last[self._slots] >= self._before)
        ]
        pool.keep(self._slots)
        return Tracks(pool.ids[reported], pool.boxes(reported), pool.scores[reported])

    def _candidates(
        self, detections: Detections
    ) -> tuple[CandidateDetections, npt.NDArray[np.float32]]:
        """Return candidates by descending score and their L2-normalised embeddings."""
        settings, boxes = self.settings, detections.boxes
        embeddings = detections.embeddings
        if embeddings is None:
            if len(detections):
                raise CacheError("the detections have no embeddings to match", EMBEDDINGS_FIX)
            embeddings = np.zeros((0, 0), np.float32)
        height = boxes[:, 3] - boxes[:, 1]
        keep = (detections.scores >= settings.min_confidence) & (boxes[:, 2] > boxes[:, 0])
        keep &= (height > 0) & (height >= settings.min_detection_height)
        rows = keep.nonzero()[0]
        rows = rows[np.argsort(detections.scores[rows].astype(np.float64))[::-1]]
        rows = rows[_uncovered(boxes[rows], settings.nms_max_overlap)]
        return CandidateDetections.select(detections, rows), l2_normalise(
            embeddings.take(rows, axis=0)
        )

    def _match(
        self, motion: Floats, candidates: CandidateDetections, embeddings: npt.NDArray[np.float32]
    ) -> tuple[Indices, Indices, Indices]:
        """Match as in §2.4: rows of `_slots`, their columns, and the unmatched columns."""
        pool, settings = self._pool, self.settings
        confirmed = pool.is_confirmed[self._slots]
        last = pool.last[self._slots]
        unmatched_cols = np.arange(len(candidates.scores))
        rows: list[Indices] = [unmatched_cols[:0]]
        cols: list[Indices] = [unmatched_cols[:0]]

        waiting = (confirmed & (self._time - last <= settings.max_age)).nonzero()[0]
        costs = self._costs(waiting, motion, candidates, embeddings)
        seen = last[waiting]
        for level in sorted({*seen.tolist()}, reverse=True):  # most recently detected first
            if not len(unmatched_cols):
                break
            indices = (seen == level).nonzero()[0]
            level_costs = costs.take(indices, axis=0).take(unmatched_cols, axis=1)
            matching = assign_capped(level_costs, settings.max_cosine_distance)
            rows.append(waiting[indices[matching.rows]])
            cols.append(unmatched_cols[matching.cols])
            unmatched_cols = unmatched_cols[matching.unmatched_cols]

        # In the order that Python's sets give the published code: new identities depend on it.
        remaining = {*confirmed.nonzero()[0].tolist()} - {*np.concatenate(rows).tolist()}
        recent = [row for row in remaining if last[row] == self._before]
        indices = np.concatenate(((~confirmed).nonzero()[0], np.array(recent, np.intp)))
        matching = self._match_iou(indices, motion, unmatched_cols, candidates)
        rows.append(matching.rows)
        cols.append(matching.cols)
        return np.concatenate(rows), np.concatenate(cols), matching.unmatched_cols

    def _costs(
        self,
        indices: Indices,
        motion: Floats,
        candidates: CandidateDetections,
        embeddings: npt.NDArray[np.float32],
    ) -> Floats:
        """Return distances to the galleries, (T, n), infinite outside the motion gate."""
        costs = np.full((len(indices), len(candidates.scores)), np.inf)
        if costs.size:
            rows, cols, _ = self._pool.filter.gate(
                motion.take(indices, axis=2), candidates.measurements
            )
            costs[rows, cols] = self._gallery.distances(
                self._slots[indices], rows, embeddings[cols]
            )
        return costs

    def _match_iou(
        self, indices: Indices, motion: Floats, cols: Indices, candidates: CandidateDetections
    ) -> Matching:
        if not len(indices) or not len(cols):
            return Matching.empty(indices, cols)
        expected = self._pool.filter.boxes(motion[0].take(indices, axis=1))
        distances = 1 - iou(expected, candidates.boxes.take(cols, axis=0))
        return assign_capped(distances, self.settings.max_iou_distance).reindex(indices, cols)

    def _update_matched(
        self,
        slots: Indices,
        cols: Indices,
        candidates: CandidateDetections,
        embeddings: npt.NDArray[np.float32],
    ) -> None:
        if not len(slots):
            return
        pool = self._pool
        pool.update(slots, self._time, candidates.measurements.take(cols, axis=1))
        pool.hits[slots] += 1
        pool.is_confirmed[slots] |= pool.hits[slots] >= self.settings.n_init
        self._gallery.add(slots, embeddings[cols])

    def _remove_expired(self) -> None:
        """Remove unmatched tentative tracklets, and confirmed ones unmatched for too long."""
        pool, slots = self._pool, self._slots
        age = self._time - pool.last[slots]
        max_lost_frames = np.where(pool.is_confirmed[slots], self.settings.max_age, 0)
        self._slots = slots[age <= max_lost_frames]

    def _create(
        self, cols: Indices, candidates: CandidateDetections, embeddings: npt.NDArray[np.float32]
    ) -> None:
        if not len(cols):
            return
        # Slots of tracklets that were just removed may be reused.
        self._pool.keep(self._slots)
        created = self._pool.create(
            self._time, candidates.measurements[:, cols], np.ones(len(cols))
        )
        self._pool.hits[created] = 1
        self._gallery.begin(created, embeddings[cols], self._pool.capacity)
        self._slots = np.concatenate((self._slots, created))


def _uncovered(boxes: npt.NDArray[np.float32], most: float) -> Indices:
    """Non-maximum suppression of boxes (n, 4), the best first: which of them stay.

    A box goes if a better one covers more than `most` of it, pixels counted inclusively.
    """
    if most >= 1 or not len(boxes):
        return np.arange(len(boxes))
    boxes = boxes.astype(np.float64)
    width, height = (boxes[:, 2:] - boxes[:, :2] + 1).T
    covered = intersection(boxes, boxes, 1) / (width * height) > most  # (by, n)
    stays = np.ones(len(boxes), np.bool_)
    for better in range(len(boxes)):
        if stays[better]:
            stays[better + 1 :] &= ~covered[better, better + 1 :]
    return stays.nonzero()[0]
