"""DeepSORT: a matching cascade over galleries of embeddings, then overlap.

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
from mottool.association.tracks import EMBED, SequenceInfo, Tracklets, Tracks, unit
from mottool.boxes import intersection, iou
from mottool.detections import Detections
from mottool.errors import CacheError

__all__ = ["DeepSortTracker"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


class DeepSortTracker:
    """Tracks one sequence; `slots` are its tracklets, oldest first."""

    needs: tuple[str, ...] = ("embeddings",)
    uses: tuple[str, ...] = ()

    def __init__(self, settings: DeepSortSettings, video: SequenceInfo) -> None:
        """Begin a sequence; DeepSORT counts in frames whatever their rate."""
        self.settings = settings
        self._now = self._before = 0.0
        self._pool = Tracklets(HeightFilter())
        self._gallery = Gallery(settings.nn_budget)
        self._slots = np.zeros(0, np.intp)

    def step(self, detections: Detections, elapsed: float = 1.0) -> Tracks:
        """The tracks of the next frame, oldest first; every score is 1."""
        self._before, self._now = self._now, self._now + elapsed
        pool = self._pool
        found, looks = self._found(detections)
        motion = pool.predict(self._slots, elapsed)
        matched, cols, alone = self._match(motion, found, looks)
        self._see(self._slots[matched], cols, found, looks)
        self._bury()
        self._begin(alone, found, looks)

        shown = self._slots[pool.confirmed[self._slots] & (pool.last[self._slots] >= self._before)]
        pool.keep(self._slots)
        return Tracks(pool.ids[shown], pool.boxes(shown), pool.scores[shown])

    def _found(self, detections: Detections) -> tuple[CandidateDetections, npt.NDArray[np.float32]]:
        """The detections that are looked at, surest first, and their unit embeddings."""
        settings, boxes = self.settings, detections.boxes
        embeddings = detections.embeddings
        if embeddings is None:
            if len(detections):
                raise CacheError("the detections have no embeddings to match", EMBED)
            embeddings = np.zeros((0, 0), np.float32)
        height = boxes[:, 3] - boxes[:, 1]
        good = (detections.scores >= settings.min_confidence) & (boxes[:, 2] > boxes[:, 0])
        good &= (height > 0) & (height >= settings.min_detection_height)
        rows = good.nonzero()[0]
        rows = rows[np.argsort(detections.scores[rows].astype(np.float64))[::-1]]
        rows = rows[_uncovered(boxes[rows], settings.nms_max_overlap)]
        return CandidateDetections.among(detections, rows), unit(embeddings.take(rows, axis=0))

    def _match(
        self, motion: Floats, found: CandidateDetections, looks: npt.NDArray[np.float32]
    ) -> tuple[Indices, Indices, Indices]:
        """§2.4: places in `slots` with their detections, and the detections that are alone."""
        pool, settings = self._pool, self.settings
        confirmed = pool.confirmed[self._slots]
        last = pool.last[self._slots]
        alone = np.arange(len(found.scores))
        rows: list[Indices] = [alone[:0]]
        cols: list[Indices] = [alone[:0]]

        waiting = (confirmed & (self._now - last <= settings.max_age)).nonzero()[0]
        costs = self._costs(waiting, motion, found, looks)
        seen = last[waiting]
        for level in sorted({*seen.tolist()}, reverse=True):  # who was seen last goes first
            if not len(alone):
                break
            places = (seen == level).nonzero()[0]
            own = costs.take(places, axis=0).take(alone, axis=1)
            matching = assign_capped(own, settings.max_cosine_distance)
            rows.append(waiting[places[matching.rows]])
            cols.append(alone[matching.cols])
            alone = alone[matching.cols_alone]

        # In the order that Python's sets give the published code: new identities depend on it.
        unmatched = {*confirmed.nonzero()[0].tolist()} - {*np.concatenate(rows).tolist()}
        recent = [place for place in unmatched if last[place] == self._before]
        places = np.concatenate(((~confirmed).nonzero()[0], np.array(recent, np.intp)))
        matching = self._by_overlap(places, motion, alone, found)
        rows.append(matching.rows)
        cols.append(matching.cols)
        return np.concatenate(rows), np.concatenate(cols), matching.cols_alone

    def _costs(
        self,
        places: Indices,
        motion: Floats,
        found: CandidateDetections,
        looks: npt.NDArray[np.float32],
    ) -> Floats:
        """Distances from the galleries, (T, n), infinite where the motion's gate is shut."""
        costs = np.full((len(places), len(found.scores)), np.inf)
        if costs.size:
            rows, cols, _ = self._pool.filter.gate(motion.take(places, axis=2), found.measured)
            costs[rows, cols] = self._gallery.distances(self._slots[places], rows, looks[cols])
        return costs

    def _by_overlap(
        self, places: Indices, motion: Floats, cols: Indices, found: CandidateDetections
    ) -> Matching:
        if not len(places) or not len(cols):
            return Matching.nothing(places, cols)
        expected = self._pool.filter.boxes(motion[0].take(places, axis=1))
        distances = 1 - iou(expected, found.boxes.take(cols, axis=0))
        return assign_capped(distances, self.settings.max_iou_distance).named(places, cols)

    def _see(
        self,
        slots: Indices,
        cols: Indices,
        found: CandidateDetections,
        looks: npt.NDArray[np.float32],
    ) -> None:
        if not len(slots):
            return
        pool = self._pool
        pool.update(slots, self._now, found.measured.take(cols, axis=1))
        pool.hits[slots] += 1
        pool.confirmed[slots] |= pool.hits[slots] >= self.settings.n_init
        self._gallery.add(slots, looks[cols])

    def _bury(self) -> None:
        """Drop the tentative that were missed and the confirmed that were missed too long."""
        pool, slots = self._pool, self._slots
        unseen = self._now - pool.last[slots]
        patience = np.where(pool.confirmed[slots], self.settings.max_age, 0)
        self._slots = slots[unseen <= patience]

    def _begin(
        self, cols: Indices, found: CandidateDetections, looks: npt.NDArray[np.float32]
    ) -> None:
        if not len(cols):
            return
        # Those that were just buried have no further say: their slots may be taken.
        self._pool.keep(self._slots)
        born = self._pool.born(self._now, found.measured[:, cols], np.ones(len(cols)))
        self._pool.hits[born] = 1
        self._gallery.begin(born, looks[cols], self._pool.capacity)
        self._slots = np.concatenate((self._slots, born))


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
