"""The runtime `compiled`: the network compiled by `torch.compile`."""

import warnings
from typing import Any

import torch
from torch import Tensor

from mottool.runtimes.chunks import chunked
from mottool.runtimes.interfaces import Forward, LoadedNetwork
from mottool.runtimes.precision import cast_weights

__all__ = ["open_compiled"]


def open_compiled(network: LoadedNetwork) -> Forward:
    """Return the compiled `forward`; the first call compiles it, which takes up to minutes.

    PyTorch keeps the result in a cache of its own. CUDA graphs are off: torchvision's deformable
    convolution runs on another stream, which a graph would silently leave out.
    """
    heads: Any = torch.compile(cast_weights(network).heads, dynamic=False)

    def run(images: Any) -> dict[str, Tensor]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the compiler
            computed: dict[str, Tensor] = heads(*images)
        return computed

    return chunked(run, network.batch)
