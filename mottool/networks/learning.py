"""Settings of training that networks declare; imports no torch, numpy, cv2 or h5py."""

import math
from dataclasses import dataclass

from mottool.settings import Settings, setting

__all__ = [
    "NEGATIVE",
    "OCCLUSION_HELP",
    "PLACEHOLDERS",
    "SCHEDULES",
    "TEMPERATURE_HELP",
    "AssignmentSettings",
    "Augmentation",
    "Composition",
    "PairSampling",
    "Photometry",
    "PreviousFrameSampling",
    "Recipe",
]

PLACEHOLDERS = ("none", "zero", "mean")
TEMPERATURE_HELP = "Factor of the similarities in the softmax; none: 2·ln(K+1) for K candidates."
NEGATIVE = 0.2  # the default of PairSampling.negative
OCCLUSION_HELP = "Two people occlude each other if they share more than this of the smaller box."
SCHEDULES = ("steps", "cosine")


@dataclass(frozen=True)
class Recipe:
    """Schedule of a training; `batch` is the images per optimiser step, on all GPUs together.

    The training lasts `epochs` passes over the images, or, if that is None, `steps` optimiser
    steps.

    Warm-up: during the first `warmup` steps, and at least during the first `warmup_epochs` epochs,
    the learning rate rises linearly from `start_lr`; or, with `quartic`, with the fourth power of
    the step, over one epoch at most (JDE's code). The warm-up lasts at most the part `warmup_limit`
    of the training. The rate also rises linearly from 0 during the part `rise` of the training.
    With `bias_start_lr`, the rate of biases falls to the others' during the warm-up, linearly from
    that value (YOLOv5, CSTrack's code).

    With the schedule `steps`, the learning rate is divided by ten after each of `drops`, which are
    parts of the training, or after each of the epochs `drop_epochs` if these are given. With
    `cosine`, it falls along half a cosine from the end of the warm-up to the part `end` of `lr` at
    the end of the training.

    The gradient of a step is scaled to the norm `clip` if its norm is larger; 0 for no limit. `ema`
    is the decay of the average of the weights that is saved; 0 saves the last weights.
    """

    epochs: int | None
    batch: int
    lr: float
    drops: tuple[float, ...] = ()
    warmup: int = 0
    ema: float = 0.0
    steps: int | None = None
    schedule: str = "steps"
    start_lr: float = 0.0
    bias_start_lr: float = 0.0
    warmup_epochs: float = 0.0
    warmup_limit: float = 1.0
    quartic: bool = False
    rise: float = 0.0
    end: float = 0.0
    drop_epochs: tuple[int, ...] | None = None
    clip: float = 0.0

    def length(self, epoch_steps: int) -> int:
        """Return the steps of the training, with `epoch_steps` per epoch."""
        return epoch_steps * self.epochs if self.epochs is not None else self.steps or 0

    def warmup_steps(self, epoch_steps: int) -> int:
        """Return the steps of the warm-up, with `epoch_steps` per epoch."""
        steps = max(self.warmup, round(self.warmup_epochs * epoch_steps))
        steps = min(steps, round(self.warmup_limit * self.length(epoch_steps)))
        return min(steps, epoch_steps) if self.quartic else steps

    def factor(
        self, step: int, epoch_steps: int, progress: float | None = None, biases: bool = False
    ) -> float:
        """Return the factor of `lr` in step `step` (from 0), with `epoch_steps` per epoch.

        With `biases` it is that of biases, which differs during the warm-up only.

        `progress` in [0, 1] is the completed part of a training that ends by the clock. The warm-up
        follows the steps, but ends after the part `warmup_limit` of the time.
        """
        warmup, total = self.warmup_steps(epoch_steps), self.length(epoch_steps)
        timed = progress is not None
        progress = step / max(total, 1) if progress is None else progress
        risen = min((progress + 1e-3) / self.rise, 1.0) if self.rise else 1.0
        if step < warmup:
            falls = biases and self.bias_start_lr > self.lr > 0
            start = min(self.start_lr / self.lr, 1.0) if self.lr else 0.0
            start = self.bias_start_lr / self.lr if falls else start
            # Without a start rate the first step would change nothing.
            part = step / warmup if start else (step + 1) / warmup
            part = min(max(part, progress / self.warmup_limit), 1.0) if timed else part
            warm = start + (1 - start) * part ** (4 if self.quartic else 1)
            risen = warm if falls else min(risen, warm)
        if self.schedule == "cosine":
            fallen = progress if timed else max(step - warmup, 0) / max(total - warmup, 1)
            return risen * (self.end + (1 - self.end) * (1 + math.cos(math.pi * fallen)) / 2)
        epoch = step // epoch_steps
        if self.drop_epochs is not None:
            passed = sum(epoch >= drop for drop in self.drop_epochs)
        elif timed or self.epochs is None:
            passed = sum(progress >= drop for drop in self.drops)
        else:
            passed = sum(epoch >= round(drop * self.epochs) for drop in self.drops)
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
    crop: bool = setting(
        False,
        "Scale the frame itself and crop it anywhere (TDT), instead of warping the image in the "
        "network's resolution; only the scale and the flip apply.",
    )


@dataclass(frozen=True)
class PairSampling(Settings):
    """OUTrack's pairs: a second image that shows the people of the first again.

    Liu et al., "Online multi-object tracking with unsupervised re-identification learning and
    occlusion estimation", Neurocomputing 2022: the second image is another frame of the video, or
    the same still image with another augmentation. In a negative pair it shows other people.

    §4.1: adjacent frames are sampled from 20 consecutive ones, the 10 before and the 10 after.
    §3.1.2: N_neg / N_pos is 0.25, so that a fifth of the pairs of still images are negative. Pairs
    of a video are never negative.
    """

    reach: int = setting(10, "Largest distance of a pair in a video, in frames.", low=1)
    negative: float = setting(
        NEGATIVE,
        "Probability that the second image of a still image shows other people: N_neg / (N_pos + "
        "N_neg).",
        low=0,
        high=1,
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
        choices=PLACEHOLDERS,
    )
    temperature: float | None = setting(None, TEMPERATURE_HELP)
    margin: float | None = setting(
        0.5,
        "Smallest difference between the two most probable assignments; none: the largest possible "
        "difference for the number of candidates.",
    )
    pooled: bool = setting(
        True,
        "Sum the losses over the people of all pairs and divide by their number, as the authors' "
        "code; otherwise average them pair by pair (Eq. 6-8).",
    )
    negative_inter: bool = setting(
        True,
        "Apply the inter-frame loss to negative pairs too, as the authors' code; otherwise Eq. 7 "
        "alone.",
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
