"""Merge the shards of an unfinished file into the complete one."""

import io
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from mottool.cache.hdf5 import (
    HDF5_VERSIONS,
    DatasetSpec,
    Layout,
    as_cache_error,
    create_dataset,
    open_unchecked,
)
from mottool.errors import CacheError

__all__ = ["merge"]

BATCH_BYTES = 2**24  # of shards that are in memory at the same time


def merge(
    shards: Sequence[Path], layout: Layout[Any], lengths: Mapping[str, int], path: Path
) -> None:
    """Write the complete file of all `shards`, oldest first, and flush it to the disk.

    `lengths` are their total lengths by name. Raises `OSError` if the file cannot be written,
    `CacheError` if a shard is damaged.
    """
    with _Output(path, "w+b") as output:
        try:
            with h5py.File(output, "w", libver=HDF5_VERSIONS) as file:
                merged = _MergedFile(file, layout, lengths)
                for batch in _batches(shards):
                    merged.append(batch)
                merged.finish(shards[0].parent)
        finally:
            if output.failure:
                raise output.failure
        os.fsync(output.fileno())


class _MergedFile:
    """The complete file while the rows of all shards are copied to it.

    The shards were checked when they were resumed, or were written by this process.
    """

    def __init__(self, file: h5py.File, layout: Layout[Any], lengths: Mapping[str, int]) -> None:
        """Start with an empty file, which will have these lengths."""
        self._file, self._layout, self._lengths = file, layout, lengths
        self._datasets: dict[str, h5py.Dataset] = {}
        self._written: Counter[str] = Counter()  # rows by dataset
        self._pointer_ends: Counter[str] = Counter()

    def append(self, paths: Iterable[Path]) -> None:
        """Copy some shards; each dataset is written once, as HDF5 is slow for small pieces."""
        parts: defaultdict[str, list[npt.NDArray[Any]]] = defaultdict(list)
        for path in paths:
            with open_unchecked(path, self._layout) as shard, as_cache_error(path, self._layout):
                if not self._file.attrs:
                    self._file.attrs.update(shard.attrs)
                for name in self._layout.pointers:
                    # The last value of a shard's pointer is the first of the next one's.
                    start = 0 if self._create(shard[name], name, self._layout.pointer, 1) else 1
                    pointer = shard[name][:]
                    parts[name].append(pointer[start:] + self._pointer_ends[name])
                    self._pointer_ends[name] += int(pointer[-1])
                for name, spec in self._layout.datasets.items():
                    source = shard.get(name)
                    if source is not None:
                        self._create(source, name, spec)
                        if spec.compressed:
                            self._copy_chunks(source, name)
                        else:
                            parts[name].append(source[:])
        for name, arrays in parts.items():
            values, start = np.concatenate(arrays), self._written[name]
            self._datasets[name][start : start + len(values)] = values
            self._written[name] += len(values)

    def _create(self, source: h5py.Dataset, name: str, spec: DatasetSpec, more: int = 0) -> bool:
        """Create a dataset of final length, plus `more` rows; return False if it exists already."""
        if name in self._datasets:
            return False
        rows = self._lengths[spec.length] + more
        dataset = create_dataset(self._file, name, spec, rows, source.shape[1:])
        dataset.attrs.update(source.attrs)
        self._datasets[name] = dataset
        return True

    def _copy_chunks(self, source: h5py.Dataset, name: str) -> None:
        """Copy a dataset with a chunk per row without compressing it again."""
        target = self._datasets[name].id
        for row in range(len(source)):
            filters, chunk = source.id.read_direct_chunk((row, 0, 0))
            target.write_direct_chunk((self._written[name] + row, 0, 0), chunk, filters)
        self._written[name] += len(source)

    def finish(self, folder: Path) -> None:
        """Mark the file as complete. Raises `CacheError` if a shard in `folder` lacks a dataset."""
        for name, dataset in self._datasets.items():
            if self._written[name] != len(dataset):
                problem = f"{folder} is damaged: a shard has no /{name}"
                raise CacheError(problem, self._layout.rebuild_fix)
        self._file.attrs["complete"] = True


class _Output(io.FileIO):
    """A file that keeps a failed write in `failure`: HDF5 cannot close a file on a full disk."""

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of `data`, unless an earlier write failed."""
        view = remaining = memoryview(data).cast("B")
        try:
            while remaining and self.failure is None:
                remaining = remaining[super().write(remaining) :]
        except OSError as error:
            self.failure = error
        return len(view)


def _batches(paths: Iterable[Path]) -> Iterator[list[Path]]:
    """Yield lists of consecutive files that fit into memory together."""
    batch: list[Path] = []
    size = 0
    for path in paths:
        batch.append(path)
        size += path.stat().st_size
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
