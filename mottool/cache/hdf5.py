"""HDF5 files that follow a layout: open one and check it before its content is trusted.

A `Layout` describes one schema: `mottool.cache.layout` that of caches,
`mottool.data.distilled_labels` that of label files.
"""

import dataclasses
import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Generic, TypeVar

import h5py
import numpy as np

from mottool._version import __version__
from mottool.errors import BusyError, CacheError
from mottool.files import digest

__all__ = [
    "CHUNK",
    "DatasetSpec",
    "HDF5_VERSIONS",
    "Layout",
    "as_cache_error",
    "check_same_inputs",
    "create_dataset",
    "open_file",
    "open_unchecked",
    "read_header",
    "check_same_fields",
    "shard_folder",
    "write_header",
]

H = TypeVar("H")

HDF5_VERSIONS = ("earliest", "v110")  # HDF5 1.8 can open a file that needs nothing newer
UNSIGNED = {"complete", "checksum"}  # root attributes without checksum
LONGEST_VALUE = 60  # characters of a value that an error shows
CHUNK = 16384  # numbers in a chunk of rows whose size the file decides


@dataclass(frozen=True)
class DatasetSpec:
    """Type and storage of one dataset.

    `row` is the shape of a row, () for one number; a size of None is any. `length` names what the
    rows are: "frames", "detections", … A chunk has `chunk_rows` rows, fewer if rows are long and
    their size is None. A `compressed` dataset is stored by gzip.
    """

    dtype: str
    row: tuple[int | None, ...]
    length: str
    chunk_rows: int
    optional: bool = False
    compressed: bool = False


@dataclass(frozen=True)
class Layout(Generic[H]):
    """The content of the files of one schema.

    `kind` names such a file and `command` the command that writes it. `items` is the length that
    counts its progress. `header` is a dataclass with a mapping `settings`: the attributes of the
    root. Its fields `may_differ` are not compared when a file is resumed; a setting has the name
    `settings.NAME` there. `pointers` are datasets
    with a row per item and one more; each ends at the length it names.
    """

    schema: str
    kind: str
    command: str
    items: str
    header: type[H]
    may_differ: Collection[str]
    datasets: Mapping[str, DatasetSpec]
    pointers: Mapping[str, str] = field(default_factory=dict)

    @property
    def pointer(self) -> DatasetSpec:
        """The type and storage of every pointer."""
        return DatasetSpec("<i8", (), self.items, 512)

    @property
    def resume_fix(self) -> str:
        """The fix for an unfinished file."""
        return f"run the same {self.command} command again, it resumes from there"

    @property
    def rebuild_fix(self) -> str:
        """The fix for a damaged file."""
        return f"run {self.command} again with --overwrite"


def shard_folder(path: Path) -> Path:
    """Return the folder that holds the file `path` until it is complete."""
    return path.with_suffix(".part")


def open_file(
    path: Path, layout: Layout[H], shard: bool = False
) -> tuple[h5py.File, H, dict[str, int]]:
    """Open a file and check its schema, links, storage, pointers and shapes against `layout`.

    Returns the open file, its header and its lengths by name. Raises `CacheError` if the file is
    missing, unreadable, damaged, of another schema, or not complete; a `shard` never is.
    """
    file = open_unchecked(path, layout)
    try:
        with as_cache_error(path, layout):
            header, complete = _read_header(file, path, layout)
            _check_links(file, layout)
            lengths = _check_datasets(file, layout)
        if not (complete or shard):
            count = f"{lengths[layout.items]} {layout.items}"
            raise CacheError(
                f"{path} is unfinished ({count} committed)",
                f"name the complete file, or delete this one and run {layout.command} again",
            )
    except BaseException:
        file.close()
        raise
    return file, header, lengths


