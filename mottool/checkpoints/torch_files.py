"""Whole modules pickled into a torch file, by classes that we don't have: their named tensors.

The authors of CSTrack and YOLOv5 saved `{"model": the network object}`, which only their own code
can unpickle, by being run. Here the file's pickles are read as plain data (`inert_pickle`): no
class of theirs is needed and nothing in the file is executed. Both of torch's containers are
read: the zip archive, and the older run of pickles with the numbers behind them.
"""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from os import SEEK_END
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from mottool.checkpoints.inert_pickle import Made, Named, read_inert
from mottool.errors import CheckpointError

__all__ = ["WRAPPERS", "read_foreign"]

WRAPPERS = ("state_dict", "model")  # under which of its entries a file keeps its tensors

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001

DTYPES = {
    "torch DoubleStorage": torch.float64,
    "torch FloatStorage": torch.float32,
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
    "torch LongStorage": torch.int64,
    "torch IntStorage": torch.int32,
    "torch ShortStorage": torch.int16,
    "torch CharStorage": torch.int8,
    "torch ByteStorage": torch.uint8,
    "torch BoolStorage": torch.bool,
}
TENSORS = {"torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2"}
PARAMETERS = {"torch._utils _rebuild_parameter", "torch._utils _rebuild_parameter_with_state"}


@dataclass(frozen=True)
class Storage:
    """A run of `count` numbers that the file keeps outside its pickle, under `key`."""

    key: str
    dtype: torch.dtype
    count: int

    @property
    def size(self) -> int:
        """In bytes."""
        return self.count * self.dtype.itemsize


Fetch = Callable[[Storage], bytearray]


def read_foreign(path: Path) -> dict[str, Tensor]:
    """The tensors of the network in `path` under their dotted names, as its state dict has them.

    The network is the file's object or its entry of `WRAPPERS`: a pickled module, or tensors by
    name. What else the file holds is passed over.
    Parameters and persistent buffers come in the file's own precision, on the CPU. Raises
    `CheckpointError` if the file is no torch file, damaged, or holds no such thing.
    """
    with _told(path), path.open("rb") as file:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                return _tensors(*_from_zip(archive))
        file.seek(0)
        return _tensors(*_from_legacy(file))


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn whatever is wrong with the file into a `CheckpointError`."""
    fix = "download it again, or give the file of a network that mottool knows"
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"cannot read {path}: {error.strerror or error}", "give the path of a weights file"
        ) from error
    # RuntimeError and NotImplementedError: zipfile's for encryption and unknown compression.
    except (ValueError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} cannot be read as a torch file: {error}", fix) from error


def _from_zip(archive: zipfile.ZipFile) -> tuple[Any, Fetch]:
    pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError("a zip archive, but not torch's")
    # Torch never compresses: so no member can be larger than the file it comes from.
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
        raise ValueError("a compressed archive, which torch doesn't write")
    root = pickles[0].removesuffix("data.pkl")
    if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") != b"little":
        raise ValueError("its numbers are in big-endian order")

    def fetch(storage: Storage) -> bytearray:
        member = f"{root}data/{storage.key}"
        if member not in archive.namelist():
            raise ValueError(f"the numbers {storage.key!r} are missing")
        entry = archive.getinfo(member)
        if entry.file_size < storage.size:
            raise ValueError(f"the numbers {storage.key!r} are not as many as announced")
        return bytearray(archive.read(entry)[: storage.size])

    with archive.open(pickles[0]) as file:
        return read_inert(file, _storage), fetch


def _from_legacy(file: IO[bytes]) -> tuple[Any, Fetch]:
    def plain(identity: object) -> object:
        raise ValueError("a reference to numbers where there are none")

    magic, protocol = read_inert(file, plain), read_inert(file, plain)
    if (magic, protocol) != (LEGACY_MAGIC, LEGACY_PROTOCOL):
        raise ValueError("it is no file of torch.save")
    system = read_inert(file, plain)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("its numbers are in big-endian order")

    storages: dict[str, Storage] = {}

    def noted(identity: object) -> object:
        storage = _storage(identity)
        if isinstance(storage, Storage) and storages.setdefault(storage.key, storage) != storage:
            raise ValueError(f"the numbers {storage.key!r} are described twice")
        return storage

    found = read_inert(file, noted)
    keys = read_inert(file, plain)
    start, end = file.tell(), file.seek(0, SEEK_END)
    starts: dict[str, int] = {}
    for key in keys if isinstance(keys, list) else []:
        storage = storages.get(key) if isinstance(key, str) else None
        if storage is None or start + 8 + storage.size > end:
            raise ValueError("it ends before its numbers do")
        file.seek(start)
        if int.from_bytes(file.read(8), "little") != storage.count:
            raise ValueError(f"the numbers {key!r} are not as many as announced")
        starts[key] = start + 8
        start += 8 + storage.size

    def fetch(storage: Storage) -> bytearray:
        if storage.key not in starts:
            raise ValueError(f"the numbers {storage.key!r} are missing")
        file.seek(starts[storage.key])
        return bytearray(file.read(storage.size))

    return found, fetch


def _storage(identity: object) -> object:
    """What a persistent id stands for: a run of numbers, or (legacy) a module's class."""
    match identity:
        case ("module", Named() as kind, *_):
            return kind
        case ("storage", Named(name), str(key), str(), int(count), *view):
            if name in DTYPES and count >= 0 and view in ([], [None]):
                return Storage(key, DTYPES[name], count)
    raise ValueError("a reference to numbers of an unknown kind")


