"""Batches: samples put together, in an order that can be taken up again.

Workers do all of it, down to what the heads should say, so that no GPU waits for that.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as MapDataset

from mottool.data.samples import Place, Sample
from mottool.data.targets.labels import Labels, Targets
from mottool.engines.local import cores
from mottool.errors import MottoolError

__all__ = [
    "Batch",
    "LossInputs",
    "LoaderSettings",
    "ResumableSampler",
    "batches",
    "collate",
    "loader",
]


@dataclass(frozen=True)
class LoaderSettings:
    """Images in a `batch`, and most `workers` that make them, one a processor; 0: this process."""

    batch: int
    workers: int


@dataclass(frozen=True)
class Batch(Targets):
    """B samples with N people in all.

    `images` (B, 3, H, W) float32; `counts` (B,) int64, how many people each shows; `boxes` (N, 4),
    `identities` and `rows` (N,) and `embeddings` (N, D) or None as in `Sample`, image by image.
    `visible` (N, 4) or None and `ignored` (K, 4) are likewise those of `Labels`, and
    `ignored_counts` (B,) int64 says how many of the latter each image has.
    `partner` holds the second images of pairs and `negative` (B,) bool says which of them show
    other people; both are None without pairs. `prior` (B, 1, H, W) is the samples'.
    """

    images: Tensor
    counts: Tensor
    boxes: Tensor
    identities: Tensor
    rows: Tensor
    embeddings: Tensor | None = None
    partner: "Batch | None" = None
    negative: Tensor | None = None
    prior: Tensor | None = None
    visible: Tensor | None = None
    ignored: Tensor | None = None
    ignored_counts: Tensor | None = None

    @property
    def labels(self) -> list[Labels]:
        """The people image by image, as targets are made of them."""
        people = self.boxes, self.identities, self.embeddings, self.visible
        shares = [_by_image(values, self.counts) for values in people]
        regions = self.counts if self.ignored_counts is None else self.ignored_counts
        shares.append(_by_image(self.ignored, regions))
        return [Labels(*own) for own in zip(*shares, strict=True)]


@dataclass(frozen=True)
class LossInputs(Targets):
    """What a network sees of a batch, `inputs`, and what its heads should say, `targets`."""

    inputs: Tensor | Targets
    targets: Targets


class ResumableSampler(Sampler[Place]):
    """The order of an epoch: a shuffle that follows from the seed and the epoch's number.

    `epoch` is its whole state; set it to take a run up again. With `world` processes each one, by
    its `rank`, gets its share, all of one length, for which up to `world` - 1 samples are left out
    of an epoch.
    """

    def __init__(self, length: int, seed: int = 0, rank: int = 0, world: int = 1) -> None:
        """An order of `length` samples."""
        self.length, self.seed, self.rank, self.world = length, seed, rank, world
        self.epoch = 0

    def __len__(self) -> int:
        return self.length // self.world

    def __iter__(self) -> Iterator[Place]:
        shuffled = np.random.default_rng([self.seed, self.epoch]).permutation(self.length)
        share = shuffled[self.rank :: self.world][: len(self)]
        return iter([(self.epoch, int(number)) for number in share])


def collate(samples: Sequence[Sample]) -> Batch:
    """One batch of B samples, either all of pairs or none."""
    partners = [sample.partner for sample in samples if sample.partner is not None]
    taught = [each.labels.embeddings for each in samples if each.labels.embeddings is not None]
    priors = [sample.prior for sample in samples if sample.prior is not None]
    visible = [each.labels.visible for each in samples if each.labels.visible is not None]
    ignored = [each.labels.ignored for each in samples if each.labels.ignored is not None]
    return Batch(
        images=torch.stack([sample.image for sample in samples]),
        counts=torch.tensor([len(sample.rows) for sample in samples]),
        boxes=torch.cat([sample.labels.boxes for sample in samples]),
        identities=torch.cat([sample.labels.identities for sample in samples]),
        rows=torch.cat([sample.rows for sample in samples]),
        embeddings=torch.cat(taught) if taught else None,
        partner=collate(partners) if partners else None,
        negative=torch.tensor([sample.negative for sample in samples]) if partners else None,
        prior=torch.stack(priors) if priors else None,
        visible=torch.cat(visible) if visible else None,
        ignored=torch.cat(ignored) if ignored else None,
        ignored_counts=torch.tensor([len(each) for each in ignored]) if ignored else None,
    )


def _by_image(values: Tensor | None, counts: Tensor) -> Sequence[Tensor | None]:
    """Return what each image has of `values` (N, …), `counts` (B,) rows each; None for None."""
    return [None] * len(counts) if values is None else torch.split(values, counts.tolist())


def loader(
    samples: MapDataset[Sample],
    order: Iterable[Place],
    loading: LoaderSettings,
    examples: Callable[[Batch], LossInputs],
    pin: bool = False,
) -> DataLoader[Sample | MottoolError]:
    """Workers that make `examples` of batches of the samples in the order; read by `batches`.

    The workers stay from one epoch to the next. `examples` goes there, so it must be picklable.
    `pin` puts what they make into page-locked memory.
    """
    workers = min(loading.workers, cores())
    return DataLoader(
        _Guarded(samples),
        batch_size=loading.batch,
        sampler=order,
        num_workers=workers,
        collate_fn=partial(_collated, examples),
        pin_memory=pin,
        worker_init_fn=_alone,
        # A process that already has threads must not be forked.
        multiprocessing_context="forkserver" if workers else None,
        # The loader draws a seed nobody uses; without this it would come from the global state.
        generator=torch.Generator(),
        persistent_workers=workers > 0,
    )


def batches(loader: DataLoader[Sample | MottoolError]) -> Iterator[LossInputs]:
    """The examples of one epoch's batches; a worker's error is raised here as it was there."""
    for made in loader:
        if isinstance(made, MottoolError):
            raise made
        yield made


class _Guarded(MapDataset[Sample | MottoolError]):
    """Samples, or the errors met in making them, which could not leave a worker otherwise."""

    def __init__(self, samples: MapDataset[Sample]) -> None:
        self.samples = samples

    def __getitem__(self, place: Place) -> Sample | MottoolError:
        try:
            return self.samples[place]
        except MottoolError as error:
            return error


def _collated(
    examples: Callable[[Batch], LossInputs], made: Sequence[Sample | MottoolError]
) -> LossInputs | MottoolError:
    """The examples of a batch, or the first error met in making them or their samples."""
    for each in made:
        if isinstance(each, MottoolError):
            return each
    try:
        return examples(collate([each for each in made if isinstance(each, Sample)]))
    except MottoolError as error:
        return error


def _alone(worker: int) -> None:
    """Keep a worker to one thread: it shares the processor with the others."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