def read_header(path: Path, layout: Layout[H]) -> tuple[H, int]:
    """Return the header of a file and its number of items, without a check of its data.

    Raises `CacheError` as `open_file`, but not for a file whose data is damaged or not complete.
    """
    with open_unchecked(path, layout) as file, as_cache_error(path, layout):
        header, _ = _read_header(file, path, layout)
        pointer = next(iter(layout.pointers))
        _check_link(file, pointer)
        return header, len(file[pointer]) - 1


def open_unchecked(path: Path, layout: Layout[Any]) -> h5py.File:
    """Open a file for reading without checking its content.

    Raises `CacheError` if the file is missing, unfinished, unreadable or not an HDF5 file.
    """
    folder = shard_folder(path)
    if folder.is_dir() and (folder == path or not path.exists()):
        missing = "" if folder == path else f", only {folder.name} is there"
        raise CacheError(f"{path} is unfinished{missing}", layout.resume_fix)
    command = layout.command
    try:
        return h5py.File(path, "r")
    except FileNotFoundError:
        raise CacheError(f"{path} does not exist", f"make it with {command}") from None
    except BlockingIOError:
        raise BusyError(f"{path} is being written", "wait until that is done") from None
    except (PermissionError, IsADirectoryError) as error:
        reason = os.strerror(error.errno or 0)
        fix = f"name a file that {command} wrote"
        raise CacheError(f"{path} cannot be read: {reason}", fix) from error
    except OSError as error:
        reason = " ".join(str(error).split())
        problem = f"{path} is truncated or not an HDF5 file ({reason})"
        raise CacheError(problem, layout.rebuild_fix) from error


@contextmanager
def as_cache_error(path: Path, layout: Layout[Any]) -> Iterator[None]:
    """Convert what reading a damaged file raises into a `CacheError`."""
    try:
        yield
    # h5py reports damage inside a file by any of these, depending on where it is.
    except (KeyError, ValueError, TypeError, OSError, RuntimeError, OverflowError) as error:
        reason = error.args[0] if error.args else error
        problem = f"{path} is damaged or not a {layout.kind}: {reason}"
        raise CacheError(problem, layout.rebuild_fix) from error


def write_header(file: h5py.File, header: Any, layout: Layout[Any]) -> None:
    """Write the root attributes of an unfinished file."""
    attributes = dataclasses.asdict(header) | {
        "schema": layout.schema,
        "version": __version__,
        "settings": json.dumps(dict(header.settings), sort_keys=True),
        "complete": False,
    }
    attributes["checksum"] = _checksum(attributes)
    for name, value in sorted(attributes.items()):
        file.attrs[name] = value


def _checksum(attributes: Mapping[str, Any]) -> str:
    """Return the digest of the root attributes, apart from the two that follow from the others."""
    values = {name: attributes[name] for name in attributes if name not in UNSIGNED}
    return digest({name: _plain(value) for name, value in values.items()})


def _plain(value: Any) -> Any:
    """Return the Python number of a NumPy scalar, and any other value unchanged."""
    return value.item() if isinstance(value, np.generic) else value


