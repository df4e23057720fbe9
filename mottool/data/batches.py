"""Batches: collate samples, in an order that can be resumed.

Workers compute everything, including the targets of the heads, so that no GPU waits for it.
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

from mottool.data.samples import Sample, SampleIndex
from mottool.data.targets.labels import Labels, Targets
from mottool.engines.threads import cores
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
    """Batch size and worker processes.

    `batch` is the number of images in a batch. At most `workers` processes make batches, and at
    most one per processor; 0 makes them in this process.
    """

    batch: int
    workers: int


@dataclass(frozen=True)
class Batch(Targets):
    """B samples with N boxes in total.

    `images` (B, 3, H, W) float32; `counts` (B,) int64, the number of boxes of each image; `boxes`
    (N, 4), `identities` and `rows` (N,) and `embeddings` (N, D) or None as in `Sample`, image by
    image. `visible` (N, 4) or None and `ignored` (K, 4) or None are those of `Labels`;
    `ignored_counts` (B,) int64 is the number of regions of each image. `partner` holds the second
    images of pairs and `negative` (B,) bool which of them show other people; both are None without
    pairs. `prior` (B, 1, H, W) holds the samples' priors.
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
        """The labels of each image, from which targets are made."""
        people = self.boxes, self.identities, self.embeddings, self.visible
        columns = [_by_image(values, self.counts) for values in people]
        region_counts = self.counts if self.ignored_counts is None else self.ignored_counts
        columns.append(_by_image(self.ignored, region_counts))
        return [Labels(*values) for values in zip(*columns, strict=True)]


@dataclass(frozen=True)
class LossInputs(Targets):
    """The `inputs` of a network for a batch, and the `targets` of its heads."""

    inputs: Tensor | Targets
    targets: Targets


class ResumableSampler(Sampler[SampleIndex]):
    """The order of an epoch: a shuffle that depends on the seed and the number of the epoch only.

    `epoch` is its complete state; set it to resume a run. With `world` processes, each one gets a
    share by its `rank`. All shares have the same length; up to `world` - 1 samples are left out of
    an epoch.
    """

    def __init__(
        self, length: int, seed: int = 0, rank: int = 0, world: int = 1, count: int | None = None
    ) -> None:
        """Shuffle `length` samples; an epoch has the first `count` of them, by default all."""
        self.length, self.seed, self.rank, self.world = length, seed, rank, world
        self.count = length if count is None else count
        self.epoch = 0

    def __len__(self) -> int:
        return self.count // self.world

    def __iter__(self) -> Iterator[SampleIndex]:
        shuffled = np.random.default_rng([self.seed, self.epoch]).permutation(self.length)
        share = shuffled[self.rank :: self.world][: len(self)]
        return iter([(self.epoch, int(number)) for number in share])


def collate(samples: Sequence[Sample]) -> Batch:
    """Collate B samples, or B pairs of samples, into a batch; the two cannot be mixed."""
    partners = [sample.partner for sample in samples if sample.partner is not None]
    labels = [sample.labels for sample in samples]
    embeddings = [item.embeddings for item in labels if item.embeddings is not None]
    priors = [sample.prior for sample in samples if sample.prior is not None]
    visible = [item.visible for item in labels if item.visible is not None]
    ignored = [item.ignored for item in labels if item.ignored is not None]
    return Batch(
        images=torch.stack([sample.image for sample in samples]),
        counts=torch.tensor([len(sample.rows) for sample in samples]),
        boxes=torch.cat([item.boxes for item in labels]),
        identities=torch.cat([item.identities for item in labels]),
        rows=torch.cat([sample.rows for sample in samples]),
        embeddings=torch.cat(embeddings) if embeddings else None,
        partner=collate(partners) if partners else None,
        negative=torch.tensor([sample.negative for sample in samples]) if partners else None,
        prior=torch.stack(priors) if priors else None,
        visible=torch.cat(visible) if visible else None,
        ignored=torch.cat(ignored) if ignored else None,
        ignored_counts=torch.tensor([len(regions) for regions in ignored]) if ignored else None,
    )


def _by_image(values: Tensor | None, counts: Tensor) -> Sequence[Tensor | None]:
    """Split `values` (N, …) into `counts` (B,) rows per image; None for each if there are none."""
    return [None] * len(counts) if values is None else torch.split(values, counts.tolist())


def loader(
    samples: MapDataset[Sample],
    order: Iterable[SampleIndex],
    loading: LoaderSettings,
    examples: Callable[[Batch], LossInputs],
    pin: bool = False,
) -> DataLoader[Sample | MottoolError]:
    """Build a loader whose workers make `examples` of batches of the samples, in the given order.

    Iterate over it with `batches`. The workers are kept from one epoch to the next. `examples` runs
    in them, so it must be picklable. `pin` puts the results into page-locked memory.
    """
    workers = min(loading.workers, cores())
    return DataLoader(
        _CatchErrors(samples),
        batch_size=loading.batch,
        sampler=order,
        num_workers=workers,
        collate_fn=partial(_collate_examples, examples),
        pin_memory=pin,
        worker_init_fn=_limit_threads,
        # A process that already has threads must not be forked.
        multiprocessing_context="forkserver" if workers else None,
        # The loader draws an unused seed; without this it would advance the global generator.
        generator=torch.Generator(),
        persistent_workers=workers > 0,
    )


def batches(loader: DataLoader[Sample | MottoolError]) -> Iterator[LossInputs]:
    """Yield the examples of one epoch's batches; raise an error of a worker in this process."""
    for examples in loader:
        if isinstance(examples, MottoolError):
            raise examples
        yield examples


class _CatchErrors(MapDataset[Sample | MottoolError]):
    """Samples, or the errors raised while making them, so that a worker can return them."""

    def __init__(self, samples: MapDataset[Sample]) -> None:
        self.samples = samples

    def __getitem__(self, index: SampleIndex) -> Sample | MottoolError:
        try:
            return self.samples[index]
        except MottoolError as error:
            return error


def _collate_examples(
    examples: Callable[[Batch], LossInputs], items: Sequence[Sample | MottoolError]
) -> LossInputs | MottoolError:
    """Return the examples of a batch, or the first error of them or of their samples."""
    for item in items:
        if isinstance(item, MottoolError):
            return item
    try:
        return examples(collate([item for item in items if isinstance(item, Sample)]))
    except MottoolError as error:
        return error


def _limit_threads(worker: int) -> None:
    """Limit a worker to one thread, because all workers share the processors."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
