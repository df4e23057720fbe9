"""FairMOT's association: the cascade with cosine distances.

Zhang, Wang, Wang, Zeng & Liu, "FairMOT: On the Fairness of Detection and Re-Identification in
Multiple Object Tracking", IJCV 2021, §4.4, as the published code does it.
"""

from mottool.association.embedding_then_iou import Cascade, cosine
from mottool.association.fairmot import FairMOT
from mottool.association.registry import FairMOTSettings
from mottool.association.tracks import Video

__all__ = ["FairMOT", "TDT"]


class FairMOT(Cascade):
    """Tracks one sequence. What is seen in its first frame is shown at once."""

    def __init__(self, settings: FairMOTSettings, video: Video) -> None:
        """Begin a sequence; lost tracklets wait for `track_buffer` / 30 seconds."""
        super().__init__(
            settings,
            limit=settings.first_assoc,
            distance=cosine,
            patience=settings.patience(video.frame_rate),
            confirm_first=True,
        )


class TDT(FairMOT):
    """Tracks one sequence."""
