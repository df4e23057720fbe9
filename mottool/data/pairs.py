"""Which second image is set beside a training image, and how; nothing heavy is imported here."""

from dataclasses import dataclass

from mottool.settings import Settings, setting

__all__ = ["PairSampling", "PreviousFrameSampling"]


@dataclass(frozen=True)
class PairSampling(Settings):
    """OUTrack's pairs: a second image in which the people of the first are to be found again.

    Liu et al., "Online multi-object tracking with unsupervised re-identification learning and
    occlusion estimation", Neurocomputing 2022: another frame of the video, or the same still image
    augmented once more; in a negative pair, an image with nobody of the first.
    """

    reach: int = setting(20, "Frames that a pair may be apart in a video.", low=1)
    negative: float = setting(0.0, "How often the second image shows other people.", low=0, high=1)


@dataclass(frozen=True)
class PreviousFrameSampling(Settings):
    """CenterTrack's pairs: beside an image the one before it, and what was found in that.

    Zhou, Koltun & Krähenbühl, "Tracking objects as points", ECCV 2020, §4.3-4.4: a frame of the
    video that is near, before or after or the same one, under the same look; a still image is seen
    twice. What was found are its people with the errors that tracking makes.
    """

    reach: int = setting(2, "Frames that a pair may be apart in a video.", low=1)
    jitter: float = setting(
        0.05,
        "Standard deviation of the errors of position in the previous image, in parts of a box's "
        "sides (λ_jt).",
        low=0,
    )
    lost: float = setting(
        0.4, "How often somebody is not found in the previous image (λ_fn).", low=0, high=1
    )
    false: float = setting(
        0.1,
        "How often somebody is found a second time beside the first (λ_fp).",
        low=0,
        high=1,
    )
