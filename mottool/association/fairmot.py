"""FairMOT's association: by embedding and motion, then by overlap, then the tracklets that are new.

Zhang et al., "FairMOT: On the Fairness of Detection and Re-Identification in Multiple Object
Tracking", IJCV 2021, §4.4, after the online association of JDE, as the published code does it.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mottool.association.assignment import Matching, assign, pairs_within
from mottool.association.motion import VELOCITY, HeightFilter
from mottool.association.settings import FairMOTSettings
from mottool.association.tracks import EMBED, Tracklets, Tracks, blend, unit
from mottool.boxes import iou
from mottool.detections import Detections
from mottool.errors import CacheError

__all__ = ["FairMOT"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

APPEARANCE = 0.98  # weight of the embeddings' distance; the rest is the motion's
DUPLICATE = 0.15  # IoU distance below which two tracklets are taken for one
PIXEL = 1  # IoU counts pixels between integer corners inclusively


class Found(NamedTuple):
    """The n detections of a frame that are looked at."""

    boxes: Floats  # (n, 4) x1 y1 x2 y2
    measured: Floats  # (4, n) as the motion filter sees them
    scores: npt.NDArray[np.floating[Any]]  # (n,)
    embeddings: npt.NDArray[np.float32]  # (n, D) of length one


class FairMOT:
    """Tracks one sequence. Its tracklets are two lists of slots, `tracked` and `lost`."""

    needs_embeddings = True

    def __init__(self, settings: FairMOTSettings, frame_rate: float) -> None:
        """Begin a sequence of `frame_rate` frames a second, unless the settings say another."""
        self.settings = settings
        self._patience = int((settings.frame_rate or frame_rate) / 30.0 * settings.track_buffer)
        self._filter = HeightFilter()
        self._frame = 0
        self._pool = Tracklets(self._filter)
        self._tracked = self._lost = np.zeros(0, np.intp)

    def step(self, detections: Detections) -> Tracks:
        """The tracks of the next frame."""
        self._frame += 1
        found = self._found(detections)
        confirmed = self._pool.confirmed[self._tracked]
        active, fresh = self._tracked[confirmed], self._tracked[~confirmed]

        # 1. All that are known, lost ones too, by embedding within the gate of their motion.
        known = np.concatenate((active, self._lost))
        first = self._by_embedding(known, found)
        # 2. Those tracked until now that found nothing, by overlap.
        unseen = active[first.rows_alone[first.rows_alone < len(active)]]
        second = self._by_overlap(unseen, first.cols_alone, found, self.settings.second)
        # 3. Those with a single detection, by overlap; without a match they are dropped.
        third = self._by_overlap(fresh, second.cols_alone, found, self.settings.unconfirmed)
        # 4. A detection that is still alone begins a tracklet.
        again = first.rows.searchsorted(len(active))  # matches from here on are of lost ones
        refound = known[first.rows[again:]]
        slots = np.concatenate((known[first.rows[:again]], second.rows, third.rows, refound))
        cols = np.concatenate((first.cols[:again], second.cols, third.cols, first.cols[again:]))
        self._see(slots, cols, found, len(slots) - len(refound))
        born = self._begin(third.cols_alone, found)

        still = self._tracked[self._pool.last[self._tracked] == self._frame]
        self._tracked = np.concatenate((still, born, refound))
        self._lost = self._still_lost(second.rows_alone)
        boxes = self._part_duplicates(self._pool.boxes(self._tracked))
        self._pool.keep(self._tracked, self._lost)
        return self._shown(boxes)

    def _found(self, detections: Detections) -> Found:
        boxes, scores, embeddings = detections.boxes, detections.scores, detections.embeddings
        if embeddings is None:
            if len(detections):
                raise CacheError("the detections have no embeddings to match", EMBED)
            embeddings = np.zeros((0, 0), np.float32)
        good = scores > self.settings.conf_thres
        good &= (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        rows = good.nonzero()[0]
        boxes, embeddings = boxes.take(rows, axis=0), embeddings.take(rows, axis=0)
        measured = self._filter.measured(boxes)
        return Found(boxes.astype(np.float64), measured, scores[rows], unit(embeddings))

    def _by_embedding(self, known: Indices, found: Found) -> Matching:
        pool = self._pool
        pool.motion[VELOCITY, self._filter.HEIGHT, self._lost] = 0  # what is lost keeps its height
        motion = pool.predict(known)
        if not len(known) or not len(found.scores):
            return Matching.nothing(np.arange(len(known)), np.arange(len(found.scores)))
        rows, cols, distances = self._filter.gate(motion, found.measured)
        alike = np.vecdot(
            pool.embeddings.take(known[rows], axis=0), found.embeddings.take(cols, axis=0)
        )  # (K,)
        costs = APPEARANCE * np.maximum(0, 1 - alike) + (1 - APPEARANCE) * distances
        shape = len(known), len(found.scores)
        return assign(rows, cols, costs, shape, self.settings.first_assoc)

    def _by_overlap(self, slots: Indices, cols: Indices, found: Found, limit: float) -> Matching:
        """Match tracklets with detections; the result holds slots and columns of `found`."""
        if not len(slots) or not len(cols):
            return Matching.nothing(slots, cols)
        distances = 1 - iou(self._pool.boxes(slots), found.boxes[cols], PIXEL)
        matching = assign(*pairs_within(distances, limit), distances.shape, limit)
        return matching.named(slots, cols)

    def _see(self, slots: Indices, cols: Indices, found: Found, scored: int) -> None:
        """Update tracklets; only the first `scored` take the score, those refound do not."""
        if not len(slots):
            return
        pool = self._pool
        pool.update(slots, self._frame, found.measured.take(cols, axis=1))
        remembered, seen = pool.embeddings.take(slots, axis=0), found.embeddings.take(cols, axis=0)
        pool.embeddings[slots] = blend(remembered, seen)
        pool.scores[slots[:scored]] = found.scores[cols[:scored]]
        pool.confirmed[slots] = True

    def _begin(self, cols: Indices, found: Found) -> Indices:
        if not len(cols):
            return cols
        measured, scores = found.measured[:, cols], found.scores[cols]
        born = self._pool.born(self._frame, measured, scores, found.embeddings[cols])
        self._pool.confirmed[born] = self._frame == 1
        return born

    def _still_lost(self, newly: Indices) -> Indices:
        """Who is lost after this frame; who was lost too long is buried.

        As in the published code, a buried tracklet stays one more frame, in which it can come
        back; once back, it is gone as soon as it is lost again.
        """
        pool = self._pool
        lost = self._lost[pool.last[self._lost] < self._frame]
        overdue = lost[self._frame - pool.last[lost] > self._patience]
        lost = np.concatenate((lost, newly))
        lost = lost[~pool.buried[lost]]
        pool.buried[overdue] = True
        return lost

    def _part_duplicates(self, boxes: Floats) -> Floats:
        """Of a tracked and a lost tracklet in one place, keep the one that lived longer.

        `boxes` are those of all tracked ones; those of the ones that stay are returned.
        """
        pool, tracked, lost = self._pool, self._tracked, self._lost
        if not len(tracked) or not len(lost):
            return boxes
        overlaps = iou(boxes, pool.boxes(lost), PIXEL)
        rows, cols = np.nonzero(1 - overlaps < DUPLICATE)
        if not len(rows):
            return boxes
        life = pool.last - pool.first
        lost_goes = life[tracked[rows]] > life[lost[cols]]
        self._tracked = np.delete(tracked, rows[~lost_goes])
        self._lost = np.delete(lost, cols[lost_goes])
        return np.delete(boxes, rows[~lost_goes], axis=0)

    def _shown(self, boxes: Floats) -> Tracks:
        """The confirmed tracks of a person's size and shape, out of the tracked ones' `boxes`."""
        pool, settings, tracked = self._pool, self.settings, self._tracked
        width, height = (boxes[:, 2:] - boxes[:, :2]).T
        fit = pool.confirmed[tracked]
        fit &= width * height > settings.min_box_area
        fit &= width <= settings.max_w_over_h * height
        slots = tracked[fit]
        return Tracks(pool.ids[slots], boxes[fit], pool.scores[slots])
