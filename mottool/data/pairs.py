"""Which second image is set beside a training image; nothing heavy is imported here."""

from dataclasses import dataclass

from mottool.config import Settings, knob

__all__ = ["Pairs"]


@dataclass(frozen=True)
class Pairs(Settings):
    """OUTrack's pairs: a second image in which the people of the first are to be found again.

    Liu et al., "Online multi-object tracking with unsupervised re-identification learning and
    occlusion estimation", Neurocomputing 2022: another frame of the video, or the same still image
    augmented once more; in a negative pair, an image with nobody of the first.
    """

    reach: int = knob(20, "Frames that a pair may be apart in a video.", low=1)
    negative: float = knob(0.0, "How often the second image shows other people.", low=0, high=1)
