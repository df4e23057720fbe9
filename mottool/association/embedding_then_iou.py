"""Three-step association of JDE's published code, also used by FairMOT, CSTrack, OUTrack and TDT.

1. Match confirmed and lost tracklets by embedding distance, gated by predicted motion.
2. Match the remaining confirmed tracklets by IoU.
3. Match the unconfirmed tracklets by IoU.

Each detection that is still unmatched starts a tracklet.

Wang, Zheng, Liu, Li & Wang, "Towards Real-Time Multi-Object Tracking", ECCV 2020 (published code);
Zhang, Wang, Wang, Zeng & Liu, "FairMOT", IJCV 2021, §4.4.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mottool.association.assignment import Matching, assign
from mottool.association.lifecycle import CandidateDetections, LifeCycle
from mottool.association.motion import HeightFilter
from mottool.association.registry import EmbeddingThenIoUSettings
from mottool.association.tracks import Tracks, unit_embeddings
from mottool.detections import Detections

__all__ = ["EmbeddingThenIoUTracker", "cosine", "euclidean"]

Floats = npt.NDArray[np.float64]
Embeddings = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]


def cosine(a: Embeddings, b: Embeddings) -> Embeddings:
    """Return the cosine distance of each pair of unit vectors: (K, D), (K, D) -> (K,)."""
    distances: Embeddings = np.maximum(0, 1 - np.vecdot(a, b))
    return distances


def euclidean(a: Embeddings, b: Embeddings) -> Embeddings:
    """Return the Euclidean distance of each pair of vectors: (K, D), (K, D) -> (K,)."""
    differences = a - b
    distances: Embeddings = np.sqrt(np.vecdot(differences, differences))
    return distances


class EmbeddingThenIoUTracker:
    """Base of trackers that match by embedding first and by IoU second."""

    def __init__(
        self,
        settings: EmbeddingThenIoUSettings,
        *,
        cost_limit: float,
        distance: Callable[[Embeddings, Embeddings], Embeddings],
        max_lost_frames: float,
        confirm_in_first_frame: bool,
        embedding_weight: float = 0.98,
        end_at_limit: bool = False,
    ) -> None:
        """Set up the tracker of one sequence.

        The cost of a pair is `embedding_weight` × embedding distance + (1 - `embedding_weight`) ×
        squared Mahalanobis distance of the motion; pairs above `cost_limit` cannot match.
        `max_lost_frames`, `confirm_in_first_frame` and `end_at_limit` are those of `LifeCycle`.
        """
        self.settings = settings
        self.life = LifeCycle(max_lost_frames, confirm_in_first_frame, end_at_limit=end_at_limit)
        self._cost_limit, self._distance = cost_limit, distance
        self._embedding_weight = embedding_weight

    def update(self, detections: Detections, elapsed: float = 1.0) -> Tracks:
        """Track the next frame, `elapsed` frames after the previous one, and return its tracks."""
        life, settings = self.life, self.settings
        candidates = self.candidates(detections)
        motion = life.start_frame(elapsed)
        first = self.match_embeddings(life.confirmed_and_lost, motion, candidates)
        remaining = life.unmatched_confirmed(first)
        second = life.match_iou(remaining, first.unmatched_cols, candidates, settings.second)
        third = life.match_iou(
            life.unconfirmed, second.unmatched_cols, candidates, settings.unconfirmed
        )
        new_tracks = self.new_tracks(third.unmatched_cols, candidates)
        life.finish_frame(first, second, third, new_tracks, candidates)
        return self.filter_by_shape(*life.confirmed_tracks())

    def candidates(self, detections: Detections) -> CandidateDetections:
        """Select the detections to match, with L2-normalised embeddings.

        Raises `CacheError` if there are detections without embeddings.
        """
        rows = self.candidate_mask(detections).nonzero()[0]
        embeddings = unit_embeddings(detections, rows)
        return CandidateDetections.select(detections, rows, embeddings)

    def candidate_mask(self, detections: Detections) -> npt.NDArray[np.bool_]:
        """Return which detections (n,) score above `conf_thres` and have a positive area."""
        boxes = detections.boxes
        keep: npt.NDArray[np.bool_] = detections.scores > self.settings.conf_thres
        keep &= (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        return keep

    def filter_by_shape(self, slots: Indices, boxes: Floats) -> Tracks:
        """Return the tracks that pass the size and aspect limits of the settings."""
        return self.life.filter_by_shape(slots, boxes, self.settings)

    def new_tracks(self, columns: Indices, candidates: CandidateDetections) -> Indices:
        """Return which unmatched candidate columns start a tracklet; here all of them."""
        return columns

    def match_embeddings(
        self, slots: Indices, motion: Floats, candidates: CandidateDetections
    ) -> Matching:
        """Match slots (T,), with predicted motion (5, 4, T), to candidates by embedding.

        Pairs outside the motion gate cannot match. Rows of the result index `slots`.
        """
        shape = len(slots), len(candidates.scores)
        if not all(shape) or candidates.embeddings is None:
            return Matching.empty(np.arange(shape[0]), np.arange(shape[1]))
        pool = self.life.pool
        rows, columns, motion_distances = HeightFilter().gate(motion, candidates.measurements)
        distances = self._distance(
            pool.embeddings.take(slots[rows], axis=0), candidates.embeddings.take(columns, axis=0)
        )  # (K,)
        costs = self._embedding_weight * distances + (1 - self._embedding_weight) * motion_distances
        possible = (costs <= self._cost_limit).nonzero()[0]
        return assign(rows[possible], columns[possible], costs[possible], shape, self._cost_limit)
