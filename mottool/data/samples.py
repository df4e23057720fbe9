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
    crop_frame,
    flip,
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

__all__ = ["Sample", "SampleIndex", "Samples", "simulate_prior_detections"]

Ints = npt.NDArray[np.int64]
SampleIndex = tuple[int, int]  # the epoch and the number of the image

Boxes = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Sample:
    """One training image and its n boxes.

    `image` (3, H, W) float32 is the network's input and `labels` are in its pixels; `rows` (n,)
    int64 are the indices of the boxes in the dataset. `partner` is the second image of a pair;
    `negative` states whether it shows other people. `prior` (1, H, W) float32 in [0, 1] is the
    `prior_heatmap` of a second image's detections, with `PreviousFrameSampling` only.
    """

    image: Tensor
    labels: Labels
    rows: Tensor
    partner: "Sample | None" = None
    negative: bool = False
    prior: Tensor | None = None


class Samples(MapDataset[Sample]):
    """Images of a dataset by epoch and number, augmented and preprocessed for a network."""

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
        """Without `augmentation`, images are only preprocessed, as for validation.

        With `ignoring`, the labels include the regions to ignore of each image.

        `embeddings` returns a teacher's embeddings (n, D) of the boxes at rows (n,) of the dataset.
        It is called in the workers, so it must be picklable and open its file there.
        """
        self.dataset, self.view, self.seed = dataset, view, seed
        self.augmentation, self.pairs, self.embeddings = augmentation, pairs, embeddings
        self.ignoring = ignoring

    def __len__(self) -> int:
        return len(self.dataset)

    def path(self, number: int) -> str:
        """Return the path of image `number`."""
        return self.dataset.paths[number]

    def __getitem__(self, index: SampleIndex) -> Sample:
        epoch, number = index
        draw = np.random.default_rng([self.seed, epoch, number])
        ranges = self.augmentation
        transform = sample_transform(ranges, draw) if ranges else ImageTransform()
        sample = self._sample(self.dataset[number], transform)
        if isinstance(self.pairs, PairSampling):
            partner, negative = self._partner(number, self.pairs, transform, draw)
            return replace(sample, partner=partner, negative=negative)
        if isinstance(self.pairs, PreviousFrameSampling):
            return replace(sample, partner=self._previous(number, self.pairs, transform, draw))
        return sample

    def _partner(
        self,
        number: int,
        pairs: PairSampling,
        first: ImageTransform,
        draw: np.random.Generator,
    ) -> tuple[Sample, bool]:
        """Return the second image of a pair, and whether it shows other people."""
        other, negative = self._partner_number(number, pairs, draw)
        second, ranges = first, self.augmentation
        if ranges and negative:
            second = sample_transform(ranges, draw)
        elif ranges:
            second = sample_transform_near(ranges, first, draw)
        return self._sample(self.dataset[other], second), negative

    def _previous(
        self,
        number: int,
        settings: PreviousFrameSampling,
        first: ImageTransform,
        draw: np.random.Generator,
    ) -> Sample:
        """Return the previous image of image `number`, with its `prior`."""
        near = np.append(number, self.dataset.near(number, settings.reach))
        other = self.dataset[int(draw.choice(near))]
        second, ranges = first, self.augmentation
        if ranges and other.video == STILL:
            second = sample_transform_near(ranges, first, draw)
        elif ranges:
            second = recolour(ranges, first, draw)
        sample = self._sample(other, second)
        width, height = self.view.width, self.view.height
        boxes = sample.labels.boxes.numpy()
        detections = simulate_prior_detections(boxes, settings, width, height, draw)
        prior = prior_heatmap(detections, width, height)[None]
        return replace(sample, prior=torch.from_numpy(prior))

    def _partner_number(
        self, number: int, pairs: PairSampling, draw: np.random.Generator
    ) -> tuple[int, bool]:
        """Return the number of the second image, and whether it shows other people."""
        if self.dataset.videos[number] == STILL and draw.random() < pairs.negative:
            others = self.dataset.elsewhere(number)
            if len(others):
                return int(draw.choice(others)), True
        near = self.dataset.near(number, pairs.reach)
        return (int(draw.choice(near)) if len(near) else number), False

    def _sample(self, image: AnnotatedImage, transform: ImageTransform) -> Sample:
        """Return a transformed image as network input, with its labels."""
        frame = jitter(image.pixels(), transform.gains)
        # Regions to ignore are transformed like boxes.
        in_frame = np.concatenate((image.boxes, image.ignored))
        if self.view.origin is not None:
            in_frame = in_frame + (self.view.origin - image.origin)
        boxes = self.view.from_frame(in_frame, image.width, image.height)
        if self.augmentation is not None and self.augmentation.crop:
            origin = self.view.from_frame(np.zeros((1, 2)), image.width, image.height)  # (1, 2)
            fitted_boxes, size = boxes - np.tile(origin, 2), (self.view.width, self.view.height)
            border = self.view.border
            pixels, boxes, kept = crop_frame(frame, fitted_boxes, size, transform, border)
            if transform.flipped:
                pixels, boxes = flip(pixels, boxes)
        else:
            fitted = self.view.fitted(frame)
            clip = self.augmentation is not None and self.augmentation.clip
            pixels, boxes, kept = augment(fitted, boxes, transform, clip, self.view.border)
        boxes, regions = boxes[: len(image.boxes)], boxes[len(image.boxes) :]
        keep, keep_regions = kept[: len(image.boxes)], kept[len(image.boxes) :]
        rows = image.rows[keep]
        embeddings = None if self.embeddings is None else torch.from_numpy(self.embeddings(rows))
        return Sample(
            image=torch.from_numpy(self.view.image(pixels)),
            labels=Labels(
                boxes=_tensor(boxes[keep]),
                identities=torch.from_numpy(image.identities[keep]),
                embeddings=embeddings,
                ignored=_tensor(regions[keep_regions]) if self.ignoring else None,
            ),
            rows=torch.from_numpy(rows),
        )


def _tensor(boxes: npt.NDArray[np.floating[Any]]) -> Tensor:
    return torch.from_numpy(boxes.astype(np.float32))


def simulate_prior_detections(
    boxes: Boxes,
    settings: PreviousFrameSampling,
    width: int,
    height: int,
    draw: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """Simulate the detections (m, 4) of people with boxes (n, 4), in network pixels.

    The part of each box inside the input of `width` x `height` pixels is moved by a normal error;
    some boxes are missed. As in the authors' code, only detected boxes may be detected twice.
    """
    count = len(boxes)
    visible = np.clip(boxes, 0, np.array([width - 1, height - 1] * 2))
    sides = visible[:, 2:] - visible[:, :2]  # (n, 2)
    first, second = (
        visible + np.tile(settings.jitter * draw.standard_normal((count, 2)) * sides, 2)
        for _ in range(2)
    )
    detected = draw.random(count) >= settings.lost
    duplicated = detected & (draw.random(count) < settings.false)
    return np.concatenate((first[detected], second[duplicated])).astype(np.float32)
