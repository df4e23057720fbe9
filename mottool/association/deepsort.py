"""DeepSORT: a matching cascade over galleries of embeddings, then IoU.

Wojke, Bewley & Paulus, "Simple Online and Realtime Tracking with a Deep Association Metric",
ICIP 2017, §2, as the published code does it.
"""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mottool.association.assignment import Matching, assign_capped
from mottool.association.gallery import Gallery
from mottool.association.lifecycle import CandidateDetections
from mottool.association.motion import HeightFilter
from mottool.association.registry import DeepSortFamilySettings, DeepSortSettings
from mottool.association.tracks import SequenceInfo, Tracklets, Tracks, unit_embeddings
from mottool.boxes import intersection, iou
from mottool.detections import Detections

__all__ = ["DeepSortFamilyTracker", "DeepSortTracker"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


class Appearances(Protocol):
    """The embeddings of tracklets, by the slot of each; `Gallery` documents the methods."""

    def begin(self, slots: Indices, embeddings: npt.NDArray[np.float32], capacity: int) -> None: ...

    def add(self, slots: Indices, embeddings: npt.NDArray[np.float32]) -> None: ...

    def distances(
        self, slots: Indices, rows: Indices, embeddings: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.floating[Any]]: ...


class DeepSortFamilyTracker:
    """What DeepSORT and StrongSORT share; `_slots` are the tracklets, oldest first."""

    def __init__(
        self,
        settings: DeepSortFamilySettings,
        gallery: Appearances,
        embedding_weight: float = 1.0,
    ) -> None:
        """Set up the tracker of one sequence; it counts in frames whatever their rate.

        The cost of a pair is `embedding_weight` × distance to the gallery + (1 -
        `embedding_weight`) × squared Mahalanobis distance of the motion.
        """
        self._settings = settings
        self._time = self._before = 0.0
        self._filter = HeightFilter()
        self._pool = Tracklets(self._filter)
        self._gallery = gallery
        self._embedding_weight = embedding_weight
        self._slots = np.zeros(0, np.intp)

    def update(self, detections: Detections, elapsed: float = 1.0) -> Tracks:
        """Track the next frame; return its tracks, oldest first, all with score 1."""
        self._before, self._time = self._time, self._time + elapsed
        pool = self._pool
        candidates, embeddings = self._candidates(detections)
        motion = self._predict(detections, elapsed)
        matched, cols, unmatched_cols = self._match(motion, candidates, embeddings)
        self._update_matched(self._slots[matched], cols, candidates, embeddings)
        self._remove_expired()
        self._create(unmatched_cols, candidates, embeddings)

        reported = self._slots[
            pool.is_confirmed[self._slots] & (pool.last[self._slots] >= self._before)
        ]
        pool.keep(self._slots)
        return Tracks(pool.ids[reported], pool.boxes(reported), pool.scores[reported])

    def _predict(self, detections: Detections, elapsed: float) -> Floats:
        """Predict the motion (5, 4, T) of the tracklets in the frame of these detections."""
        return self._pool.predict(self._slots, elapsed)

    def _candidates(
        self, detections: Detections
    ) -> tuple[CandidateDetections, npt.NDArray[np.float32]]:
        """Return candidates by descending score and their L2-normalised embeddings."""
        settings, boxes = self._settings, detections.boxes
        height = boxes[:, 3] - boxes[:, 1]
        keep = (detections.scores >= settings.min_confidence) & (boxes[:, 2] > boxes[:, 0])
        keep &= (height > 0) & (height >= settings.min_detection_height)
        rows = keep.nonzero()[0]
        rows = rows[np.argsort(detections.scores[rows].astype(np.float64))[::-1]]
        rows = rows[_uncovered(boxes[rows], settings.nms_max_overlap)]
        return CandidateDetections.select(detections, rows), unit_embeddings(detections, rows)

    def _match(
        self, motion: Floats, candidates: CandidateDetections, embeddings: npt.NDArray[np.float32]
    ) -> tuple[Indices, Indices, Indices]:
        """Match by embedding, then by IoU: rows of `_slots`, columns, and unmatched columns."""
        pool = self._pool
        confirmed = pool.is_confirmed[self._slots]
        last = pool.last[self._slots]
        waiting, cols = confirmed.nonzero()[0], np.arange(len(candidates.scores))
        costs = self._costs(waiting, motion, candidates, embeddings)
        first = self._match_embeddings(costs, last[waiting]).reindex(waiting, cols)
        # In the order that Python's sets give the published code: new identities depend on it.
        remaining = {*confirmed.nonzero()[0].tolist()} - {*first.rows.tolist()}
        recent = [row for row in remaining if last[row] == self._before]
        indices = np.concatenate(((~confirmed).nonzero()[0], np.array(recent, np.intp)))
        second = self._match_iou(indices, motion, first.unmatched_cols, candidates)
        rows = np.concatenate((first.rows, second.rows))
        return rows, np.concatenate((first.cols, second.cols)), second.unmatched_cols

    def _match_embeddings(self, costs: Floats, last: Floats) -> Matching:
        """Match tracklets, detected at the times `last` (T,), with detections by `costs` (T, n)."""
        return assign_capped(costs, self._settings.max_cosine_distance)

    def _costs(
        self,
        indices: Indices,
        motion: Floats,
        candidates: CandidateDetections,
        embeddings: npt.NDArray[np.float32],
    ) -> Floats:
        """Return costs (T, n), infinite outside the motion gate."""
        costs = np.full((len(indices), len(candidates.scores)), np.inf)
        if costs.size:
            rows, cols, motion_distances = self._filter.gate(
                motion.take(indices, axis=2), candidates.measurements
            )
            distances = self._gallery.distances(self._slots[indices], rows, embeddings[cols])
            weight = self._embedding_weight
            costs[rows, cols] = weight * distances + (1 - weight) * motion_distances
        return costs

    def _match_iou(
        self, indices: Indices, motion: Floats, cols: Indices, candidates: CandidateDetections
    ) -> Matching:
        if not len(indices) or not len(cols):
            return Matching.empty(indices, cols)
        expected = self._pool.filter.boxes(motion[0].take(indices, axis=1))
        distances = 1 - iou(expected, candidates.boxes.take(cols, axis=0))
        return assign_capped(distances, self._settings.max_iou_distance).reindex(indices, cols)

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
        noise = self._noise(candidates.scores[cols])
        pool.update(slots, self._time, candidates.measurements.take(cols, axis=1), noise)
        pool.hits[slots] += 1
        pool.is_confirmed[slots] |= pool.hits[slots] >= self._settings.n_init
        self._gallery.add(slots, embeddings[cols])

    def _noise(self, scores: npt.NDArray[np.floating[Any]]) -> Floats | float:
        """Return the factors (n,) of the noise of measurements with these scores (n,)."""
        return 1.0

    def _remove_expired(self) -> None:
        """Remove unmatched tentative tracklets, and confirmed ones unmatched for too long."""
        pool, slots = self._pool, self._slots
        age = self._time - pool.last[slots]
        max_lost_frames = np.where(pool.is_confirmed[slots], self._settings.max_age, 0)
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


class DeepSortTracker(DeepSortFamilyTracker):
    """Tracker of one sequence."""

    def __init__(self, settings: DeepSortSettings, sequence: SequenceInfo) -> None:
        """Set up the tracker of one sequence; DeepSORT counts in frames whatever their rate."""
        super().__init__(settings, Gallery(settings.nn_budget))

    def _match_embeddings(self, costs: Floats, last: Floats) -> Matching:
        """Match as in §2.4: the most recently detected tracklets first."""
        unmatched_cols = np.arange(costs.shape[1])
        parts = [Matching.empty(np.arange(0), unmatched_cols)]
        for level in sorted({*last.tolist()}, reverse=True):
            if not len(unmatched_cols) or self._time - level > self._settings.max_age:
                break
            rows = (last == level).nonzero()[0]
            level_costs = costs.take(rows, axis=0).take(unmatched_cols, axis=1)
            matching = assign_capped(level_costs, self._settings.max_cosine_distance)
            parts.append(matching.reindex(rows, unmatched_cols))
            unmatched_cols = parts[-1].unmatched_cols
        rows, cols, unmatched, _ = map(np.concatenate, zip(*parts, strict=True))
        return Matching(rows, cols, unmatched, unmatched_cols)


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
