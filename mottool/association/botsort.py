"""BoT-SORT: ByteTrack's steps with camera motion, a filter of widths and heights, and embeddings.

Aharon, Orfaig & Bobrovsky, "BoT-SORT: Robust Associations Multi-Pedestrian Tracking",
arXiv 2206.14651, Algorithm 1, as the published code does it: a detection starts a track that is
written at once.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.association.assignment import Matching, assign, pairs_within
from mottool.association.camera_settings import BotSortReIDSettings, BotSortSettings
from mottool.association.lifecycle import PIXEL_BORDER, CandidateDetections, LifeCycle
from mottool.association.size_filter import SizeFilter
from mottool.association.tracks import SequenceInfo, Tracks, unit_embeddings
from mottool.boxes import iou
from mottool.detections import Detections

__all__ = ["BotSortReIDTracker", "BotSortTracker"]

Floats = npt.NDArray[np.float64]
Costs = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.intp]


class BotSortTracker:
    """Tracker of one sequence; without `camera_motion` of its frames the camera is still."""

    def __init__(self, settings: BotSortSettings, sequence: SequenceInfo) -> None:
        """Set up the tracker; lost tracklets are kept for `track_buffer` frames at any rate."""
        self.settings = settings
        self.life = LifeCycle(
            settings.max_lost_frames(sequence.frame_rate),
            confirm_in_first_frame=True,
            update_score_when_recovered=True,
            filter=SizeFilter(),
        )

    def update(self, detections: Detections, elapsed: float = 1.0) -> Tracks:
        """Track the next frame, `elapsed` frames after the previous one, and return its tracks."""
        life, settings = self.life, self.settings
        candidates, high_count = self._candidates(detections)
        life.start_frame(elapsed)
        if settings.camera_motion and detections.camera_motion is not None:
            self._follow_camera(detections.camera_motion)
        # 1. Match confirmed and lost tracklets with high-score detections.
        high, low = np.split(np.arange(len(candidates.scores)), [high_count])
        first = self._match(life.confirmed_and_lost, high, candidates, settings.match_thresh)
        # 2. Match the remaining confirmed tracklets with low-score detections.
        second = life.match_iou(life.unmatched_confirmed(first), low, candidates, settings.second)
        # 3. Match unconfirmed tracklets with the remaining high-score detections.
        rest = first.unmatched_cols
        third = self._match(life.unconfirmed, rest, candidates, settings.unconfirmed)
        third = third.reindex(life.unconfirmed, rest)
        # 4. Start tracklets from unmatched high-score detections above the creation threshold.
        unmatched = third.unmatched_cols
        new_tracks = unmatched[candidates.scores[unmatched] >= settings.creation_threshold]
        life.finish_frame(first, second, third, new_tracks, candidates)
        return life.filter_by_shape(life.tracked, life.boxes, settings)

    def _candidates(self, detections: Detections) -> tuple[CandidateDetections, int]:
        """Return the detections to match, high-score ones first, and how many these are."""
        (left, top, right, bottom), scores = detections.boxes.T, detections.scores
        keep = (right > left) & (bottom > top) & (scores > self.settings.track_low_thresh)
        high = (keep & (scores > self.settings.track_high_thresh)).nonzero()[0]
        low = (keep & (scores < self.settings.track_high_thresh)).nonzero()[0]
        rows = np.concatenate((high, low))
        embeddings = self._embeddings(detections, high)
        select = CandidateDetections.select
        return select(detections, rows, embeddings, SizeFilter.measurements), len(high)

    def _embeddings(self, detections: Detections, high: Indices) -> npt.NDArray[np.float32] | None:
        """Return the L2-normalised embeddings of the high-score detections, None if unused."""
        return None

    def _follow_camera(self, warp: Floats) -> None:
        """Move the predicted tracklets, and the unconfirmed ones, with the background (§3.2)."""
        pool = self.life.pool
        slots = np.concatenate((self.life.confirmed_and_lost, self.life.unconfirmed))
        motion = pool.motion.take(slots, axis=2)
        SizeFilter.follow_camera(motion, warp)
        pool.motion[:, :, slots] = motion

    def _match(
        self, slots: Indices, columns: Indices, candidates: CandidateDetections, max_cost: float
    ) -> Matching:
        """Match slots (T,) with high-score candidates (n,); the result indexes both arrays."""
        if not len(slots) or not len(columns):
            return Matching.empty(np.arange(len(slots)), np.arange(len(columns)))
        boxes = candidates.boxes.take(columns, axis=0)
        distances = 1 - iou(self.life.pool.boxes(slots), boxes, PIXEL_BORDER)  # (T, n)
        costs = self._costs(distances, slots, columns, candidates)
        return assign(*pairs_within(costs, max_cost), costs.shape, max_cost)

    def _costs(
        self, distances: Costs, slots: Indices, columns: Indices, candidates: CandidateDetections
    ) -> Costs:
        """Return the costs (T, n) of pairs with these IoU distances."""
        if self.settings.mot20:
            return distances
        costs: Costs = 1 - (1 - distances) * candidates.scores[columns]
        return costs


class BotSortReIDTracker(BotSortTracker):
    """BoT-SORT-ReID: pairs that overlap and look alike match by their embeddings (§3.3)."""

    settings: BotSortReIDSettings

    def _embeddings(self, detections: Detections, high: Indices) -> npt.NDArray[np.float32]:
        return unit_embeddings(detections, high)

    def _costs(
        self, distances: Costs, slots: Indices, columns: Indices, candidates: CandidateDetections
    ) -> Costs:
        """Return the smaller of both costs, Eq. 12 and 13; embeddings count where they may."""
        assert candidates.embeddings is not None
        costs = super()._costs(distances, slots, columns, candidates)
        tracked = self.life.pool.embeddings[slots].astype(np.float64)  # (T, D)
        detected = candidates.embeddings[columns].astype(np.float64)  # (n, D)
        appearance = np.maximum(1 - tracked @ detected.T, 0) / 2  # (T, n)
        settings = self.settings
        alike = appearance <= settings.appearance_thresh
        alike &= distances <= settings.proximity_thresh
        return np.minimum(costs, np.where(alike, appearance, 1))
