"""PyTorch files, read without executing anything in them.

PyTorch files are pickles, which can run any code when they are opened carelessly.
`torch.load(weights_only=True)` builds tensors and plain containers, and refuses every other class
or function that a file names. Such names are common: training leaves objects beside the tensors,
and the authors of CSTrack and YOLOv5 saved whole modules. A second attempt therefore replaces each
name by an empty class, `Stub`. A stub keeps the state that the file has for the object, and nothing
that the file names is imported or called.
"""

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator
from io import BytesIO
from os import SEEK_END
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from mottool.checkpoints.pickle_limits import PickleLimitError, check_pickle
from mottool.errors import CheckpointError

__all__ = ["DOWNLOAD_FIX", "RESAVE_FIX", "WRAPPERS", "ZIP", "read_torch_file"]

WRAPPERS = ("state_dict", "model")  # keys under which a file may keep its tensors
ZIP = b"PK\x03\x04"  # how a zip archive begins
LEGACY_PICKLES = 4  # magic number, protocol, byte order, then the content
PYTHON2_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # as torch.save writes them

DOWNLOAD_FIX = "download or copy it again and compare its size with the source's"
RESAVE_FIX = "save its tensors with the code that wrote it: torch.save(model.state_dict(), FILE)"


class Stub:
    """The replacement of an object: it keeps the pickled state and has no behaviour."""

    state: object = None

    def __new__(cls, *arguments: object) -> "Stub":
        """Create a stub; the arguments that the object would get are dropped."""
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        self.state = state


class NoNetworkError(ValueError):
    """A pickled object that is not a module with tensors; the text says why."""


def read_torch_file(path: Path) -> tuple[object, str]:
    """Return the content of a PyTorch file, zip or legacy, and the first foreign name in it.

    The tensors are on the CPU. A whole module, alone or under a key of `WRAPPERS`, is replaced by
    its state dict. A foreign name is that of a class or function beyond tensors and plain
    containers, "" if there is none. Raises `CheckpointError` for a file that is damaged, larger
    unpacked than on the disk, a TorchScript program, or not readable without executing it.
    """
    try:
        with path.open("rb") as file:
            _check_archive(path, file)
            names = _names(file)
            try:
                return _load(file), ""
            except pickle.UnpicklingError as error:
                match = re.search(r"GLOBAL ([\w.]+)", str(error))
            with torch.serialization.safe_globals([_stub_class(name) for name in names]):
                content = _load(file)
        return _without_stubs(content), match[1] if match else ""
    except pickle.UnpicklingError as error:
        # torch wraps the reason in advice to execute the file.
        reason = str(error.__context__ or error).partition(". ")[0].rstrip(".")
        if "persistent_load" in reason:
            reason = "it holds a whole module in PyTorch's legacy format"
        problem = f"{path} cannot be read without executing it: {reason}"
        raise CheckpointError(problem, RESAVE_FIX) from error
    except NoNetworkError as error:
        raise CheckpointError(f"{path} holds no network: {error}", RESAVE_FIX) from error
    except PickleLimitError as error:
        raise CheckpointError(f"{path} is not read: {error}", RESAVE_FIX) from error
    except CheckpointError:
        raise
    except Exception as error:  # a damaged or hostile file can provoke any
        raise CheckpointError(f"{path} is damaged or cut short", DOWNLOAD_FIX) from error


def _check_archive(path: Path, file: IO[bytes]) -> None:
    """Refuse a zip archive that is a TorchScript program, or larger unpacked than on the disk.

    torch.save never compresses, while a small compressed archive can fill the memory.
    """
    if file.read(len(ZIP)) != ZIP:
        return
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
    if any(member.filename.endswith("/constants.pkl") for member in members):
        problem = f"{path} is a TorchScript program, not a checkpoint"
        raise CheckpointError(problem, "give the checkpoint that it was exported from")
    if sum(member.file_size for member in members) > file.seek(0, SEEK_END):
        raise ValueError("a compressed archive, which torch.save does not write")


def _load(file: IO[bytes]) -> Any:
    """Load an open file with `weights_only`; a file and not its path, whose suffix torch trusts."""
    file.seek(0)
    with warnings.catch_warnings():
        # torch warns of other pickle protocols before it reads or refuses them.
        warnings.simplefilter("ignore")
        return torch.load(file, map_location=_fix_size, weights_only=True)


def _fix_size(storage: Any, location: str) -> Any:
    """Return a storage as it is on the CPU, but not resizable.

    torch would enlarge it, by gigabytes if need be, for a tensor that reaches beyond its end.
    """
    return storage[:]


def _names(file: IO[bytes]) -> set[str]:
    """Return the dotted names of the classes and functions that an open file refers to.

    Raises an exception as `check_pickle`.
    """
    file.seek(0)
    pickles, count = file, LEGACY_PICKLES
    if file.read(len(ZIP)) == ZIP:
        with zipfile.ZipFile(file) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
            pickles, count = BytesIO(archive.read(name)), 1
    else:
        file.seek(0)
    names = set()
    for _ in range(count):
        for operation, argument in check_pickle(pickles):
            if operation == "GLOBAL":
                module, name = str(argument).split(" ")
                names.add(f"{PYTHON2_MODULES.get(module, module)}.{name}")
    return names


def _stub_class(name: str) -> type[Stub]:
    """Create a stub class with a dotted name, as `safe_globals` expects it."""
    module, _, last = name.rpartition(".")
    return type(last, (Stub,), {"__module__": module})


def _without_stubs(content: object) -> object:
    """Replace a whole module, alone or under a key of `WRAPPERS`, by its state dict."""
    for key in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), Stub):
            content = content[key]
            break
    if not isinstance(content, Stub):
        return content
    tensors = dict(_tensors(content))
    if not tensors:
        raise NoNetworkError(f"an object of the class {type(content).__name__} without tensors")
    return tensors


def _tensors(
    module: object, prefix: str = "", parents: frozenset[int] = frozenset()
) -> Iterator[tuple[str, Tensor]]:
    """Yield names and values as `nn.Module.state_dict` does, from the states of stubs.

    That method itself would call hooks that the file may hold.
    """
    state = module.state if isinstance(module, Stub) else None
    if not isinstance(state, dict) or id(module) in parents:
        raise NoNetworkError(f"{prefix.rstrip('.') or 'its object'} is not a module")
    transient = state.get("_non_persistent_buffers_set", ())
    values = dict(state.get("_parameters", {}))
    values |= {name: v for name, v in state.get("_buffers", {}).items() if name not in transient}
    for name, value in values.items():
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        elif value is not None:
            raise NoNetworkError(f"{prefix}{name} is not a tensor")
    for name, child in state.get("_modules", {}).items():
        if child is not None:
            yield from _tensors(child, f"{prefix}{name}.", parents | {id(module)})
