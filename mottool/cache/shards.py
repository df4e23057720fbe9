"""Shards: the committed blocks of an unfinished file, which killing the writer cannot damage.

    <name>.part/
      lock              locked by the writer for as long as it is open
      00000000.h5       the first block: a file of the same layout, not marked as complete
      00000064.h5       the next one, named by the number of items before it
      finished          there are no more blocks, only the merge is missing
      *.tmp             a write that was interrupted; removed by the next writer
      segment…          parts that other processes compute (`mottool.cache.segments`)
    <name>.h5           all blocks in one file; appears by a rename when it has reached the disk

A shard is renamed into its place when it is written, and never changes. `finish` merges the shards
into the complete file, then removes them, newest first: what an interruption leaves is always the
beginning of the file. This holds if the process is killed; after a power failure only a complete
file is certain to be intact. Writers ignore `<name>.part.h5`, the unfinished file of earlier
versions, and readers refuse it.
"""

import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy.typing as npt

from mottool.cache.hdf5 import (
    HDF5_VERSIONS,
    Layout,
    check_same_inputs,
    create_dataset,
    open_file,
    shard_folder,
    write_header,
)
from mottool.cache.merge import merge
from mottool.cache.segments import (
    FinishedSegment,
    finished_segments,
    read_division,
    remove_segments,
)
from mottool.errors import BusyError, CacheError, MottoolError, writing
from mottool.files import replace_file
from mottool.locks import lock

__all__ = ["Shards", "open_shards", "read_progress", "recorded_settings", "shard_files"]


def shard_files(path: Path) -> list[Path]:
    """Return the shards of the file that will be `path`, oldest first."""
    return sorted(shard_folder(path).glob("[0-9]*.h5"))


def read_progress(path: Path, layout: Layout[Any]) -> tuple[Any, int]:
    """Return the header and the number of committed items of the file that will be `path`.

    A writer may be at work. Raises `CacheError` if nothing is committed or a shard is damaged.
    """
    files = shard_files(path)
    if not files:
        problem = f"{shard_folder(path)} is unfinished, no {layout.items} are committed"
        raise CacheError(problem, layout.resume_fix)
    file, header, _ = open_file(files[0], layout, shard=True)
    file.close()
    file, _, lengths = open_file(files[-1], layout, shard=True)
    file.close()
    return header, int(files[-1].stem) + lengths[layout.items]


def recorded_settings(path: Path, layout: Layout[Any]) -> Mapping[str, Any]:
    """Return the settings of the complete or unfinished file of `path`.

    Those of a divided file are known before its first shard. They are {} if there is none, or if it
    cannot be read, which a writer will report.
    """
    with suppress(MottoolError):
        files = [path] if path.is_file() else shard_files(path)[:1]
        for existing in files:
            file, header, _ = open_file(existing, layout, shard=True)
            file.close()
            settings: Mapping[str, Any] = header.settings
            return settings
    header_of_all = read_division(path).get("header", {})
    return dict(header_of_all.get("settings", {}))


def open_shards(
    path: Path, layout: Layout[Any], header: Any, overwrite: bool = False
) -> "Shards | None":
    """Open the unfinished file of `path`; return None if `path` is complete.

    Complete what other writers left to do: adopt their segments, finish an interrupted merge, or
    remove shards. With `overwrite` a complete `path` stays until it is replaced, and all shards are
    removed. Raises as the methods of `Shards`.
    """

    def complete() -> bool:
        return path.exists() and not overwrite

    if complete() and not shard_folder(path).exists():
        return None
    try:
        shards = Shards(path, layout, header)
    except MottoolError:
        if complete():
            return None  # another process merged it, or the leftovers cannot be removed
        raise
    # Only now: the writer that had the lock before may have completed the file.
    if complete():
        shards.remove()
        return None
    try:
        if overwrite:
            shards.clear()
        shards.resume()
        if shards.finished:
            shards.merge()
            return None
    except BaseException:
        shards.close()
        raise
    return shards


