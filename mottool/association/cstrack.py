"""CSTrack's association: FairMOT's, with nothing confirmed before its second detection.

Liang, Zhang, Zhou, Li, Zhu & Hu, "Rethinking the Competition Between Detection and ReID in
Multi-Object Tracking", IEEE Transactions on Image Processing 2022, as the published code does it.
It shows upright people only: its tracks are at most 0.6 times as wide as they are tall.
"""

from mottool.association.embedding_then_iou import EmbeddingThenIoUTracker, cosine
from mottool.association.registry import CSTrackSettings
from mottool.association.tracks import SequenceInfo

__all__ = ["CSTrackTracker"]


class CSTrackTracker(EmbeddingThenIoUTracker):
    """Tracker of one sequence."""

    def __init__(self, settings: CSTrackSettings, sequence: SequenceInfo) -> None:
        """Set up the tracker; lost tracklets are kept for `track_buffer` / 30 seconds."""
        super().__init__(
            settings,
            cost_limit=settings.first_assoc,
            distance=cosine,
            max_lost_frames=settings.max_lost_frames(sequence.frame_rate),
            confirm_in_first_frame=False,
        )
