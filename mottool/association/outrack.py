"""OUTrack's association: the cascade, and then the search for lost people who stand hidden.

Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, "Online multi-object tracking with unsupervised
re-identification learning and occlusion estimation", Neurocomputing 2022, Algorithm 1.
"""

import numpy as np
import numpy.typing as npt

from mottool.association.embedding_then_iou import EmbeddingThenIoUTracker, cosine
from mottool.association.lifecycle import CandidateDetections
from mottool.association.occlusion_recovery import OcclusionRecovery
from mottool.association.registry import OUTrackSettings
from mottool.association.tracks import SequenceInfo, Tracks
from mottool.detections import Detections
from mottool.motchallenge.public_detections import near_public

__all__ = ["OUTrackTracker"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


class OUTrackTracker(EmbeddingThenIoUTracker):
    """Tracks one sequence; without occlusion centres it finds no lost people again."""

    uses: tuple[str, ...] = ("occlusion_centres",)
    settings: OUTrackSettings

    def __init__(self, settings: OUTrackSettings, video: SequenceInfo) -> None:
        """Begin a sequence; lost tracklets wait for `track_buffer` frames, whatever their rate."""
        super().__init__(
            settings,
            limit=settings.reid_thres,
            distance=cosine,
            patience=settings.patience(video.frame_rate),
            confirm_first=True,
        )
        self._video = video
        rate = video.frame_rate if settings.frame_rate is None else settings.frame_rate
        self._refinder = OcclusionRecovery(settings, video, rate)

    def step(self, detections: Detections, elapsed: float = 1.0) -> Tracks:
        """The tracks of the next frame: those that are tracked, then the lost that are hidden."""
        tracks = super().step(detections, elapsed)
        if not self.settings.occlusion:
            return tracks
        life = self.life
        lost = life.lost[~life.pool.buried[life.lost]]
        refound = self._refinder.refind(
            life.pool.ids[lost],
            life.pool.boxes(lost),
            life.pool.ids[life.tracked],
            life.boxes,
            detections.occlusion_centres,
            elapsed,
        )
        if not len(refound.places):
            return tracks
        slots = lost[refound.places]
        if self.settings.form == "paper":  # where they stand hidden is as good as a detection
            life.pool.correct(slots, life.pool.filter.measured(refound.boxes))
        more = self.shaped(slots, refound.boxes)
        return Tracks(
            np.concatenate((tracks.ids, more.ids)),
            np.concatenate((tracks.boxes, more.boxes)),
            np.concatenate((tracks.scores, more.scores)),
        )

    def shaped(self, slots: Indices, boxes: Floats) -> Tracks:
        """The tracks of a person's size and shape, of what is in the frame where that is asked."""
        if self.settings.clip_box:
            most = np.tile([self._video.width - 1, self._video.height - 1], 2)
            boxes = np.clip(boxes, 0, most)
        return super().shaped(slots, boxes)

    def good(self, detections: Detections) -> npt.NDArray[np.bool_]:
        """As the cascade's, without what lies beyond the frame."""
        boxes, good = detections.boxes, super().good(detections)
        right = self._video.width - 1
        # The authors' code compares the upper edge with the width.
        bottom = right if self.settings.form == "code" else self._video.height - 1
        good &= (boxes[:, 0] <= right) & (boxes[:, 1] <= bottom)
        good &= (boxes[:, 2] > 0) & (boxes[:, 3] > 0)
        return good

    def newborn(self, cols: Indices, found: CandidateDetections) -> Indices:
        """Which of the detections that are alone begin tracklets: all, or those near public."""
        if self._video.public is None or self.settings.track_type != "public_track":
            return cols
        boxes = found.boxes[cols]
        centres, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        return cols[near_public(centres, sides.prod(axis=1), self._video.public(self.life.frame))]
