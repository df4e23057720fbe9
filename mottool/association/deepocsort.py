"""Deep OC-SORT: OC-SORT with camera motion and embeddings.

Maggiolino, Ahmad, Cao & Kitani, "Deep OC-SORT: Multi-Pedestrian Tracking by Adaptive
Re-Identification", ICIP 2023, as the published code does it: camera motion compensation, dynamic
appearance and adaptive weighting.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.association.lifecycle import CandidateDetections
from mottool.association.motion import POSITION, POSITION_VARIANCE, VELOCITY, VELOCITY_VARIANCE
from mottool.association.observation_settings import DeepOCSortSettings
from mottool.association.ocsort import OCSortTracker
from mottool.association.tracks import Tracks, unit_embeddings, update_embedding
from mottool.detections import Detections

__all__ = ["DeepOCSortTracker"]

Floats = npt.NDArray[np.float64]
Similarities = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.intp]


class DeepOCSortTracker(OCSortTracker):
    """Tracker of one sequence; without `camera_motion` of its frames the camera is still."""

    settings: DeepOCSortSettings

    def update(self, detections: Detections, elapsed: float = 1.0) -> Tracks:
        """Track the next frame; return its tracks, youngest first, at the boxes of detections."""
        if self.settings.camera_motion and detections.camera_motion is not None:
            self._follow_camera(detections.camera_motion)
        return super().update(detections, elapsed)

    def select(self, detections: Detections, rows: Indices) -> CandidateDetections:
        """Select `rows` of a frame's detections, with L2-normalised embeddings."""
        selected = unit_embeddings(detections, rows)
        return super().select(detections, rows)._replace(embeddings=selected)

    def gains(
        self, overlaps: npt.NDArray[np.floating[Any]], candidates: CandidateDetections
    ) -> Floats:
        """Add the weighted cosine similarity to the gains (D, T) of OC-SORT (adaptive weighting).

        The weight of a pair grows by half of how much the best similarity of its row, and that of
        its column, exceeds the second best there, up to `aw_param` each.
        """
        assert candidates.embeddings is not None
        similarity = candidates.embeddings @ self.pool.embeddings[self.life.slots].T  # (D, T)
        weights = self.settings.w_assoc_emb + 0.5 * self._margin(similarity, axis=1)
        weights = weights + 0.5 * self._margin(similarity, axis=0)
        gains: Floats = super().gains(overlaps, candidates) + weights * similarity
        return gains

    def _margin(self, similarity: Similarities, axis: int) -> Similarities | float:
        """Return by how much the best exceeds the second best along `axis`, at most `aw_param`."""
        if similarity.shape[axis] < 2:
            return 0.0
        best_two = np.partition(similarity, (-2, -1), axis=axis)
        second, best = (best_two.take([index], axis=axis) for index in (-2, -1))
        return np.minimum(best - second, self.settings.aw_param)

    def update_matched(
        self, slots: Indices, rows: Indices, candidates: CandidateDetections
    ) -> None:
        """Update slots (k,) with their matched candidates, and the embeddings (dynamic appearance).

        The lower the score of a detection, the less it changes the embedding.
        """
        super().update_matched(slots, rows, candidates)
        if not len(slots):
            return
        assert candidates.embeddings is not None
        settings, pool = self.settings, self.pool
        trust = (candidates.scores[rows] - settings.track_thresh) / (1 - settings.track_thresh)
        alpha = settings.alpha_fixed_emb + (1 - settings.alpha_fixed_emb) * (1 - trust)
        pool.embeddings[slots] = update_embedding(
            pool.embeddings[slots], candidates.embeddings[rows], alpha[:, None]
        )

    def _follow_camera(self, warp: Floats) -> None:
        """Move the tracklets of the previous frame with the background.

        As in the published code, the latest observation moves twice while it is recent, and the
        observation before a gap does not move in the gap's first frame.
        """
        pool, slots = self.pool, self.life.slots
        linear = warp[:, :2]
        latest_frames = pool.recent_frames[slots]  # (T, delta_t)
        is_recent = latest_frames.max(axis=1, initial=0) >= pool.frame - pool.delta_t
        recent = slots[is_recent]
        pool.observations[slots] = _moved(pool.observations[slots], warp)
        pool.observations[recent] = _moved(pool.observations[recent], warp)
        pool.recent[slots] = _moved(pool.recent[slots], warp)
        pool.recent[recent, latest_frames[is_recent].argmax(axis=1)] = pool.observations[recent]

        in_gap = slots[pool.in_gap[slots]]
        centres = pool.gap_starts[in_gap, :2]
        pool.gap_starts[in_gap, :2] = centres @ linear.T + warp[:, 2]
        for motion, moving in ((pool.motion, slots), (pool.gap_motion, in_gap)):
            states = motion[:, :2, moving]  # (5, 2, k)
            states[POSITION] = linear @ states[POSITION] + warp[:, 2:]
            states[VELOCITY] = linear @ states[VELOCITY]
            for variance in (POSITION_VARIANCE, VELOCITY_VARIANCE):
                states[variance] = np.square(linear) @ states[variance]
            motion[:, :2, moving] = states


def _moved(boxes: Floats, warp: Floats) -> Floats:
    """Return boxes (..., 4) with both corners moved by an affine map (2, 3)."""
    corners = boxes.reshape(*boxes.shape[:-1], 2, 2) @ warp[:, :2].T + warp[:, 2]
    return corners.reshape(boxes.shape)