def _tensors(found: Any, fetch: Fetch) -> dict[str, Tensor]:
    """The named tensors of the file's object, or of its entry of `WRAPPERS`."""
    for key in WRAPPERS:
        if isinstance(found, dict) and isinstance(found.get(key), dict | Made):
            found = found[key]
            break
    named: Iterator[tuple[str, object]]
    if isinstance(found, dict):
        named = iter(_named(found))
    elif isinstance(found, Made) and isinstance(found.state, dict):
        named = _walk(found, "", frozenset())
    else:
        raise ValueError("it holds no network")
    tensors = {name: _tensor(value, fetch) for name, value in named}
    if not tensors:
        raise ValueError("it holds no network")
    return tensors


def _walk(module: Made, prefix: str, above: frozenset[int]) -> Iterator[tuple[str, object]]:
    """Parameters and persistent buffers of a module record, as torch's `state_dict` orders them."""
    state = module.state
    if not isinstance(state, dict) or id(module) in above:
        raise ValueError(f"{prefix or 'its object'} is no module")
    passing = _members(state.get("_non_persistent_buffers_set"))
    for name, value in _named(state.get("_parameters", {})):
        if value is not None:
            yield f"{prefix}{name}", value
    for name, value in _named(state.get("_buffers", {})):
        if value is not None and name not in passing:
            yield f"{prefix}{name}", value
    for name, value in _named(state.get("_modules", {})):
        if isinstance(value, Made):
            yield from _walk(value, f"{prefix}{name}.", above | {id(module)})


def _named(part: object) -> list[tuple[str, Any]]:
    if not isinstance(part, dict) or not all(isinstance(name, str) for name in part):
        raise ValueError("something other than names and values")
    return list(part.items())


def _members(record: object) -> set[object]:
    """What is in a set: plain, or as protocol 2 writes it, a call of `set` with a list."""
    match record:
        case Made(arguments=(list() as members,)):
            return {member for member in members if isinstance(member, str)}
        case set():
            return record
    return set()


def _tensor(record: object, fetch: Fetch) -> Tensor:
    """The tensor that a record of torch's rebuilding functions describes."""
    if isinstance(record, Made) and isinstance(record.maker, Named):
        if record.maker.name in PARAMETERS and record.arguments:
            return _tensor(record.arguments[0], fetch)
        if record.maker.name in TENSORS:
            match record.arguments:
                case (Storage() as storage, int(start), tuple(shape), tuple(strides), *_):
                    return _view(storage, start, shape, strides, fetch)
    raise ValueError("something stands where a tensor should")


def _view(
    storage: Storage, start: int, shape: tuple[Any, ...], strides: tuple[Any, ...], fetch: Fetch
) -> Tensor:
    """The numbers of `storage` from `start` on, laid out by `shape` and `strides`."""
    sound = len(shape) == len(strides) and all(
        isinstance(number, int) and 0 <= number < 2**62 for number in (start, *shape, *strides)
    )
    if not sound or prod(shape) > storage.count:
        raise ValueError("a tensor with an impossible shape")
    if prod(shape) == 0:
        return torch.empty(shape, dtype=storage.dtype)
    last = start + sum((side - 1) * step for side, step in zip(shape, strides, strict=True))
    if last >= storage.count:
        raise ValueError("a tensor that reaches beyond its numbers")
    numbers = torch.frombuffer(fetch(storage), dtype=storage.dtype)
    return numbers.as_strided(shape, strides, start).clone(memory_format=torch.contiguous_format)
