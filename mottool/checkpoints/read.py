"""Weights files: read by content without executing anything pickled, and fitted tensor by tensor.

PyTorch's files are pickles, which can run any code when opened carelessly. Here they are read
with `weights_only`, which builds tensors and plain containers and refuses everything else; what
it refuses is read as a description of itself (`foreign_pickle`), which calls nothing either.
"""

import hashlib
import pickle
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mottool.checkpoints.darknet import DarknetLayer, read_darknet_weights
from mottool.checkpoints.torch_files import WRAPPERS, read_foreign
from mottool.errors import CheckpointError
from mottool.models.marks import looks_like

__all__ = ["Checkpoint", "NotFiniteError", "dimension", "fit", "is_darknet", "need_finite", "read"]

DOWNLOAD = "download or copy it again and compare its size with the source's"
SHOWN = 12  # names listed in a message
COUNTER = ".num_batches_tracked"

# How the formats begin.
ZIP, PICKLE = b"PK\x03\x04", b"\x80"
DARKNET = tuple(bytes((0, 0, 0, 0, minor, 0, 0, 0)) for minor in (1, 2))  # int32 major, minor


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a weights file by the names it gives them.

    `sha256` is the file's, in hex; `format` says what kind of file it is; `foreign` names the
    class or function that the file would have had imported, "" if it holds nothing but tensors.
    """

    tensors: dict[str, Tensor]
    sha256: str
    format: str
    foreign: str = ""


class NotFiniteError(CheckpointError):
    """Weights that fit a network, but are no numbers."""


def read(path: Path, darknet: Callable[[], Iterable[DarknetLayer]] | None = None) -> Checkpoint:
    """Read a weights file: PyTorch (zip or legacy), safetensors or darknet; onto the CPU.

    What wraps the tensors is taken off: `{"state_dict": …}`, `{"model": …}`, a whole pickled
    module, and `module.` before every name, which parallel training leaves. Darknet's values have
    no names: `darknet` gives the layers of the network that the file is for. Raises
    `CheckpointError` for a file that is missing, empty, cut short or no weights file.
    """
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            head = file.read(64)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}", "check the path") from error
    if _is_safetensors(head):
        return Checkpoint(_state_dict(path, _safetensors(path)), sha256, "safetensors")
    if head.startswith((ZIP, PICKLE)):
        kind = "PyTorch zip archive" if head.startswith(ZIP) else "PyTorch legacy file"
        content, foreign = _torch(path)
        return Checkpoint(_state_dict(path, content), sha256, kind, foreign)
    if head.startswith(DARKNET):
        if darknet is None:
            fix = "choose a pipeline that darknet weights are published for, such as jde-1088x608"
            raise CheckpointError(f"{path} holds darknet weights, which have no names", fix)
        return Checkpoint(read_darknet_weights(path, darknet()), sha256, "darknet weights")
    raise _unknown(path, head)


def is_darknet(path: Path) -> bool:
    """Whether the file begins as darknet's do; False for one that cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError:
        return False
    return head.startswith(DARKNET) and not _is_safetensors(head)


def _is_safetensors(head: bytes) -> bool:
    """Whether the file begins with the length of a JSON header, at most 100 MB, and the header.

    The length may begin as any other format does, so this is asked first.
    """
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= 10**8


def _unknown(path: Path, head: bytes) -> CheckpointError:
    """What to say of a file that is none of the formats."""
    if not head:
        return CheckpointError(f"{path} is empty", DOWNLOAD)
    if head.lstrip()[:1] == b"<":
        fix = "open it in a browser to see why, then download the weights themselves"
        return CheckpointError(f"{path} is a web page, not a weights file", fix)
    fix = "give a PyTorch .pth or .pt file, a .safetensors file or darknet .weights"
    return CheckpointError(f"{path} is not a weights file of a known format", fix)


