"""HDF5 files of ours: whole under their final name, and trusted only after a look inside.

What the layouts of caches (`mottool.cache.layout`) and of teachers' embeddings
(`mottool.data.distilled_labels`) have in common: how a file is written so that no kill can tear it,
how it is opened, and what a reader checks before it believes what the file claims to hold.
"""

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np

from mottool._version import __version__
from mottool.cache.shards import JournalledFile, recover
from mottool.errors import CacheError, writing

__all__ = [
    "Layout",
    "Unfinished",
    "add",
    "again",
    "anew",
    "check_links",
    "check_shapes",
    "checking",
    "flat",
    "open_file",
    "part_of",
    "put",
    "read_header",
    "refuse_others",
    "stored",
    "write_header",
]

T = TypeVar("T")

Layout = tuple[str, int, int]  # type, columns (0 for one number per row), rows per chunk


def part_of(path: Path) -> Path:
    """Where the file `path` lies while it is unfinished."""
    return path.with_name(f"{path.stem}.part.h5")


def again(maker: str) -> str:
    """What to do about an unfinished file, `maker` being the command that makes such files."""
    return f"run the same {maker} command again, it goes on from there"


def anew(maker: str) -> str:
    """What to do about a broken file, `maker` as in `again`."""
    return f"run {maker} again with --overwrite"


class Unfinished:
    """A file on its way: locked, each commit one step, renamed when it is finished.

    `file` is what to write to, begun with `write_header`, and `new` whether nothing is in it yet.
    """

    def __init__(self, path: Path, maker: str, fresh: bool = False) -> None:
        """Begin or go on with the file that will be `path`; `fresh` starts again.

        Raises `CacheError` if what is there is damaged or being written by another process,
        `OutputError` if the place cannot be written.
        """
        self.path, self.part = path, part_of(path)
        self.file: Any = None
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._disk = JournalledFile(self.part, fresh=fresh)
        self.new = self._disk.seek(0, os.SEEK_END) == 0
        try:
            mode = "w" if self.new else "r+"
            self.file = h5py.File(self._disk, mode, libver=("earliest", "v110"))
        except BaseException as error:
            self.close()
            if isinstance(error, OSError | RuntimeError):
                raise CacheError(f"{self.part} is damaged ({error})", anew(maker)) from error
            raise

    def commit(self) -> None:
        """Make everything written since the last commit part of the file, all of it or nothing."""
        with writing(self.part):
            self.file.flush()
            self._disk.commit()

    @property
    def complete(self) -> bool:
        """Whether only its final name is missing, as a kill may leave it."""
        return bool(self.file.attrs["complete"])

    def finish(self) -> None:
        """Mark the file complete, have all of it reach the disk, and give it its final name."""
        if not self.complete:
            self.file.attrs["complete"] = True
            self.commit()
        self.file.close()
        with writing(self.path):
            self._disk.sync()
            self.part.replace(self.path)
        self._disk.close()

    def close(self) -> None:
        """Let go of the file, as it was at the last commit."""
        # Without its disk HDF5 may not close in order; what was committed does not depend on it.
        with suppress(OSError, RuntimeError):
            if self.file is not None:
                self.file.close()
        self._disk.close()


def open_file(path: Path, maker: str, unit: str, unfinished: bool = False) -> h5py.File:
    """The file `path` for reading; one that has no final name only if `unfinished`.

    `maker` is the command that makes such files and `unit` what it commits. Raises `CacheError`
    for what is missing, no HDF5, or being written right now.
    """
    if unfinished:
        recover(path)
    if not path.exists() and part_of(path).exists():
        problem = f"{path} is unfinished, only {part_of(path).name} is there"
        raise CacheError(problem, again(maker))
    if unfinished and path.exists() and path.stat().st_size == 0:
        raise CacheError(f"{path} is unfinished, not one {unit} is committed", again(maker))
    try:
        return h5py.File(path, "r")
    except FileNotFoundError:
        raise CacheError(f"{path} does not exist", f"make it with {maker}") from None
    except BlockingIOError:
        raise CacheError(f"{path} is being written", f"wait until {maker} is done") from None
    except (PermissionError, IsADirectoryError) as error:
        reason = os.strerror(error.errno or 0)
        raise CacheError(f"{path} cannot be read: {reason}", f"name what {maker} wrote") from error
    except OSError as error:
        told = " ".join(str(error).split())
        raise CacheError(f"{path} is torn or no HDF5 file ({told})", anew(maker)) from error


