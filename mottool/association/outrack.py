"""OUTrack's association: embedding then IoU, then the recovery of occluded tracklets.

Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, "Online multi-object tracking with unsupervised
re-identification learning and occlusion estimation", Neurocomputing 2022, Algorithm 1.
"""

import numpy as np
import numpy.typing as npt

from mottool.association.embedding_then_iou import EmbeddingThenIoUTracker, cosine
from mottool.association.lifecycle import CandidateDetections
from mottool.association.occlusion_recovery import OcclusionRecovery
from mottool.association.refinding import refind
from mottool.association.registry import OUTrackSettings
from mottool.association.tracks import SequenceInfo, Tracks
from mottool.detections import Detections
from mottool.motchallenge.public_detections import near_public

__all__ = ["OUTrackTracker"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


class OUTrackTracker(EmbeddingThenIoUTracker):
    """Tracker of one sequence; recovers lost tracklets by occlusion centres, if there are any."""

    settings: OUTrackSettings

    def __init__(self, settings: OUTrackSettings, sequence: SequenceInfo) -> None:
        """Set up the tracker; lost tracklets are kept for `track_buffer` frames at any rate."""
        super().__init__(
            settings,
            cost_limit=settings.reid_thres,
            distance=cosine,
            max_lost_frames=settings.max_lost_frames(sequence.frame_rate),
            confirm_in_first_frame=True,
        )
        self._sequence = sequence
        rate = sequence.frame_rate if settings.frame_rate is None else settings.frame_rate
        self._recovery = OcclusionRecovery(settings, sequence, rate)

    def update(self, detections: Detections, elapsed: float = 1.0) -> Tracks:
        """Track the next frame; return the tracked tracklets, then the recovered ones."""
        tracks = super().update(detections, elapsed)
        if not self.settings.occlusion:
            return tracks
        slots, boxes = (
            self._refind(detections, elapsed)
            if self.settings.form == "paper"
            else self._recover(detections, elapsed)
        )
        if not len(slots):
            return tracks
        more = self.filter_by_shape(slots, boxes)
        return Tracks(
            np.concatenate((tracks.ids, more.ids)),
            np.concatenate((tracks.boxes, more.boxes)),
            np.concatenate((tracks.scores, more.scores)),
        )

    def _refind(self, detections: Detections, elapsed: float) -> tuple[Indices, Floats]:
        """Return the slots and boxes of refound tracklets (Algorithm 1, step 5).

        The filter of a refound tracklet is updated with its box, as with a detection, and the
        number of frames that it has been lost for, w, stays the same.
        """
        pool, window = self.life.pool, self.settings.lost_window
        lost = self.life.lost[~pool.is_removed[self.life.lost]]
        if window is not None:
            frames_lost = self.life.time - elapsed - pool.last[lost]  # w before this frame
            lost = lost[frames_lost < window]
        detected = detections.boxes[self.candidate_mask(detections)]
        refound = refind(pool.boxes(lost), detected, detections.occlusion_centres, self.settings)
        slots = lost[refound.rows]
        pool.correct(slots, pool.filter.measurements(refound.boxes))
        pool.last[slots] += elapsed
        return slots, refound.boxes

    def _recover(self, detections: Detections, elapsed: float) -> tuple[Indices, Floats]:
        """Return the slots and predicted boxes of tracklets that the published code recovers."""
        life = self.life
        lost = life.lost[~life.pool.is_removed[life.lost]]
        recovered = self._recovery.recover(
            life.pool.ids[lost],
            life.pool.boxes(lost),
            life.pool.ids[life.tracked],
            life.boxes,
            detections.occlusion_centres,
            elapsed,
        )
        return lost[recovered.rows], recovered.boxes

    def filter_by_shape(self, slots: Indices, boxes: Floats) -> Tracks:
        """Return the tracks that pass the shape limits, clipped to the frame with `clip_box`."""
        if self.settings.clip_box:
            most = np.tile([self._sequence.width - 1, self._sequence.height - 1], 2)
            boxes = np.clip(boxes, 0, most)
        return super().filter_by_shape(slots, boxes)

    def candidate_mask(self, detections: Detections) -> npt.NDArray[np.bool_]:
        """Return which detections (n,) the base class selects and lie in the frame."""
        boxes, keep = detections.boxes, super().candidate_mask(detections)
        right = self._sequence.width - 1
        # The authors' code compares the upper edge with the width.
        bottom = right if self.settings.form == "code" else self._sequence.height - 1
        keep &= (boxes[:, 0] <= right) & (boxes[:, 1] <= bottom)
        keep &= (boxes[:, 2] > 0) & (boxes[:, 3] > 0)
        return keep

    def new_tracks(self, columns: Indices, candidates: CandidateDetections) -> Indices:
        """Return which unmatched columns start a tracklet: all, or those near public boxes."""
        if self._sequence.public is None or self.settings.track_type != "public_track":
            return columns
        boxes = candidates.boxes[columns]
        centres, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        return columns[
            near_public(centres, sides.prod(axis=1), self._sequence.public(self.life.frame))
        ]