def _torch(path: Path) -> tuple[object, str]:
    """The content of a PyTorch file, and what it names beyond tensors and plain containers."""
    try:
        # An open file, because of a path torch believes the ending.
        with path.open("rb") as file, warnings.catch_warnings():
            # It warns of TorchScript and of other pickle protocols before it refuses or reads.
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True), ""
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        return read_foreign(path), named[1] if named else ""
    except (RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError) as error:
        if "TorchScript" in str(error):
            fix = "give the checkpoint that it was exported from"
            raise CheckpointError(
                f"{path} is a TorchScript program, not a checkpoint", fix
            ) from error
        raise CheckpointError(f"{path} is damaged or cut short", DOWNLOAD) from error


def _safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or cut short", DOWNLOAD) from error


def _state_dict(path: Path, content: object) -> dict[str, Tensor]:
    """The named tensors in what a reader found."""
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not content:
        fix = "give a file saved as torch.save(model.state_dict(), FILE)"
        raise CheckpointError(f"{path} holds no named tensors", fix)
    odd = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if odd:
        fix = "give a file saved as torch.save(model.state_dict(), FILE)"
        raise CheckpointError(f"{path} holds more than tensors: {_listed(odd)}", fix)
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def fit(
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    pipeline: str,
    unused: str = r"(?!)",
    file_names: Iterable[str] = (),
) -> None:
    """Load `tensors` into `network`, every one accounted for.

    `unused` is a regular expression of names that the file may hold though `network` has no use
    for them; `file_names` are the names in the file, where `tensors` have been renamed. Raises
    `CheckpointError` with the names that are missing, unexpected or of another shape, and with
    the pipeline that the file seems to be for, if not `pipeline`; `NotFiniteError` as
    `need_finite`. A file may lack batch normalisation's counters of batches, as those of old
    versions of PyTorch do: nothing here reads them.
    """
    own = network.state_dict()
    counters = {name: own[name] for name in own if name.endswith(COUNTER)}
    tensors = {**counters, **tensors}
    needed = {name: tuple(value.shape) for name, value in own.items()}
    given = {
        name: value
        for name, value in tensors.items()
        if name in needed or not re.match(unused, name)
    }
    if problems := _misfits(needed, given):
        problem = f"these weights do not fit {pipeline}: {_listed(problems)}"
        other = looks_like(file_names) or looks_like(tensors)
        fix = f"give a checkpoint of {pipeline}, or name the network that this one is of; "
        fix += "`mottool weights list` says where there is one"
        if other is not None and not pipeline.startswith(other):
            fix = f"they look like weights of {other}: choose a pipeline or a file that fits"
        raise CheckpointError(problem, fix)
    need_finite(given)
    network.load_state_dict(given)


def need_finite(tensors: Mapping[str, Tensor]) -> None:
    """Raise `NotFiniteError` with the names of the tensors that hold NaN or infinity."""
    bad = [name for name, value in tensors.items() if not value.isfinite().all()]
    if bad:
        fix = "take a checkpoint from before its training diverged, or download it again"
        raise NotFiniteError(f"these weights hold NaN or infinity, in {_listed(bad)}", fix)


def _misfits(needed: Mapping[str, tuple[int, ...]], given: Mapping[str, Tensor]) -> list[str]:
    """What is wrong with each name; the first ones are of every kind."""
    shapes = [
        f"{name} is {_shape(value.shape)} instead of {_shape(needed[name])}"
        for name, value in given.items()
        if name in needed and tuple(value.shape) != needed[name]
    ]
    missing = [f"{name} is missing" for name in needed if name not in given]
    unexpected = [f"{name} is unexpected" for name in given if name not in needed]
    rounds = zip_longest(missing, unexpected, shapes)
    return [problem for problems in rounds for problem in problems if problem is not None]


def dimension(tensors: Mapping[str, Tensor], name: str, axis: int, default: int) -> int:
    """How long tensor `name` is along `axis`, `default` where it has no such axis."""
    shape = tensors[name].shape if name in tensors else ()
    return shape[axis] if axis < len(shape) else default


def _shape(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape)) or "a single number"


def _listed(items: list[str]) -> str:
    more = len(items) - SHOWN
    return ", ".join(items[:SHOWN]) + (f" and {more} more" if more > 0 else "")