def write_header(file: h5py.File, header: Any, schema: str) -> None:
    """Begin a file: its schema, and the fields of a dataclass with a mapping `settings`."""
    told = dataclasses.asdict(header) | {
        "schema": schema,
        "version": __version__,
        "settings": json.dumps(dict(header.settings), sort_keys=True),
        "complete": False,
    }
    for name, value in sorted(told.items()):
        file.attrs[name] = value


def read_header(file: h5py.File, kind: type[T]) -> T:
    """The dataclass that `write_header` was given; a `KeyError` or `ValueError` if it is broken."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]  # T is a dataclass
        value = file.attrs[field.name]
        if field.type in {int, float}:
            values[field.name] = field.type(value)
        elif not isinstance(value, str):
            raise ValueError(f"attribute {field.name} is no text")
        else:
            values[field.name] = value
    values["settings"] = json.loads(values["settings"])
    if not isinstance(values["settings"], dict):
        raise ValueError("attribute settings is no JSON object")
    return kind(**values)


def flat(header: Any) -> dict[str, Any]:
    """A header's fields by name, each setting one of its own."""
    values = dataclasses.asdict(header)
    # Settings are compared as JSON holds them: there a tuple is a list.
    settings = json.loads(json.dumps(dict(values.pop("settings"))))
    return values | {f"settings.{key}": value for key, value in settings.items()}


def refuse_others(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise a `CacheError` naming what `path` was made of and is not wanted now, if anything."""
    different = [
        f"{key} ({found.get(key)!r}, now {wanted.get(key)!r})"
        for key in sorted(found.keys() | wanted.keys())
        if found.get(key) != wanted.get(key)
    ]
    if different:
        raise CacheError(
            f"{path} was made with other {', '.join(different)}",
            "go back to those, choose another --work folder, or start again with --overwrite",
        )


def add(file: h5py.File, name: str, kind: str, columns: int, chunk: int) -> None:
    """An empty dataset that can grow, as in `Layout`."""
    tail = (columns,) if columns else ()
    file.create_dataset(name, (0, *tail), kind, maxshape=(None, *tail), chunks=(chunk, *tail))


def put(file: h5py.File, name: str, at: int, values: Any) -> None:
    """Write `values` from row `at` on; the dataset then ends with them."""
    dataset = file[name]
    dataset.resize(at + len(values), axis=0)
    if len(values):
        dataset[at:] = values


@contextmanager
def checking(file: h5py.File, path: Path, schema: str, what: str, maker: str) -> Iterator[None]:
    """Around the checks of an opened file: what they meet becomes a `CacheError`.

    So does another schema. `what` says what the file should be, and `maker` which command makes it.
    """
    found = file.attrs.get("schema")
    if found != schema:
        if isinstance(found, str) and found.startswith("mottool/"):
            fix = f"run {maker} again with this version, which reads {schema}"
            raise CacheError(f"{path} is of schema {found!r}", fix)
        raise CacheError(f"{path} is not a mottool {what}", f"name one that {maker} wrote")
    try:
        yield
    # h5py reports damage inside a file by any of these, according to where it lies.
    except (KeyError, ValueError, TypeError, OSError, RuntimeError, OverflowError) as error:
        told = error.args[0] if error.args else error
        raise CacheError(
            f"{path} is damaged or not a {what}: {told}", f"make it anew: {maker} --overwrite"
        ) from error


def check_links(group: h5py.Group) -> None:
    """Raise a `ValueError` if anything in the group leads elsewhere."""
    if not isinstance(group, h5py.Group):
        raise ValueError("what should be a group is none")
    for name in group:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"/{name} is a link that may lead out of the file")


def check_shapes(file: h5py.File, datasets: Mapping[str, Layout], rows: int) -> None:
    """Raise a `ValueError` if one of the datasets is not of its layout and `rows` long."""
    for name, (kind, columns, _) in datasets.items():
        dataset = stored(file, name)
        shape = (rows, columns) if columns else (rows,)
        if dataset.shape != shape or dataset.dtype != np.dtype(kind):
            raise ValueError(
                f"/{name} is {dataset.dtype} {dataset.shape}, where {kind} {shape} is due"
            )


def stored(file: h5py.File, name: str) -> h5py.Dataset:
    """The dataset, if all that it claims to hold is in this file; else a `ValueError`."""
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise ValueError(f"/{name} does not keep its data in this file")
    # What is claimed but not stored would read as zeros, or fill the memory.
    if dataset.id.get_storage_size() < dataset.nbytes:
        raise ValueError(f"/{name} is shorter than it says")
    return dataset
