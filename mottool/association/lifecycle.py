"""The life of a tracklet: fresh, confirmed, lost, found again, buried; and who is shown.

What the trackers that descend from JDE's published code have in common (JDE, FairMOT, CSTrack,
OUTrack, ByteTrack), whatever they match by. Lists keep that code's order, because new identities
and the rows of a result follow it.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mottool.association.assignment import Matching, assign, pairs_within
from mottool.association.motion import VELOCITY, HeightFilter
from mottool.association.registry import LifeCycleSettings
from mottool.association.tracks import Tracklets, Tracks, blend
from mottool.boxes import iou
from mottool.detections import Detections

__all__ = ["CandidateDetections", "LifeCycle", "match_overlaps"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

DUPLICATE = 0.15  # IoU distance below which two tracklets are taken for one
PIXEL = 1  # IoU counts pixels between integer corners inclusively


class CandidateDetections(NamedTuple):
    """The n detections of a frame that are looked at."""

    boxes: Floats  # (n, 4) x1 y1 x2 y2
    measured: Floats  # (4, n) as the motion filter sees them
    scores: npt.NDArray[np.floating[Any]]  # (n,)
    embeddings: npt.NDArray[np.float32] | None = None  # (n, D) of length one

    @classmethod
    def among(
        cls,
        detections: Detections,
        rows: Indices,
        embeddings: npt.NDArray[np.float32] | None = None,
    ) -> "CandidateDetections":
        """These `rows` of the detections, with their own embeddings, if any are looked at."""
        boxes = detections.boxes.take(rows, axis=0)
        measured = HeightFilter.measured(boxes)
        return cls(boxes.astype(np.float64), measured, detections.scores[rows], embeddings)


def match_overlaps(
    tracklets: Floats,
    detections: Floats,
    limit: float,
    weights: npt.NDArray[np.floating[Any]] | None = None,
) -> Matching:
    """Match boxes (T, 4) with boxes (n, 4) where 1 - IoU is at most `limit`.

    `weights` (n,) are factors of the detections' IoU.
    """
    if not len(tracklets) or not len(detections):
        return Matching.nothing(np.arange(len(tracklets)), np.arange(len(detections)))
    overlaps = iou(tracklets, detections, PIXEL)
    if weights is not None:
        overlaps *= weights
    distances = np.subtract(1, overlaps, out=overlaps)
    return assign(*pairs_within(distances, limit), distances.shape, limit)


class LifeCycle:
    """The tracklets of one sequence in two lists of slots of `pool`, `tracked` and `lost`.

    A frame goes `begin`, matching, `end`. Between the two, `active` are the tracked ones that are
    confirmed, `fresh` those with a single detection, and `known` the active and then the lost.
    """

    def __init__(self, patience: float, confirm_first: bool, rescore: bool = False) -> None:
        """A tracklet is lost for at most `patience` frames.

        With `confirm_first` those that begin in the first frame are confirmed at once; with
        `rescore` a tracklet that is found again takes the score of its detection.
        """
        self.pool = Tracklets(HeightFilter())
        self.tracked = self.lost = np.zeros(0, np.intp)
        self.active = self.fresh = self.known = self.tracked
        self.boxes = np.zeros((0, 4))  # (T, 4) where the tracked ones are after `end`
        self.now, self.frame = 0.0, 0
        self._patience, self._confirm_first, self._rescore = patience, confirm_first, rescore

    def begin(self, elapsed: float) -> Floats:
        """Go on to the next frame: the expected motion (5, 4, T) of all that are known."""
        self.now += elapsed
        self.frame += 1
        if elapsed > 1:
            self._forget()
        confirmed = self.pool.confirmed[self.tracked]
        self.active, self.fresh = self.tracked[confirmed], self.tracked[~confirmed]
        self.known = np.concatenate((self.active, self.lost))
        if len(self.lost):  # they keep their height; what is fresh stays where it was seen
            self.pool.motion[VELOCITY, HeightFilter.HEIGHT, self.lost] = 0
        return self.pool.predict(self.known, elapsed)

    def _forget(self) -> None:
        """Drop those that the frames which a pause left out would have buried."""
        # In the first frame over the patience a tracklet is buried, in one more it can come back.
        recent = np.floor(self.now - self.pool.last) <= self._patience + 2
        self.tracked = self.tracked[recent[self.tracked]]
        self.lost = self.lost[recent[self.lost]]

    def unseen(self, first: Matching) -> Indices:
        """The active ones that a matching of all `known` left alone."""
        alone = first.rows_alone
        return self.active[alone[alone < len(self.active)]]

    def by_overlap(
        self,
        slots: Indices,
        cols: Indices,
        found: CandidateDetections,
        limit: float,
        weights: npt.NDArray[np.floating[Any]] | None = None,
    ) -> Matching:
        """`match_overlaps` of these tracklets with these detections; `weights` (n,) are of all.

        The result holds slots and columns of `found`.
        """
        if not len(slots) or not len(cols):
            return Matching.nothing(slots, cols)
        boxes = found.boxes.take(cols, axis=0)
        own = None if weights is None else weights[cols]
        return match_overlaps(self.pool.boxes(slots), boxes, limit, own).named(slots, cols)

    def end(
        self,
        first: Matching,
        second: Matching,
        third: Matching,
        newborn: Indices,
        found: CandidateDetections,
    ) -> None:
        """Close the frame after the matchings of the known, the unseen and the fresh.

        `first` has rows of `known`, the others have slots. The fresh that found nothing are gone,
        and the columns `newborn` begin tracklets.
        """
        again = first.rows.searchsorted(len(self.active))  # matches from here on are of lost ones
        refound = self.known[first.rows[again:]]
        seen = self.known[first.rows[:again]], second.rows, third.rows
        cols = first.cols[:again], second.cols, third.cols, first.cols[again:]
        self._see(np.concatenate((*seen, refound)), np.concatenate(cols), found, len(refound))
        born = self._born(newborn, found)
        still = self.tracked[self.pool.last[self.tracked] == self.now]
        self.tracked = np.concatenate((still, born, refound))
        self.lost = self._still_lost(second.rows_alone)
        self._part_duplicates()
        self.pool.keep(self.tracked, self.lost)

    def _see(self, slots: Indices, cols: Indices, found: CandidateDetections, refound: int) -> None:
        """Update tracklets by their detections; the last `refound` of them were lost."""
        if not len(slots):
            return
        pool = self.pool
        pool.update(slots, self.now, found.measured.take(cols, axis=1))
        if found.embeddings is not None:
            remembered = pool.embeddings.take(slots, axis=0)
            pool.embeddings[slots] = blend(remembered, found.embeddings.take(cols, axis=0))
        scored = len(slots) if self._rescore else len(slots) - refound
        pool.scores[slots[:scored]] = found.scores[cols[:scored]]
        pool.confirmed[slots] = True

    def _born(self, cols: Indices, found: CandidateDetections) -> Indices:
        if not len(cols):
            return cols
        embeddings = None if found.embeddings is None else found.embeddings[cols]
        born = self.pool.born(self.now, found.measured[:, cols], found.scores[cols], embeddings)
        self.pool.confirmed[born] = self._confirm_first and self.frame == 1
        return born

    def _still_lost(self, newly: Indices) -> Indices:
        """Who is lost after this frame; who was lost too long is buried.

        As in the published code, a buried tracklet stays one more frame, in which it can come
        back; once back, it is gone as soon as it is lost again.
        """
        pool = self.pool
        lost = self.lost[pool.last[self.lost] < self.now]
        overdue = lost[self.now - pool.last[lost] > self._patience]
        lost = np.concatenate((lost, newly))
        lost = lost[~pool.buried[lost]]
        pool.buried[overdue] = True
        return lost

    def _part_duplicates(self) -> None:
        """Of a tracked and a lost tracklet in one place, keep the one that lived longer."""
        pool, tracked, lost = self.pool, self.tracked, self.lost
        self.boxes = pool.boxes(tracked)
        if not len(tracked) or not len(lost):
            return
        overlaps = iou(self.boxes, pool.boxes(lost), PIXEL)
        rows, cols = np.nonzero(1 - overlaps < DUPLICATE)
        if not len(rows):
            return
        life = pool.last - pool.first
        lost_goes = life[tracked[rows]] > life[lost[cols]]
        self.tracked = np.delete(tracked, rows[~lost_goes])
        self.lost = np.delete(lost, cols[lost_goes])
        self.boxes = np.delete(self.boxes, rows[~lost_goes], axis=0)

    def shown(self) -> tuple[Indices, Floats]:
        """The tracked ones that are confirmed, and their boxes."""
        confirmed = self.pool.confirmed[self.tracked]
        return self.tracked[confirmed], self.boxes[confirmed]

    def shaped(self, slots: Indices, boxes: Floats, shape: LifeCycleSettings) -> Tracks:
        """The tracks of these tracklets and their boxes that have a person's size and shape."""
        corners = boxes.T
        width, height = corners[2:] - corners[:2]
        fit = (width * height > shape.min_box_area) & (width <= shape.max_w_over_h * height)
        slots = slots[fit]
        return Tracks(self.pool.ids[slots], boxes[fit], self.pool.scores[slots])
