"""Read a weights file by its content, without executing anything in it."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mottool.checkpoints.darknet import DarknetLayer, read_darknet_weights
from mottool.checkpoints.fitting import join_names
from mottool.checkpoints.torch_files import (
    DOWNLOAD_FIX,
    RESAVE_FIX,
    WRAPPERS,
    ZIP,
    read_torch_file,
)
from mottool.errors import CheckpointError

__all__ = ["Checkpoint", "is_darknet", "read"]

SHARED = 8  # largest ratio of tensors to file; tensors may share their values
# How the other formats begin.
PICKLE = b"\x80"
LFS_POINTER = b"version https://git-lfs"
DARKNET = tuple(bytes((0, 0, 0, 0, minor, 0, 0, 0)) for minor in (1, 2))  # int32 major, minor


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a weights file by the names that the file gives them.

    `sha256` is the digest of the file, in hex; `format` describes its format. `foreign` is the
    first class or function that a pickle names beyond tensors and plain containers, "" if there is
    none; it was not imported.
    """

    tensors: dict[str, Tensor]
    sha256: str
    format: str
    foreign: str = ""


def read(path: Path, darknet: Callable[[], Iterable[DarknetLayer]] | None = None) -> Checkpoint:
    """Read a weights file: PyTorch (zip or legacy), safetensors or darknet; onto the CPU.

    Unwrap `{"state_dict": …}`, `{"model": …}` and whole pickled modules, and remove the prefix
    `module.` that parallel training adds to every name. Values in darknet files have no names:
    `darknet` returns the layers of the network that the file is for. Raises `CheckpointError` for
    a file that is missing, empty, cut short or not a weights file.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a device has no end
            raise CheckpointError(f"{path} is not a regular file", "name a weights file")
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            head = file.read(64)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}", "check the path") from error
    if _is_safetensors(head):
        return Checkpoint(_state_dict(path, _safetensors(path)), sha256, "safetensors")
    if head.startswith((ZIP, PICKLE)):
        format = "PyTorch zip archive" if head.startswith(ZIP) else "PyTorch legacy file"
        content, foreign = read_torch_file(path)
        return Checkpoint(_state_dict(path, content), sha256, format, foreign)
    if head.startswith(DARKNET):
        if darknet is None:
            fix = "choose a pipeline that darknet weights are published for, such as jde-1088x608"
            raise CheckpointError(f"{path} holds darknet weights, which have no names", fix)
        return Checkpoint(read_darknet_weights(path, darknet()), sha256, "darknet weights")
    raise _unknown_format(path, head)


def is_darknet(path: Path) -> bool:
    """Return whether a file begins as darknet files do; False for one that cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError:
        return False
    return head.startswith(DARKNET) and not _is_safetensors(head)


def _is_safetensors(head: bytes) -> bool:
    """Return whether a file begins with the length of a JSON header, at most 100 MB, and `{`.

    Check this first: the bytes of the length may equal the beginning of any other format.
    """
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= 10**8


def _unknown_format(path: Path, head: bytes) -> CheckpointError:
    """Return the error for a file in none of the formats."""
    if not head:
        return CheckpointError(f"{path} is empty", DOWNLOAD_FIX)
    if head.lstrip()[:1] == b"<":
        fix = "open it in a browser to see why, then download the weights themselves"
        return CheckpointError(f"{path} is a web page, not a weights file", fix)
    if head.startswith(LFS_POINTER):
        fix = "run git lfs pull in its repository, or download the file from the website"
        return CheckpointError(f"{path} is a pointer of Git LFS, not the file itself", fix)
    fix = "give a PyTorch .pth or .pt file, a .safetensors file or darknet .weights"
    return CheckpointError(f"{path} is not a weights file of a known format", fix)


def _safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or cut short", DOWNLOAD_FIX) from error


def _state_dict(path: Path, content: object) -> dict[str, Tensor]:
    """Return the named tensors in the content of a file."""
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(f"{path} holds no named tensors", RESAVE_FIX)
    other = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if other:
        raise CheckpointError(f"{path} holds more than tensors: {join_names(other)}", RESAVE_FIX)
    # The method of the class, because a pickle may set attributes of its tensors.
    tensors = {str(name).removeprefix("module."): Tensor.detach(content[name]) for name in content}
    size = path.stat().st_size
    if odd := [name for name, value in tensors.items() if not _is_plain(value, size)]:
        problem = (
            f"{path} holds tensors that are sparse, quantised, complex or larger than the file"
        )
        raise CheckpointError(f"{problem}: {join_names(odd)}", DOWNLOAD_FIX)
    if sum(value.numel() * value.itemsize for value in tensors.values()) > SHARED * size:
        problem = f"the tensors of {path} are more than {SHARED} times larger than the file"
        raise CheckpointError(problem, RESAVE_FIX)
    return tensors


def _is_plain(tensor: Tensor, size: int) -> bool:
    """Return whether a tensor is dense, on the CPU, and not larger than a file of `size` bytes.

    Strides of zero make any number of values out of a few bytes.
    """
    dense = tensor.layout is torch.strided and tensor.device.type == "cpu"
    real = not tensor.is_quantized and not tensor.is_complex()
    return dense and real and tensor.numel() * tensor.itemsize <= size
