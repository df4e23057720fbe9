"""FairMOT's association: embeddings by cosine distance, then IoU. TDT uses it too.

Zhang, Wang, Wang, Zeng & Liu, "FairMOT: On the Fairness of Detection and Re-Identification in
Multiple Object Tracking", IJCV 2021, §4.4, as the published code does it. The default thresholds
are those of the code since 11 September 2020. The profile 2020-05 has those of the code of the
paper's first version, "A Simple Baseline for Multi-Object Tracking", arXiv 2004.01888v1, §3.5.

Yu, Wu, Gu & Fathy, "TDT: Teaching Detectors to Track without Fully Annotated Videos", CVPR
Workshops 2022, §3.5, adopts FairMOT's association. Detections score above 0.5 for MOT16 and MOT17
(supplement A), and the second step matches at an IoU of 0.5. The paper changes the threshold of the
embedding distance without giving it; it is that of FairMOT's code.
"""

from mottool.association.embedding_then_iou import EmbeddingThenIoUTracker, cosine
from mottool.association.registry import FairMOTSettings
from mottool.association.tracks import SequenceInfo

__all__ = ["FairMOTTracker"]


class FairMOTTracker(EmbeddingThenIoUTracker):
    """Tracker of one sequence; tracklets of its first frame are confirmed immediately."""

    def __init__(self, settings: FairMOTSettings, sequence: SequenceInfo) -> None:
        """Set up the tracker; lost tracklets are kept for `track_buffer` / 30 seconds."""
        super().__init__(
            settings,
            cost_limit=settings.first_assoc,
            distance=cosine,
            max_lost_frames=settings.max_lost_frames(sequence.frame_rate),
            confirm_in_first_frame=True,
        )
