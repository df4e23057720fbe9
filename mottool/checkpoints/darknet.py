"""Read darknet's `.weights` files: a header, then the float32 values of all layers, unnamed.

The file has no names or shapes, so the caller gives the convolutions to expect, in the order of the
network's cfg file. Per convolution it holds, little-endian: with batch norm its bias, weight,
running mean and running variance, without it the convolution's bias; then the kernels (out, in,
height, width). Order and header are darknet's (parser.c, load_convolutional_weights). The header is
int32 major, minor and revision, and the number of images seen in training, an int64 since version
0.2 and an int32 before. Programs written for PyTorch write an int64 for any version.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mottool.errors import CheckpointError

__all__ = ["DarknetLayer", "read_darknet_backbone", "read_darknet_weights"]

HEADER_BYTES = 20  # int32 major, minor, revision; int64 count of the images seen in training
OLD_HEADER_BYTES = 16  # with an int32 count


@dataclass(frozen=True)
class DarknetLayer:
    """One convolution of a file: `conv` and `norm` are the names of its modules.

    `shape` is that of the kernels, (out, in, height, width); `norm` is None without batch norm.
    """

    conv: str
    norm: str | None
    shape: tuple[int, ...]

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield names and shapes of the layer's tensors in the order of the file."""
        out = self.shape[:1]
        if self.norm is None:
            yield f"{self.conv}.bias", out
        else:
            for value in ("bias", "weight", "running_mean", "running_var"):
                yield f"{self.norm}.{value}", out
        yield f"{self.conv}.weight", self.shape


def read_darknet_weights(path: Path, layers: Iterable[DarknetLayer]) -> dict[str, Tensor]:
    """Read the tensors of `path` by name, float32, for exactly the convolutions in `layers`.

    Raises `CheckpointError` if the file cannot be read or does not have the size of these layers,
    such as a truncated file or one for another network.
    """
    shapes = _shapes(layers)
    count = _count(shapes)
    with _readable(path):
        length = path.stat().st_size
        header = _header(path, {count})
        if header is None:
            raise CheckpointError(
                f"{path} is {length} bytes long, but as the darknet weights of this network it "
                f"would be {HEADER_BYTES + 4 * count}",
                "download it again, or choose the pipeline it was trained for",
            )
        return _read(path, header, shapes)


def read_darknet_backbone(
    path: Path, layers: Iterable[DarknetLayer], followed: Mapping[str, int]
) -> dict[str, Tensor]:
    """Read the tensors of a backbone, whose convolutions `layers` are the first of `path`.

    `followed` maps the name of each file that begins with this backbone to the number of values
    after it; the length of `path` must be that of one of them. Raises `CheckpointError` for any
    other length and for a file that cannot be read.
    """
    shapes = _shapes(layers)
    counts = {name: _count(shapes) + more for name, more in followed.items()}
    with _readable(path):
        length = path.stat().st_size
        header = _header(path, set(counts.values()))
        if header is None:
            known = ", ".join(
                f"{name} {HEADER_BYTES + 4 * count}" for name, count in counts.items()
            )
            raise CheckpointError(
                f"{path} is {length} bytes long, but darknet's files with this network's backbone "
                f"are: {known}",
                "download it again, or give one of those",
            )
        return _read(path, header, shapes)


def _shapes(layers: Iterable[DarknetLayer]) -> dict[str, tuple[int, ...]]:
    return dict(pair for layer in layers for pair in layer.tensors())


def _count(shapes: Mapping[str, tuple[int, ...]]) -> int:
    return sum(prod(shape) for shape in shapes.values())


def _header(path: Path, counts: set[int]) -> int | None:
    """Return the length of the header if one of `counts` values follow it, else None."""
    major, minor = np.fromfile(path, "<i4", 2) if path.stat().st_size >= HEADER_BYTES else (0, 2)
    lengths = [HEADER_BYTES] if major * 10 + minor >= 2 else [OLD_HEADER_BYTES, HEADER_BYTES]
    remaining = {header: path.stat().st_size - header for header in lengths}
    return next(
        (header for header in lengths if remaining[header] in {4 * n for n in counts}), None
    )


def _read(path: Path, header: int, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Read the tensors after the header, one per shape."""
    values = np.fromfile(path, "<f4", _count(shapes), offset=header).astype(np.float32, copy=False)
    parts = torch.split(torch.from_numpy(values), [prod(shape) for shape in shapes.values()])
    return {
        name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Convert an `OSError` while reading `path` into a `CheckpointError`."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"cannot read {path}: {error.strerror or error}", "give the path of a weights file"
        ) from error
