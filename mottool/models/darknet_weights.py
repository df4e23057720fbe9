"""Darknet's `.weights` files: a header, then every layer's float32 values end to end, unnamed.

The file says nothing of names or shapes, so the reader is told which convolutions to expect, in
the order of the network's cfg file. Per convolution it holds, little-endian: with batch norm its
bias, weight, running mean and running variance, without it the convolution's bias; then the
kernels (out, in, height, width). The order is darknet's own (parser.c, load_convolutional_weights).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mottool.errors import CheckpointError

__all__ = ["DarknetLayer", "read_darknet_weights"]

HEADER_BYTES = 20  # int32 major, minor, revision; int64 count of the images seen in training


@dataclass(frozen=True)
class DarknetLayer:
    """One convolution of the file: `conv` and `norm` are the names its tensors get.

    `shape` is that of the kernels: (out, in, height, width); `norm` is None without batch norm.
    """

    conv: str
    norm: str | None
    shape: tuple[int, ...]

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Names and shapes of the layer's tensors in the order of the file."""
        out = self.shape[:1]
        if self.norm is None:
            yield f"{self.conv}.bias", out
        else:
            for value in ("bias", "weight", "running_mean", "running_var"):
                yield f"{self.norm}.{value}", out
        yield f"{self.conv}.weight", self.shape


def read_darknet_weights(path: Path, layers: Iterable[DarknetLayer]) -> dict[str, Tensor]:
    """The tensors of `path` by name, float32, for exactly the convolutions in `layers`.

    Raises `CheckpointError` if the file cannot be read or its size is not the one these layers
    take, as with a truncated file or one for another network.
    """
    shapes = dict(pair for layer in layers for pair in layer.tensors())
    expected = HEADER_BYTES + 4 * sum(prod(shape) for shape in shapes.values())
    try:
        found = path.stat().st_size
        if found != expected:
            raise CheckpointError(
                f"{path} is {found} bytes long, but as the darknet weights of this network it "
                f"would be {expected}",
                "download it again, or choose the pipeline it was trained for",
            )
        values = np.fromfile(path, "<f4", offset=HEADER_BYTES).astype(np.float32, copy=False)
    except OSError as error:
        raise CheckpointError(
            f"cannot read {path}: {error.strerror or error}", "give the path of a weights file"
        ) from error
    parts = torch.split(torch.from_numpy(values), [prod(shape) for shape in shapes.values()])
    return {
        name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }
