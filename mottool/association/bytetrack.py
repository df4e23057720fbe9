"""ByteTrack: match by IoU alone, high-score detections first, then low-score ones.

Zhang, Sun, Jiang, Yu, Weng, Yuan, Luo, Liu & Wang, "ByteTrack: Multi-Object Tracking by
Associating Every Detection Box", ECCV 2022, Algorithm 1, as the published code does it: with the
score of a detection as a factor of its IoU, except on MOT20.
"""

import numpy as np

from mottool.association.lifecycle import CandidateDetections, LifeCycle, match_boxes
from mottool.association.motion import POSITION
from mottool.association.registry import ByteTrackSettings
from mottool.association.tracks import SequenceInfo, Tracks
from mottool.detections import Detections

__all__ = ["ByteTrackTracker"]


class ByteTrackTracker:
    """Tracker of one sequence."""

    def __init__(self, settings: ByteTrackSettings, sequence: SequenceInfo) -> None:
        """Set up the tracker; lost tracklets are kept for `track_buffer` frames at any rate."""
        self.settings = settings
        max_lost_frames = settings.max_lost_frames(sequence.frame_rate)
        self.life = LifeCycle(
            max_lost_frames, confirm_in_first_frame=True, update_score_when_recovered=True
        )

    def update(self, detections: Detections, elapsed: float = 1.0) -> Tracks:
        """Track the next frame, `elapsed` frames after the previous one, and return its tracks."""
        life, settings = self.life, self.settings
        candidates, high_count = self._candidates(detections)
        weights = None if settings.mot20 else candidates.scores
        expected = life.start_frame(elapsed)[POSITION]
        # 1. Match confirmed and lost tracklets with high-score detections.
        first = match_boxes(
            life.pool.filter.boxes(expected),
            candidates.boxes[:high_count],
            settings.match_thresh,
            None if weights is None else weights[:high_count],
        )
        # 2. Match the remaining confirmed tracklets with low-score detections.
        low = np.arange(high_count, len(candidates.scores))
        second = life.match_iou(life.unmatched_confirmed(first), low, candidates, settings.second)
        # 3. Match unconfirmed tracklets with the remaining high-score detections.
        third = life.match_iou(
            life.unconfirmed, first.unmatched_cols, candidates, settings.unconfirmed, weights
        )
        # 4. Start tracklets from unmatched high-score detections above the creation threshold.
        unmatched = third.unmatched_cols
        new_tracks = unmatched[candidates.scores[unmatched] >= settings.creation_threshold]
        life.finish_frame(first, second, third, new_tracks, candidates)
        return life.filter_by_shape(*life.confirmed_tracks(), settings)

    def _candidates(self, detections: Detections) -> tuple[CandidateDetections, int]:
        """Return the detections to match, high-score ones first, and how many these are."""
        (left, top, right, bottom), scores = detections.boxes.T, detections.scores
        keep = right > left
        keep &= bottom > top
        high = (keep & (scores > self.settings.track_thresh)).nonzero()[0]
        keep &= scores > self.settings.low_thresh
        keep &= scores < self.settings.track_thresh
        low = keep.nonzero()[0]
        return CandidateDetections.select(detections, np.concatenate((high, low))), len(high)
