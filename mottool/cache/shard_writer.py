"""What the writers of caches, of camera motion and of labels share: resuming, and finishing."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy.typing as npt

from mottool.cache.hdf5 import Layout, check_same_inputs
from mottool.cache.segments import FinishedSegment, write_segment
from mottool.cache.shards import open_shards

__all__ = ["ShardWriter"]


class ShardWriter(ABC):
    """Writes a file, after the last items that an earlier run committed.

    `committed` is the number of items that are kept if this process is killed. With
    `already_complete` there is nothing to append.
    """

    def __init__(
        self, path: Path, layout: Layout[Any], header: Any, overwrite: bool = False
    ) -> None:
        """Start or resume the file `path`; `overwrite` starts over.

        Raises `CacheError` if the existing file was made from other inputs, is damaged, or is being
        written by another process; `OutputError` if `path` cannot be written.
        """
        self.path = path
        self._shards = open_shards(path, layout, header, overwrite)
        self.already_complete = self._shards is None
        if self._shards is None:
            existing, self.committed = self._read_complete()
            check_same_inputs(path, existing, header, layout)
        else:
            self.committed = self._shards.committed

    @abstractmethod
    def _read_complete(self) -> tuple[Any, int]:
        """Check the complete file, and return its header and its number of items."""

    @abstractmethod
    def _flush(self) -> None:
        """Commit what is pending; a file without items gets one shard too, for its header."""

    def _commit_columns(
        self,
        columns: Mapping[str, npt.NDArray[Any]],
        attributes: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Write rows, by dataset, as a shard: all of them or none."""
        assert self._shards is not None
        self._shards.commit(columns, attributes or {})
        self.committed = self._shards.committed

    def finish(self) -> Path:
        """Commit what is pending, and give the file, now complete, its final name."""
        if self._shards is not None:
            self._flush()
            self._shards.merge()
            self.already_complete, self._shards = True, None
        return self.path

    def finish_segment(self, segment: FinishedSegment) -> None:
        """Commit what is pending, and leave the shards to the writer of the complete file."""
        self._flush()
        write_segment(self.path, segment)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keep what is committed; only `finish` completes the file."""
        if self._shards is not None:
            self._shards.close()
