"""JDE's two variants: three-step association as in its code, or the single one of its paper.

Wang, Zheng, Liu, Li & Wang, "Towards Real-Time Multi-Object Tracking", ECCV 2020, §3.6.
"""

import numpy as np

from mottool.association.assignment import Matching
from mottool.association.embedding_then_iou import EmbeddingThenIoUTracker, cosine, euclidean
from mottool.association.registry import JDESettings
from mottool.association.tracks import SequenceInfo, Tracks
from mottool.detections import Detections

__all__ = ["JDETracker"]


class JDETracker(EmbeddingThenIoUTracker):
    """Tracker of one sequence; a tracklet is confirmed by its second detection.

    Rows equal those of the authors' code up to a renumbering of identities. Its network can detect
    boxes without area, which have no rows in its results but use up identities; here they are no
    detections.
    """

    settings: JDESettings

    def __init__(self, settings: JDESettings, sequence: SequenceInfo) -> None:
        """Set up the tracker of one sequence.

        In the code's variant embeddings are compared by their Euclidean distance and the buffer is
        scaled by the frame rate. In the paper's they are compared by their cosine distance, and a
        tracklet ends if it is not updated in the latest `track_buffer` frames.
        """
        paper = settings.form == "paper"
        super().__init__(
            settings,
            cost_limit=settings.first_assoc,
            distance=cosine if paper else euclidean,
            max_lost_frames=settings.track_buffer
            if paper
            else settings.max_lost_frames(sequence.frame_rate),
            confirm_in_first_frame=False,
            embedding_weight=settings.appearance,
            end_at_limit=paper,
        )

    def update(self, detections: Detections, elapsed: float = 1.0) -> Tracks:
        """Track the next frame, `elapsed` frames after the previous one, and return its tracks."""
        if self.settings.form == "paper":
            return self._associate_once(detections, elapsed)
        return super().update(detections, elapsed)

    def _associate_once(self, detections: Detections, elapsed: float) -> Tracks:
        """Match all tracklets and detections in one assignment (§3.6) with C = λ A_e + (1 - λ) A_m.

        An unmatched detection starts a tracklet, which is confirmed if it is detected in the next
        frame; the appearance of a tracklet is the running mean of Eq. 7.
        """
        life = self.life
        candidates = self.candidates(detections)
        expected = life.start_frame(elapsed)
        motion = np.concatenate((expected, life.pool.predict(life.unconfirmed, elapsed)), axis=2)
        slots = np.concatenate((life.confirmed_and_lost, life.unconfirmed))
        matching = self.match_embeddings(slots, motion, candidates)

        tracked = len(life.confirmed_and_lost)
        confirmed = matching.rows.searchsorted(tracked)  # later rows are unconfirmed
        first = Matching(
            matching.rows[:confirmed],
            matching.cols[:confirmed],
            matching.unmatched_rows[matching.unmatched_rows < tracked],
            matching.unmatched_cols,
        )
        third = Matching.empty(life.unconfirmed[:0], matching.unmatched_cols)._replace(
            rows=slots[matching.rows[confirmed:]], cols=matching.cols[confirmed:]
        )
        second = Matching.empty(life.unmatched_confirmed(first), matching.unmatched_cols)
        life.finish_frame(first, second, third, matching.unmatched_cols, candidates)
        return self.filter_by_shape(*life.confirmed_tracks())
