"""Settings of training that networks declare; imports no torch, numpy, cv2 or h5py."""

import math
from dataclasses import dataclass

from mottool.settings import Settings, setting

__all__ = [
    "OCCLUSION_HELP",
    "AssignmentSettings",
    "Augmentation",
    "Composition",
    "PairSampling",
    "Photometry",
    "PreviousFrameSampling",
    "Recipe",
]

COSINE_RISE, COSINE_END = 0.03, 0.01  # parts of the training and of the learning rate
OCCLUSION_HELP = "Two people occlude each other if they share more than this of the smaller box."


@dataclass(frozen=True)
class Recipe:
    """Schedule of a training; `batch` is the images per optimiser step, on all GPUs together.

    The learning rate is divided by ten after each of `drops`, which are parts of all epochs. During
    the first `warmup` steps, at most one epoch, it rises from 0 with the fourth power of the step.
    With `cosine` it rises linearly over at least the first 3 % of the training, and then falls to
    a hundredth along half a cosine. `ema` is the decay of the average of the weights that is saved;
    0 saves the last weights.
    """

    epochs: int
    batch: int
    lr: float
    drops: tuple[float, ...] = ()
    warmup: int = 0
    ema: float = 0.0
    cosine: bool = False

    def factor(self, step: int, steps: int, progress: float | None = None) -> float:
        """Return the factor of the learning rate in step `step` (from 0), with `steps` per epoch.

        `progress` in [0, 1] is the completed part of the training, by default computed from `step`.
        """
        if progress is None:
            progress = step / (steps * self.epochs)
        if self.cosine:
            risen = min((progress + 1e-3) / COSINE_RISE, 1.0)
            if self.warmup:
                risen = min(risen, (step + 1) / self.warmup)
            return risen * (COSINE_END + (1 - COSINE_END) * (1 + math.cos(math.pi * progress)) / 2)
        epoch = step // steps
        passed = sum(epoch >= round(drop * self.epochs) for drop in self.drops)
        warmup = min(self.warmup, steps)
        risen = min((step + 1) / warmup, 1.0) ** 4 if warmup else 1.0
        return float(risen * 0.1**passed)


@dataclass(frozen=True)
class Augmentation(Settings):
    """Ranges of random image transforms (`data.augmentation`); the defaults are FairMOT's."""

    flip: float = setting(0.5, "Probability of a horizontal flip.", low=0, high=1)
    hue: float = setting(0.0, "Largest relative change of hue.", low=0, high=1)
    saturation: float = setting(0.5, "Largest relative change of saturation.", low=0, high=1)
    value: float = setting(0.5, "Largest relative change of brightness.", low=0, high=1)
    angle: float = setting(5.0, "Largest rotation in degrees, in both directions.", low=0, high=180)
    shift: float = setting(0.1, "Largest shift, in parts of width and height.", low=0, high=1)
    shrink: float = setting(0.5, "Smallest scale.", low=0.01, high=1)
    grow: float = setting(1.2, "Largest scale.", low=1, high=100)
    shear: float = setting(2.0, "Largest shear in degrees, in x and in y.", low=0, high=45)
    clip: bool = setting(
        False, "Clip boxes to the image (JDE) instead of keeping their full extent (FairMOT)."
    )


@dataclass(frozen=True)
class PairSampling(Settings):
    """OUTrack's pairs: a second image that shows the people of the first again.

    Liu et al., "Online multi-object tracking with unsupervised re-identification learning and
    occlusion estimation", Neurocomputing 2022: the second image is another frame of the video, or
    the same still image with another augmentation. In a negative pair it shows other people.
    """

    reach: int = setting(20, "Largest distance of a pair in a video, in frames.", low=1)
    negative: float = setting(
        0.0, "Probability that the second image shows other people.", low=0, high=1
    )


@dataclass(frozen=True)
class PreviousFrameSampling(Settings):
    """CenterTrack's pairs: an image with its previous frame and simulated detections in that frame.

    Zhou, Koltun & Krähenbühl, "Tracking objects as points", ECCV 2020, §4.3-4.4: the previous frame
    is a frame close by, before or after, or the same one, with the same augmentation. The
    detections are its annotations with the errors that a tracker makes.
    """

    reach: int = setting(2, "Largest distance of a pair in a video, in frames.", low=1)
    jitter: float = setting(
        0.05,
        "Standard deviation of position errors in the previous frame, in parts of the box size "
        "(λ_jt).",
        low=0,
    )
    lost: float = setting(
        0.4, "Probability of a false negative in the previous frame (λ_fn).", low=0, high=1
    )
    false: float = setting(
        0.1,
        "Probability of a false positive beside a person in the previous frame (λ_fp).",
        low=0,
        high=1,
    )


@dataclass(frozen=True)
class AssignmentSettings(Settings):
    """How people in two frames are assigned to each other (`losses.unsupervised`)."""

    placeholder: str = setting(
        "mean",
        "Similarity of the placeholder that is assigned to people who appear in only one of the "
        "frames: the mean of all similarities, zero, or none for no placeholder.",
        choices=("none", "zero", "mean"),
    )
    temperature: float | None = setting(
        None, "Factor of the similarities in the softmax; none: 2·ln(K+1) for K candidates."
    )
    margin: float | None = setting(
        0.5,
        "Smallest difference between the two most probable assignments; none: the largest possible "
        "difference for the number of candidates.",
    )


@dataclass(frozen=True)
class Photometry(Settings):
    """Ranges and probabilities of photometric augmentation (`data.photometry`)."""

    light: float = setting(
        0.35,
        "Largest relative change of brightness and contrast; gamma and tint vary with it.",
        low=0,
        high=0.9,
    )
    saturation: float = setting(0.5, "Largest relative change of saturation.", low=0, high=1)
    grey: float = setting(0.04, "Probability of a grey image.", low=0, high=1)
    blur: float = setting(0.12, "Probability of blur.", low=0, high=1)
    low_resolution: float = setting(
        0.15, "Probability that an image is shrunk and enlarged again.", low=0, high=1
    )
    noise: float = setting(0.4, "Probability of noise.", low=0, high=1)


@dataclass(frozen=True)
class Composition(Photometry):
    """How training scenes are composed of images (`data.scenes`)."""

    mosaic: float = setting(0.5, "Probability of a mosaic of four images.", low=0, high=1)
    shrink: float = setting(
        0.7, "Smallest scale of a single image; 1 fits it into the scene.", low=0.05, high=1
    )
    grow: float = setting(2.1, "Largest scale of a single image.", low=1, high=10)
    tile_shrink: float = setting(0.45, "Smallest scale of a mosaic's image.", low=0.05, high=1)
    tile_grow: float = setting(1.6, "Largest scale of a mosaic's image.", low=1, high=10)
    paste: float = setting(
        0.3,
        "Probability that people are pasted into a scene: people cut out with masks, and the crops "
        "of re-identification datasets.",
        low=0,
        high=1,
    )
    most_pasted: int = setting(4, "Largest number of people pasted into one scene.", low=1)
