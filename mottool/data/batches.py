"""Batches: samples put together by workers, in an order that can be taken up again."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as MapDataset

from mottool.config import Settings, knob
from mottool.data.samples import Place, Sample, Samples
from mottool.data.targets import Labels, Targets
from mottool.errors import MottoolError

__all__ = ["Batch", "Loading", "Order", "batches", "collate", "loader"]


@dataclass(frozen=True)
class Loading(Settings):
    """How samples are made into batches."""

    batch: int = knob(8, "Images in a batch.", low=1)
    workers: int = knob(4, "Most processes that make samples, one a processor; 0: this one.", low=0)


@dataclass(frozen=True)
class Batch(Targets):
    """B samples with N people in all.

    `images` (B, 3, H, W) float32; `counts` (B,) int64, how many people each shows; `boxes` (N, 4),
    `identities`, `visibility` and `rows` (N,) and `embeddings` (N, D) or None as in `Sample`, image
    by image. `partner` holds the second images of pairs and `negative` (B,) bool says which of
    them show other people; both are None without pairs. `prior` (B, 1, H, W) is the samples'.
    """

    images: Tensor
    counts: Tensor
    boxes: Tensor
    identities: Tensor
    visibility: Tensor
    rows: Tensor
    embeddings: Tensor | None = None
    partner: "Batch | None" = None
    negative: Tensor | None = None
    prior: Tensor | None = None

    @property
    def labels(self) -> list[Labels]:
        """The people image by image, as targets are made of them."""
        ends = self.counts.cumsum(0).tolist()
        people = [slice(*span) for span in pairwise([0, *ends])]
        taught = self.embeddings
        return [
            Labels(self.boxes[own], self.identities[own], None if taught is None else taught[own])
            for own in people
        ]

    def pin_memory(self) -> "Batch":
        """The same in page-locked memory, from which a GPU copies while it computes."""
        pinned = {
            name: value.pin_memory()
            for name, value in vars(self).items()
            if isinstance(value, Tensor | Batch)
        }
        return Batch(**{**vars(self), **pinned})


class Order(Sampler[Place]):
    """The order of an epoch: a shuffle that follows from the seed and the epoch's number.

    `epoch` and `done`, the samples of it that have been trained on, are its whole state. Set them
    to take a run up again. With `world` processes each one, by its `rank`, gets its share, all of
    one length, for which up to `world` - 1 samples are left out of an epoch.
    """

    def __init__(self, length: int, seed: int = 0, rank: int = 0, world: int = 1) -> None:
        """An order of `length` samples."""
        self.length, self.seed, self.rank, self.world = length, seed, rank, world
        self.epoch = self.done = 0

    def __len__(self) -> int:
        return self.length // self.world - self.done

    def __iter__(self) -> Iterator[Place]:
        shuffled = np.random.default_rng([self.seed, self.epoch]).permutation(self.length)
        share = shuffled[self.rank :: self.world][: self.length // self.world]
        return iter([(self.epoch, int(number)) for number in share[self.done :]])


def collate(samples: Sequence[Sample]) -> Batch:
    """One batch of B samples, either all of pairs or none."""
    partners = [sample.partner for sample in samples if sample.partner is not None]
    taught = [each.labels.embeddings for each in samples if each.labels.embeddings is not None]
    priors = [sample.prior for sample in samples if sample.prior is not None]
    return Batch(
        images=torch.stack([sample.image for sample in samples]),
        counts=torch.tensor([len(sample.rows) for sample in samples]),
        boxes=torch.cat([sample.labels.boxes for sample in samples]),
        identities=torch.cat([sample.labels.identities for sample in samples]),
        visibility=torch.cat([sample.visibility for sample in samples]),
        rows=torch.cat([sample.rows for sample in samples]),
        embeddings=torch.cat(taught) if taught else None,
        partner=collate(partners) if partners else None,
        negative=torch.tensor([sample.negative for sample in samples]) if partners else None,
        prior=torch.stack(priors) if priors else None,
    )


def loader(
    samples: Samples, order: Iterable[Place], loading: Loading, pin: bool = False
) -> DataLoader[Sample | MottoolError]:
    """Workers that make batches of the samples in the order; read it with `batches`.

    The workers stay from one epoch to the next. `pin` puts batches into page-locked memory.
    """
    workers = min(loading.workers, _processors())
    return DataLoader(
        _Guarded(samples),
        batch_size=loading.batch,
        sampler=order,
        num_workers=workers,
        collate_fn=_collated,
        pin_memory=pin,
        worker_init_fn=_alone,
        # A process that already has threads must not be forked.
        multiprocessing_context="forkserver" if workers else None,
        # The loader draws a seed nobody uses; without this it would come from the global state.
        generator=torch.Generator(),
        persistent_workers=workers > 0,
    )


def batches(loader: DataLoader[Sample | MottoolError]) -> Iterator[Batch]:
    """The batches of one epoch; an error that a worker met is raised here as it was there."""
    for made in loader:
        if isinstance(made, MottoolError):
            raise made
        yield made


class _Guarded(MapDataset[Sample | MottoolError]):
    """Samples, or the errors met in making them, which could not leave a worker otherwise."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    def __getitem__(self, place: Place) -> Sample | MottoolError:
        try:
            return self.samples[place]
        except MottoolError as error:
            return error


def _collated(made: Sequence[Sample | MottoolError]) -> Batch | MottoolError:
    """A batch, or the first error among the samples."""
    for each in made:
        if isinstance(each, MottoolError):
            return each
    return collate([each for each in made if isinstance(each, Sample)])


def _processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _alone(worker: int) -> None:
    """Keep a worker to one thread: it shares the processor with the others."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
