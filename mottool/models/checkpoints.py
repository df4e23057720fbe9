"""Weights files: read by content without executing anything pickled, and fitted tensor by tensor.

PyTorch's files are pickles, which can run any code when opened carelessly. Here they are read
with `weights_only`, which builds tensors and plain containers and refuses everything else.
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

from mottool.errors import CheckpointError

__all__ = ["Checkpoint", "dimension", "fit", "looks_like", "read"]

DOWNLOAD = "download or copy it again and compare its size with the source's"
SHOWN = 12  # names listed in a message


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a weights file by the names it gives them, and the file's SHA-256 in hex."""

    tensors: dict[str, Tensor]
    sha256: str


def read(path: Path) -> Checkpoint:
    """Read a weights file: PyTorch (zip or legacy), or safetensors; tensors land on the CPU.

    What wraps the tensors is taken off: `{"state_dict": …}`, `{"model": …}`, and `module.`
    before every name, which parallel training leaves. Raises `CheckpointError` for a file that
    is missing, empty, cut short, no weights file, or that holds anything but tensors.
    """
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            head = file.read(64)
    except OSError as error:
        fix = "check the path given with --weights"
        raise CheckpointError(f"cannot read {path}: {error.strerror}", fix) from error
    if not head:
        raise CheckpointError(f"{path} is empty", DOWNLOAD)
    for recognised, reader in READERS:
        if recognised(head):
            return Checkpoint(_state_dict(path, reader(path)), sha256)
    if head.lstrip()[:1] == b"<":
        fix = "open it in a browser to see why, then download the weights themselves"
        raise CheckpointError(f"{path} is a web page, not a weights file", fix)
    fix = "give a PyTorch .pth or .pt file, or a .safetensors file"
    raise CheckpointError(f"{path} is not a weights file of a known format", fix)


def _torch(path: Path) -> object:
    """The content of a PyTorch file, as far as it is tensors and plain containers."""
    try:
        with warnings.catch_warnings():
            # It warns of TorchScript and of other pickle protocols before it refuses or reads.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        if named is None:
            raise CheckpointError(f"{path} is damaged", DOWNLOAD) from error
        problem = (
            f"{path} holds more than tensors ({named[1]}); opening it could run its code, "
            "so it was not opened"
        )
        fix = "ask its author for the state dict alone, as torch.save(model.state_dict(), FILE)"
        raise CheckpointError(problem, fix) from error
    except (RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged or cut short", DOWNLOAD) from error


def _safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or cut short", DOWNLOAD) from error


# How each format begins, and what reads it. A legacy PyTorch file is a bare pickle; safetensors
# begin with the length of their JSON header, 8 bytes.
READERS: tuple[tuple[Callable[[bytes], bool], Callable[[Path], object]], ...] = (
    (lambda head: head.startswith(b"PK\x03\x04"), _torch),
    (lambda head: head.startswith(b"\x80"), _torch),
    (lambda head: head[8:9] == b"{", _safetensors),
)


def _state_dict(path: Path, content: object) -> dict[str, Tensor]:
    """The named tensors in what a reader found."""
    for key in ("state_dict", "model"):
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
    the pipeline that the file seems to be for, if not `pipeline`.
    """
    needed = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    given = {
        name: value
        for name, value in tensors.items()
        if name in needed or not re.match(unused, name)
    }
    if problems := _misfits(needed, given):
        problem = f"these weights do not fit {pipeline}: {_listed(problems)}"
        other = looks_like({*tensors, *file_names})
        if other is None or pipeline.startswith(other):
            fix = f"give the checkpoint that the authors of {pipeline} publish"
        else:
            fix = f"they look like weights of {other}: choose that pipeline or another file"
        raise CheckpointError(problem, fix)
    network.load_state_dict(given)


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


# A pipeline and the names that only its checkpoints hold together; the first that fits counts.
MARKS = (
    ("outrack", {"occlusion.0.weight", "id.0.weight"}),
    ("outrack", {"occlusion.0.weight", "identity.0.weight"}),
    ("otrack", {"tracking.0.weight", "ltrb_amodal.0.weight"}),
    ("otrack", {"displacement.0.weight", "amodal.0.weight"}),
    ("fairmot-dla34", {"dla_up.ida_0.proj_1.conv.weight", "id.0.weight"}),
    ("fairmot-dla34", {"backbone.trunk.base_layer.0.weight", "identity.0.weight"}),
    ("fairmot-resnet34-fpn", {"smooth_layer1.conv.weight", "id.0.weight"}),
    ("fairmot-resnet50", {"deconv_layers.0.weight", "layer1.0.conv3.weight", "id.0.weight"}),
    ("fairmot-resnet34", {"deconv_layers.0.weight", "id.0.weight"}),
    ("fairmot-hrnet18 or fairmot-hrnet32", {"stage4.0.branches.0.0.conv1.weight", "id.0.weight"}),
    ("fairmot-yolov5s", {"backbone.model.0.conv.conv.weight", "id.0.weight"}),
    ("jde", {"module_list.0.conv_0.weight"}),
    ("cstrack", {"model.0.conv.conv.weight", "model.28.m.0.weight"}),
    ("a plain YOLOv5 detector", {"model.0.conv.conv.weight"}),
    ("tdt-mobilenet-nofpn", {"embedder.embedding.weight", "pyramid.lateral.0.weight"}),
    ("tdt-mobilenet", {"embedder.embedding.weight", "backbone.features.0.0.weight"}),
    ("tdt-r50", {"embedder.embedding.weight", "backbone.layer1.0.conv3.weight"}),
    ("tdt-r34", {"embedder.embedding.weight", "backbone.layer1.0.conv1.weight"}),
    ("an OSNet embedder", {"conv1.conv.weight", "conv5.conv.weight", "fc.0.weight"}),
)


def looks_like(names: Iterable[str]) -> str | None:
    """The pipeline whose checkpoints hold such names, None where nothing is recognised."""
    held = set(names)
    return next((pipeline for pipeline, marks in MARKS if marks <= held), None)


def _shape(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape)) or "a single number"


def _listed(items: list[str]) -> str:
    more = len(items) - SHOWN
    return ", ".join(items[:SHOWN]) + (f" and {more} more" if more > 0 else "")
