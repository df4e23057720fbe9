"""JDE's association in its two forms: the cascade of its code, the single matching of its paper.

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
    """Tracks one sequence; nothing is shown before its second detection."""

    settings: JDESettings

    def __init__(self, settings: JDESettings, video: SequenceInfo) -> None:
        """Begin a sequence.

        In the code's form embeddings are compared by their Euclidean distance and the buffer is
        scaled by the frame rate; in the paper's by their cosine distance, and the buffer is the
        number of frames after which a tracklet is terminated.
        """
        paper = settings.form == "paper"
        super().__init__(
            settings,
            limit=settings.first_assoc,
            distance=cosine if paper else euclidean,
            patience=settings.track_buffer if paper else settings.patience(video.frame_rate),
            confirm_first=False,
            appearance=settings.appearance,
        )

    def step(self, detections: Detections, elapsed: float = 1.0) -> Tracks:
        """The tracks of the next frame."""
        if self.settings.form == "paper":
            return self._associate_once(detections, elapsed)
        return super().step(detections, elapsed)

    def _associate_once(self, detections: Detections, elapsed: float) -> Tracks:
        """§3.6: all tracklets and observations in one assignment with C = λ A_e + (1 - λ) A_m.

        An observation that is left over begins a tracklet, which is shown if the next frame
        observes it too; the appearance of a tracklet is the running mean of Eq. 7.
        """
        life = self.life
        found = self.found(detections)
        expected = life.begin(elapsed)
        motion = np.concatenate((expected, life.pool.predict(life.fresh, elapsed)), axis=2)
        slots = np.concatenate((life.known, life.fresh))
        matching = self.by_embedding(slots, motion, found)

        known = len(life.known)
        confirmed = matching.rows.searchsorted(known)  # matches from here on are of fresh ones
        first = Matching(
            matching.rows[:confirmed],
            matching.cols[:confirmed],
            matching.rows_alone[matching.rows_alone < known],
            matching.cols_alone,
        )
        third = Matching.nothing(life.fresh[:0], matching.cols_alone)._replace(
            rows=slots[matching.rows[confirmed:]], cols=matching.cols[confirmed:]
        )
        second = Matching.nothing(life.unseen(first), matching.cols_alone)
        life.end(first, second, third, matching.cols_alone, found)
        return self.shaped(*life.shown())
