"""ByteTrack: by overlap alone, the sure detections first and then the doubtful ones.

Zhang, Sun, Jiang, Yu, Weng, Yuan, Luo, Liu & Wang, "ByteTrack: Multi-Object Tracking by
Associating Every Detection Box", ECCV 2022, Algorithm 1, as the published code does it: with the
score of a detection as a factor of its IoU, except on MOT20.
"""

import numpy as np

from mottool.association.lifecycle import CandidateDetections, LifeCycle, match_overlaps
from mottool.association.motion import POSITION
from mottool.association.registry import ByteTrackSettings
from mottool.association.tracks import SequenceInfo, Tracks
from mottool.detections import Detections

__all__ = ["ByteTrackTracker"]


class ByteTrackTracker:
    """Tracks one sequence."""

    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()

    def __init__(self, settings: ByteTrackSettings, video: SequenceInfo) -> None:
        """Begin a sequence; lost tracklets wait for `track_buffer` frames, whatever their rate."""
        self.settings = settings
        patience = settings.patience(video.frame_rate)
        self.life = LifeCycle(patience, confirm_first=True, rescore=True)

    def step(self, detections: Detections, elapsed: float = 1.0) -> Tracks:
        """The tracks of the next frame."""
        life, settings = self.life, self.settings
        found, sure = self._found(detections)
        weights = None if settings.mot20 else found.scores
        expected = life.begin(elapsed)[POSITION]
        # 1. All that are known, lost ones too, with the sure detections.
        first = match_overlaps(
            life.pool.filter.boxes(expected),
            found.boxes[:sure],
            settings.match_thresh,
            None if weights is None else weights[:sure],
        )
        # 2. Those tracked until now that found nothing, with the doubtful ones.
        doubtful = np.arange(sure, len(found.scores))
        second = life.by_overlap(life.unseen(first), doubtful, found, settings.second)
        # 3. Those with a single detection, with the sure ones that are left.
        third = life.by_overlap(life.fresh, first.cols_alone, found, settings.unconfirmed, weights)
        # 4. A sure one that is still alone begins a tracklet if it is surer still.
        alone = third.cols_alone
        newborn = alone[found.scores[alone] >= settings.creation_threshold]
        life.end(first, second, third, newborn, found)
        return life.shaped(*life.shown(), settings)

    def _found(self, detections: Detections) -> tuple[CandidateDetections, int]:
        """The detections that are looked at, sure ones first, and how many of them are sure."""
        (left, top, right, bottom), scores = detections.boxes.T, detections.scores
        good = right > left
        good &= bottom > top
        sure = (good & (scores > self.settings.track_thresh)).nonzero()[0]
        good &= scores > self.settings.low_thresh
        good &= scores < self.settings.track_thresh
        doubtful = good.nonzero()[0]
        return CandidateDetections.among(detections, np.concatenate((sure, doubtful))), len(sure)
