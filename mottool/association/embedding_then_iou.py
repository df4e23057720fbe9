"""The cascade of matchings of JDE's published code, which FairMOT, CSTrack and OUTrack keep.

First all that are known, lost ones too, by embedding within the gate of their motion; then those
tracked until now that found nothing, by overlap; then those with a single detection, by overlap.
A detection that is still alone begins a tracklet.

Wang, Zheng, Liu, Li & Wang, "Towards Real-Time Multi-Object Tracking", ECCV 2020 (its code);
Zhang, Wang, Wang, Zeng & Liu, "FairMOT", IJCV 2021, §4.4.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mottool.association.assignment import Matching, assign
from mottool.association.lifecycle import CandidateDetections, LifeCycle
from mottool.association.registry import EmbeddingThenIoUSettings
from mottool.association.tracks import EMBED, Tracks, unit
from mottool.detections import Detections
from mottool.errors import CacheError

__all__ = ["EmbeddingThenIoUTracker", "cosine", "euclidean"]

Floats = npt.NDArray[np.float64]
Embeddings = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]


def cosine(a: Embeddings, b: Embeddings) -> Embeddings:
    """The cosine distances (K,) of K pairs of unit vectors, (K, D) each."""
    distances: Embeddings = np.maximum(0, 1 - np.vecdot(a, b))
    return distances


def euclidean(a: Embeddings, b: Embeddings) -> Embeddings:
    """The Euclidean distances (K,) of K pairs of vectors, (K, D) each."""
    apart = a - b
    distances: Embeddings = np.sqrt(np.vecdot(apart, apart))
    return distances


class EmbeddingThenIoUTracker:
    """The three matchings; a tracker is this with its own thresholds, distance and habits."""

    needs: tuple[str, ...] = ("embeddings",)
    uses: tuple[str, ...] = ()

    def __init__(
        self,
        settings: EmbeddingThenIoUSettings,
        *,
        limit: float,
        distance: Callable[[Embeddings, Embeddings], Embeddings],
        patience: float,
        confirm_first: bool,
        appearance: float = 0.98,
    ) -> None:
        """Match by embedding at a cost of at most `limit`.

        The cost is `appearance` times the `distance` of the embeddings, and the rest of 1 times
        the squared Mahalanobis distance of the motion. `patience` and `confirm_first` are those
        of `LifeCycle`.
        """
        self.settings = settings
        self.life = LifeCycle(patience, confirm_first)
        self._limit, self._distance, self._appearance = limit, distance, appearance

    def step(self, detections: Detections, elapsed: float = 1.0) -> Tracks:
        """The tracks of the next frame."""
        life, settings = self.life, self.settings
        found = self.found(detections)
        motion = life.begin(elapsed)
        first = self.by_embedding(life.known, motion, found)
        second = life.by_overlap(life.unseen(first), first.cols_alone, found, settings.second)
        third = life.by_overlap(life.fresh, second.cols_alone, found, settings.unconfirmed)
        life.end(first, second, third, self.newborn(third.cols_alone, found), found)
        return self.shaped(*life.shown())

    def found(self, detections: Detections) -> CandidateDetections:
        """The detections that are looked at."""
        embeddings = detections.embeddings
        if embeddings is None:
            if len(detections):
                raise CacheError("the detections have no embeddings to match", EMBED)
            embeddings = np.zeros((0, 0), np.float32)
        rows = self.good(detections).nonzero()[0]
        return CandidateDetections.among(detections, rows, unit(embeddings.take(rows, axis=0)))

    def good(self, detections: Detections) -> npt.NDArray[np.bool_]:
        """Which detections (n,) have an area and a score to be looked at."""
        boxes = detections.boxes
        good: npt.NDArray[np.bool_] = detections.scores > self.settings.conf_thres
        good &= (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        return good

    def shaped(self, slots: Indices, boxes: Floats) -> Tracks:
        """The tracks of these tracklets and their boxes that have a person's size and shape."""
        return self.life.shaped(slots, boxes, self.settings)

    def newborn(self, cols: Indices, found: CandidateDetections) -> Indices:
        """Which of the detections that are alone begin tracklets: all of them."""
        return cols

    def by_embedding(self, slots: Indices, motion: Floats, found: CandidateDetections) -> Matching:
        """Match tracklets, given with their motion, with `found`; rows are places in `slots`."""
        if not len(slots) or not len(found.scores) or found.embeddings is None:
            return Matching.nothing(np.arange(len(slots)), np.arange(len(found.scores)))
        pool = self.life.pool
        rows, cols, distances = pool.filter.gate(motion, found.measured)
        apart = self._distance(
            pool.embeddings.take(slots[rows], axis=0), found.embeddings.take(cols, axis=0)
        )  # (K,)
        costs = self._appearance * apart + (1 - self._appearance) * distances
        worth = (costs <= self._limit).nonzero()[0]
        shape = len(slots), len(found.scores)
        return assign(rows[worth], cols[worth], costs[worth], shape, self._limit)