def create_dataset(
    file: h5py.File, name: str, spec: DatasetSpec, rows: int, row: tuple[int, ...]
) -> h5py.Dataset:
    """Create a dataset of `rows` rows of shape `row` that can grow, without content.

    Every chunk gets a checksum: HDF5 refuses to read one that is damaged.
    """
    chunk_rows = spec.chunk_rows
    if spec.compressed:
        chunk_rows = 1
    elif None in spec.row:
        chunk_rows = min(chunk_rows, max(16, CHUNK // row[0]))
    gzip = {"compression": "gzip", "compression_opts": 1} if spec.compressed else {}
    shapes = {"maxshape": (None, *row), "chunks": (chunk_rows, *row)}
    return file.create_dataset(name, (rows, *row), spec.dtype, fletcher32=True, **shapes, **gzip)


def check_same_inputs(path: Path, recorded: H, current: H, layout: Layout[H]) -> None:
    """Raise a `CacheError` if `path` records other inputs than the current ones."""
    a, b = _flatten_header(recorded), _flatten_header(current)
    check_same_fields(path, a, b, ignored=layout.may_differ)


def check_same_fields(
    path: Path,
    recorded: Mapping[str, Any],
    current: Mapping[str, Any],
    ignored: Collection[str] = (),
) -> None:
    """Raise a `CacheError` that names the fields in which `recorded` and `current` differ.

    Of hashes, it names the files. The fields `ignored` may differ.
    """
    different = [
        _difference(key, recorded, current)
        for key in sorted(recorded.keys() | current.keys())
        if recorded.get(key) != current.get(key) and key not in ignored
    ]
    if different:
        raise CacheError(
            f"{path} was made with other {', '.join(different)}",
            "go back to those, choose another --work folder, or start again with --overwrite",
        )


def _difference(key: str, recorded: Mapping[str, Any], current: Mapping[str, Any]) -> str:
    """Describe a field that differs; hashes say nothing to a reader, nor do long values."""
    name, sources = key.removeprefix("settings."), (recorded.get("source"), current.get("source"))
    before, now = recorded.get(key), current.get(key)
    if key == "source_hash" and sources[0] != sources[1]:
        return f"frames ({sources[0]}, now {sources[1]})"
    if key == "source_hash":
        return f"frames ({sources[1] or 'the source'} has changed)"
    if name.endswith("weights"):
        files = recorded.get(f"{name}_file"), current.get(f"{name}_file")
        return f"{name} ({_changed_file(before, now, *files)})"
    if name == "fingerprint" or max(len(repr(before)), len(repr(now))) > LONGEST_VALUE:
        return f"{name} (changed)"
    return f"{name} ({before!r}, now {now!r})"


def _changed_file(before: Any, now: Any, old_name: str | None, new_name: str | None) -> str:
    """Describe a change of weights, given by their hashes (text, "" or None) and known names."""
    old, new = old_name or "another file", new_name or "another file"
    if not before:
        return f"none, now {new}" if new_name else "none"
    if not now:
        return f"{old}, now none" if old_name else "now none"
    if old_name == new_name:
        return f"{old_name} has changed" if old_name else "another file"
    return f"{old}, now {new}"


def _flatten_header(header: Any) -> dict[str, Any]:
    """Return the fields of a header by name; each setting is a field too."""
    values = dataclasses.asdict(header)
    # Settings are compared as JSON stores them: there a tuple is a list.
    settings = json.loads(json.dumps(dict(values.pop("settings"))))
    return values | {f"settings.{key}": value for key, value in settings.items()}


def _check_schema(file: h5py.File, path: Path, layout: Layout[Any]) -> None:
    schema = file.attrs.get("schema")
    if schema == layout.schema:
        return
    if isinstance(schema, str) and schema.startswith("mottool/"):
        fix = f"run {layout.command} again with this version, which reads {layout.schema}"
        raise CacheError(f"{path} is of schema {schema!r}", fix)
    fix = f"name a file that {layout.command} wrote"
    raise CacheError(f"{path} is not a mottool {layout.kind}", fix)


def _read_header(file: h5py.File, path: Path, layout: Layout[H]) -> tuple[H, bool]:
    """Return the header that `write_header` wrote, and whether the file is complete.

    Raises `CacheError` for another schema, and `KeyError` or `ValueError` for damage.
    """
    _check_schema(file, path, layout)
    attributes = dict(file.attrs)  # each is read once: that takes as long as for a dataset
    values: dict[str, Any] = {}
    for item in dataclasses.fields(layout.header):  # type: ignore[arg-type]  # H is a dataclass
        if item.metadata.get("optional") and item.name not in attributes:
            continue
        value = attributes[item.name]
        if item.type in {int, float}:
            values[item.name] = item.type(value)
        elif isinstance(value, str):
            values[item.name] = value
        else:
            raise ValueError(f"attribute {item.name} is not text")
    values["settings"] = json.loads(values["settings"])
    if not isinstance(values["settings"], dict):
        raise ValueError("attribute settings is not a JSON object")
    if attributes.get("checksum", "") not in {"", _checksum(attributes)}:
        raise ValueError("its attributes differ from their checksum")
    return layout.header(**values), bool(attributes["complete"])


def _check_links(file: h5py.File, layout: Layout[Any]) -> None:
    """Raise a `ValueError` if a group of the layout links to something outside of it."""
    for name in sorted({f"/{name}".rpartition("/")[0] for name in layout.datasets}):
        group = file[name or "/"]
        if not isinstance(group, h5py.Group):
            raise ValueError(f"{name} is not a group")
        for child in group:
            _check_link(group, child)


def _check_link(group: h5py.Group, child: str) -> None:
    if not isinstance(group.get(child, getlink=True), h5py.HardLink):
        raise ValueError(f"/{child} is a link that may lead out of the file")


def _check_datasets(file: h5py.File, layout: Layout[Any]) -> dict[str, int]:
    """Return the lengths of a file after a check of all its pointers and datasets."""
    lengths: dict[str, int] = {}
    first = next(iter(layout.pointers), "")
    for name, counted in layout.pointers.items():
        items, lengths[counted] = _check_pointer(file, name, layout.pointer)
        if lengths.setdefault(layout.items, items) != items:
            raise ValueError(f"/{name} and /{first} count different {layout.items}")
    for name, spec in layout.datasets.items():
        if not spec.optional or name in file:
            dataset = _require_stored(file, name, spec)
            _check_shape(dataset, name, spec, lengths.setdefault(spec.length, len(dataset)))
    lengths.setdefault(layout.items, 0)
    return lengths


def _check_pointer(file: h5py.File, name: str, spec: DatasetSpec) -> tuple[int, int]:
    """Return the number of items of a pointer and the length that it ends at."""
    dataset = _require_stored(file, name, spec)
    _check_shape(dataset, name, spec, len(dataset))
    pointer = dataset[:]
    if len(pointer) == 0 or pointer[0] != 0 or (pointer[1:] < pointer[:-1]).any():
        raise ValueError(f"/{name} does not rise from 0")
    return len(pointer) - 1, int(pointer[-1])


def _require_stored(file: h5py.File, name: str, spec: DatasetSpec) -> h5py.Dataset:
    """Return a dataset; raise a `ValueError` if its data is not all stored in this file."""
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise ValueError(f"/{name} does not keep its data in this file")
    # Missing chunks would be read as zeros, or fill the memory.
    if not spec.compressed:
        stored = dataset.id.get_storage_size() >= dataset.nbytes
    else:
        stored = dataset.chunks == (1, *dataset.shape[1:])
    if not (stored and _has_all_chunks(dataset)):
        raise ValueError(f"/{name} is shorter than it says")
    return dataset


def _has_all_chunks(dataset: h5py.Dataset) -> bool:
    """Return whether the index of a dataset has each of its chunks."""
    if dataset.chunks is None or not dataset.size:
        return True
    offsets: set[tuple[int, ...]] = set()
    dataset.id.chunk_iter(lambda chunk: offsets.add(chunk.chunk_offset))
    steps = [
        range(0, length, step) for length, step in zip(dataset.shape, dataset.chunks, strict=True)
    ]
    return offsets.issuperset(product(*steps))


def _check_shape(dataset: h5py.Dataset, name: str, spec: DatasetSpec, rows: int) -> None:
    sizes = dataset.shape[1:] if dataset.ndim == 1 + len(spec.row) else (1,) * len(spec.row)
    row = tuple(size or actual for size, actual in zip(spec.row, sizes, strict=True))
    if dataset.shape != (rows, *row) or 0 in row or dataset.dtype != np.dtype(spec.dtype):
        actual = f"{dataset.dtype} {dataset.shape}"
        raise ValueError(f"/{name} is {actual}, but must be {spec.dtype} {(rows, *row)}")
