"""Read a weights file by its content, without executing anything in it.

PyTorch's files are pickles, which can run any code when opened carelessly. Here they are read
with `weights_only`, which builds tensors and plain containers and refuses everything else.
A file that is refused is parsed by `torch_files`, which calls nothing either.
"""

import hashlib
import pickle
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mottool.checkpoints.darknet import DarknetLayer, read_darknet_weights
from mottool.checkpoints.fitting import listed
from mottool.checkpoints.torch_files import WRAPPERS, read_foreign
from mottool.errors import CheckpointError

__all__ = ["Checkpoint", "is_darknet", "read"]

DOWNLOAD = "download or copy it again and compare its size with the source's"

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
        raise CheckpointError(f"{path} holds more than tensors: {listed(odd)}", fix)
    return {str(name).removeprefix("module."): value for name, value in content.items()}
