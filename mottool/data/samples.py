"""Training samples: one image, or a pair of images, with their boxes.

A sample depends only on the seed, the epoch and the image's number, not on the number of workers
or on earlier samples. A resumed run therefore trains on the same samples.

Zhou, Koltun & Krähenbühl, "Tracking objects as points", ECCV 2020, §4.3: the network receives the
detections of the previous frame. In training they are simulated from the annotations, with the
errors that a tracker makes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset as MapDataset

from mottool.data.augmentation import (
    ImageTransform,
    augment,
    jitter,
    recolour,
    sample_transform,
    sample_transform_near,
)
from mottool.data.dataset import STILL, AnnotatedImage, Dataset
from mottool.data.targets.labels import Labels
from mottool.models.otrack import prior_heatmap
from mottool.models.preprocessing import TrainingPreprocessor
from mottool.networks.learning import Augmentation, PairSampling, PreviousFrameSampling

__all__ = ["Place", "Sample", "Samples", "simulated"]

Ints = npt.NDArray[np.int64]
Place = tuple[int, int]  # the epoch, and the image's number

Boxes = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Sample:
    """One training image and its n people.

    `image` (3, H, W) float32, the network's input; `labels` as it takes them; `rows` (n,)
    int64, the boxes' places in the dataset. `partner` is the second image of a pair, and
    `negative` says whether it shows other people. `prior` (1, H, W) float32 in [0, 1], of second
    images in `PreviousFrameSampling` alone, is the `prior_heatmap` of what was found in it.
    """

    image: Tensor
    labels: Labels
    rows: Tensor
    partner: "Sample | None" = None
    negative: bool = False
    prior: Tensor | None = None


class Samples(MapDataset[Sample]):
    """The images of a dataset by epoch and number, augmented and fitted to a network's input."""

    def __init__(
        self,
        dataset: Dataset,
        view: TrainingPreprocessor,
        augmentation: Augmentation | None = None,
        pairs: PairSampling | PreviousFrameSampling | None = None,
        seed: int = 0,
        embeddings: Callable[[Ints], npt.NDArray[np.float32]] | None = None,
        ignoring: bool = False,
    ) -> None:
        """Without `augmentation` images are only fitted, as for validation.

        With `ignoring` the labels hold the regions to ignore of each image.

        `embeddings` gives a teacher's embeddings (n, D) of the boxes at rows (n,) of the dataset.
        It is called in the workers, so it must be picklable and open its file there.
        """
        self.dataset, self.view, self.seed = dataset, view, seed
        self.augmentation, self.pairs, self.embeddings = augmentation, pairs, embeddings
        self.ignoring = ignoring

    def __len__(self) -> int:
        return len(self.dataset)

    def path(self, number: int) -> str:
        """The path of image `number`."""
        return self.dataset.paths[number]

    def __getitem__(self, place: Place) -> Sample:
        epoch, number = place
        draw = np.random.default_rng([self.seed, epoch, number])
        look = sample_transform(self.augmentation, draw) if self.augmentation else ImageTransform()
        sample = self._seen(self.dataset[number], look)
        if isinstance(self.pairs, PairSampling):
            partner, negative = self._paired(number, self.pairs, look, draw)
            return replace(sample, partner=partner, negative=negative)
        if isinstance(self.pairs, PreviousFrameSampling):
            return replace(sample, partner=self._before(number, self.pairs, look, draw))
        return sample

    def _paired(
        self, number: int, pairs: PairSampling, look: ImageTransform, draw: np.random.Generator
    ) -> tuple[Sample, bool]:
        """The second image of a pair, and whether it shows other people."""
        other, negative = self._partner(number, pairs, draw)
        second, limits = look, self.augmentation
        if limits:
            second = (
                sample_transform(limits, draw)
                if negative
                else sample_transform_near(limits, look, draw)
            )
        return self._seen(self.dataset[other], second), negative

    def _before(
        self,
        number: int,
        steps: PreviousFrameSampling,
        look: ImageTransform,
        draw: np.random.Generator,
    ) -> Sample:
        """The image that counts as the one before, with its `prior`."""
        near = np.append(number, self.dataset.near(number, steps.reach))
        other = self.dataset[int(draw.choice(near))]
        second, limits = look, self.augmentation
        if limits:
            still = other.video == STILL
            second = (
                sample_transform_near(limits, look, draw) if still else recolour(limits, look, draw)
            )
        sample = self._seen(other, second)
        width, height = self.view.width, self.view.height
        found = simulated(sample.labels.boxes.numpy(), steps, width, height, draw)
        prior = prior_heatmap(found, width, height)[None]
        return replace(sample, prior=torch.from_numpy(prior))

    def _partner(
        self, number: int, pairs: PairSampling, draw: np.random.Generator
    ) -> tuple[int, bool]:
        """The number of the second image, and whether it shows other people."""
        if draw.random() < pairs.negative:
            others = self.dataset.elsewhere(number)
            if len(others):
                return int(draw.choice(others)), True
        near = self.dataset.near(number, pairs.reach)
        return (int(draw.choice(near)) if len(near) else number), False

    def _seen(self, image: AnnotatedImage, look: ImageTransform) -> Sample:
        """An image as the network sees it with a look."""
        fitted = self.view.fitted(jitter(image.pixels(), look.gains))
        # Regions to ignore move as boxes do.
        framed = np.concatenate((image.boxes, image.ignored))
        if self.view.origin is not None:
            framed = framed + (self.view.origin - image.origin)
        boxes = self.view.from_frame(framed, image.width, image.height)
        clip = self.augmentation is not None and self.augmentation.clip
        pixels, boxes, kept = augment(fitted, boxes, look, clip, self.view.border)
        boxes, regions = boxes[: len(image.boxes)], boxes[len(image.boxes) :]
        keep, keep_regions = kept[: len(image.boxes)], kept[len(image.boxes) :]
        rows = image.rows[keep]
        taught = None if self.embeddings is None else torch.from_numpy(self.embeddings(rows))
        return Sample(
            image=torch.from_numpy(self.view.image(pixels)),
            labels=Labels(
                boxes=_tensor(boxes[keep]),
                identities=torch.from_numpy(image.identities[keep]),
                embeddings=taught,
                ignored=_tensor(regions[keep_regions]) if self.ignoring else None,
            ),
            rows=torch.from_numpy(rows),
        )


def _tensor(boxes: npt.NDArray[np.floating[Any]]) -> Tensor:
    return torch.from_numpy(boxes.astype(np.float32))


def simulated(
    boxes: Boxes, steps: PreviousFrameSampling, width: int, height: int, draw: np.random.Generator
) -> npt.NDArray[np.float32]:
    """The boxes (m, 4) that stand for people with boxes (n, 4), in network pixels.

    What the input of `width` x `height` pixels shows of a person is moved by a normal error; some
    are lost. As in the authors' code, only those who are not lost may be found a second time.
    """
    count = len(boxes)
    shown = np.clip(boxes, 0, np.array([width - 1, height - 1] * 2))
    sides = shown[:, 2:] - shown[:, :2]  # (n, 2)
    once, twice = (
        shown + np.tile(steps.jitter * draw.standard_normal((count, 2)) * sides, 2)
        for _ in range(2)
    )
    there = draw.random(count) >= steps.lost
    again = there & (draw.random(count) < steps.false)
    return np.concatenate((once[there], twice[again])).astype(np.float32)