class Shards:
    """The committed blocks of one unfinished file, in order, for one writer at a time.

    `lengths` are the committed rows by what they are, as the layout names them, and `rows` the
    shape of a row of each dataset that exists so far.
    """

    def __init__(self, path: Path, layout: Layout[Any], header: Any) -> None:
        """Lock the folder of the file that will be `path`.

        Raises `CacheError` if another process writes the file, `OutputError` if the folder cannot
        be written.
        """
        self.path, self.folder = path, shard_folder(path)
        self.lengths: Counter[str] = Counter()
        self.rows: dict[str, tuple[int, ...]] = {}
        self._layout, self._header, self._mark = layout, header, self.folder / "finished"
        self._recorded: Any = None  # the header of the first shard
        self._lock: int | None = None
        with writing(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.folder / "lock", path)

    @property
    def committed(self) -> int:
        """The number of committed items."""
        return self.lengths[self._layout.items]

    @property
    def finished(self) -> bool:
        """Whether a merge was begun, so that all items are committed."""
        return self._mark.exists()

    def resume(self) -> None:
        """Count what is committed, adopt finished segments, and remove an interrupted write.

        A shard without items is removed too. Raises `CacheError` if the shards were made from other
        inputs or are damaged.
        """
        with writing(self.path):
            for temporary in self.folder.glob("*.tmp"):
                temporary.unlink()
        for path in shard_files(self.path):
            if not self._count(path):  # of a try without a frame: nothing is lost
                self.clear()
                return
        self._adopt_segments()

    def _count(self, path: Path) -> bool:
        """Count the rows of the next shard, with its checks; return False if it has no items."""
        if path.stem != _stem(self.committed):
            problem = f"{path} is damaged or a shard before it is missing"
            raise CacheError(problem, self._layout.rebuild_fix)
        file, header, lengths = open_file(path, self._layout, shard=True)
        with file:
            if not lengths[self._layout.items]:
                return False
            if not self.committed:
                check_same_inputs(self.folder, header, self._header, self._layout)
                self._recorded = header
            for name in self._layout.datasets:
                if name in file:
                    row = file[name].shape[1:]
                    if self.rows.setdefault(name, row) != row:
                        problem = f"{path} is damaged: /{name} differs from earlier shards"
                        raise CacheError(problem, self._layout.rebuild_fix)
        self.lengths.update(lengths)
        return True

    def _adopt_segments(self) -> None:
        """Move the shards of finished segments here, as far as they continue what is committed."""
        before = FinishedSegment()
        for folder, segment in finished_segments(self.path):
            if not (segment.continues(before) and self._has_same_header(folder)):
                return
            for shard in sorted(folder.glob("[0-9]*.h5")):
                stem = _stem(segment.first + int(shard.stem))
                if stem != _stem(self.committed):
                    return
                moved = self.folder / f"{stem}.h5"
                with writing(self.path):
                    replace_file(shard, moved)
                self._count(moved)
            if self.committed < segment.first + segment.items:
                return
            before = segment
        if before.is_last and self.committed == before.first + before.items:
            with writing(self.path):
                self._mark.touch()

    def _has_same_header(self, folder: Path) -> bool:
        """Return whether the first shard of a segment, if it has one, is of the same inputs.

        Its runtime must be the same, too, as others round differently.
        """
        for shard in sorted(folder.glob("[0-9]*.h5"))[:1]:
            file, header, _ = open_file(shard, self._layout, shard=True)
            file.close()
            try:
                check_same_inputs(folder, header, self._header, self._layout)
            except CacheError:
                return False
            return self._recorded is None or header.settings == self._recorded.settings
        return True

    def commit(
        self,
        columns: Mapping[str, npt.NDArray[Any]],
        attributes: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """Add a shard: all of it or nothing.

        `columns` are the rows by dataset, pointers included; `attributes` those of some datasets.
        Raises `OutputError` if the shard cannot be written.
        """
        # Made in memory: HDF5 cannot close a file whose disk is full. The name is that of no other
        # thread's shard, which HDF5 would refuse.
        path = self.folder / f"{_stem(self.committed)}.h5"
        with h5py.File(path, "w", driver="core", backing_store=False, libver=HDF5_VERSIONS) as file:
            write_header(file, self._header, self._layout)
            for dataset, values in columns.items():
                spec = self._layout.datasets.get(dataset, self._layout.pointer)
                if spec.compressed:
                    create_dataset(file, dataset, spec, len(values), values.shape[1:])[:] = values
                elif values.size:
                    checked = {"chunks": values.shape, "fletcher32": True}
                    file.create_dataset(dataset, data=values, dtype=spec.dtype, **checked)
                else:
                    file.create_dataset(dataset, data=values, dtype=spec.dtype)
                for key, value in attributes.get(dataset, {}).items():
                    file[dataset].attrs[key] = value
            file.flush()
            image = file.id.get_file_image()
        self._write(path, lambda temporary: temporary.write_bytes(image))
        present = {key: spec for key, spec in self._layout.datasets.items() if key in columns}
        self.rows |= {key: columns[key].shape[1:] for key in present}
        self.lengths.update({spec.length: len(columns[key]) for key, spec in present.items()})

    def merge(self) -> None:
        """Write the complete file under its final name, then remove the shards.

        Raises `OutputError` if the file cannot be written, `CacheError` if a shard is damaged.
        """
        with writing(self.path):
            self._mark.touch()
        paths = shard_files(self.path)
        self._write(self.path, partial(merge, paths, self._layout, self.lengths))
        self.remove()

    def _write(self, path: Path, write: Callable[[Path], object]) -> None:
        """Write a temporary file and rename it to `path`; remove it if that fails."""
        temporary = self.folder / f"{path.name}.tmp"
        with writing(path):
            try:
                write(temporary)
                replace_file(temporary, path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise

    def clear(self) -> None:
        """Remove all segments, then all shards, newest first.

        Raises `OutputError` if that is impossible.
        """
        with writing(self.folder):
            self._mark.unlink(missing_ok=True)  # first: fewer shards must not pass for all
            remove_segments(self.path)
            for path in reversed(shard_files(self.path)):
                path.unlink()

    def remove(self) -> None:
        """Remove the folder and unlock it; what cannot be removed is left to the next writer."""
        with suppress(OSError, MottoolError):
            self.clear()
            for temporary in self.folder.glob("*.tmp"):
                temporary.unlink()
            if sys.platform == "win32":
                self.close()  # an open file cannot be removed, another writer's lock neither
            (self.folder / "lock").unlink()
            self.folder.rmdir()
        self.close()

    def close(self) -> None:
        """Unlock the folder; the shards stay."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _stem(items: int) -> str:
    return f"{items:08d}"


def _locked(file: Path, path: Path) -> int:
    """Return an open descriptor of `file` that locks it against other writers of `path`."""
    busy = BusyError(
        f"{path} is being written by another process",
        "wait until that one has ended, or give this one another --work folder",
    )
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    except FileNotFoundError:
        raise busy from None  # the other one has just removed the folder
    try:
        lock(descriptor)
        # The other process may have removed the file between the two calls above.
        if os.path.samestat(os.fstat(descriptor), os.stat(file)):
            return descriptor
        raise busy
    except (BlockingIOError, FileNotFoundError):
        os.close(descriptor)
        raise busy from None
    except BaseException:
        os.close(descriptor)
        raise
