"""The runtimes `torch` and `channels-last`: the network as PyTorch calls it."""

import torch
from torch import Tensor

from mottool.runtimes.interfaces import Forward, LoadedNetwork
from mottool.runtimes.precision import cast_weights

__all__ = ["channels_last", "open_channels_last", "open_torch"]


def open_torch(network: LoadedNetwork) -> Forward:
    """Return the network's own `forward`, with weights in the precision of its autocast."""
    return cast_weights(network).heads


def open_channels_last(network: LoadedNetwork) -> Forward:
    """Return the `forward` of `open_torch` on images in the memory order (B, H, W, C).

    Convolutions of a CPU need no reordering then. The weights keep their order: a converted copy
    would double the memory, and PyTorch converts them in a fraction of the time of a convolution.
    """
    return channels_last(cast_weights(network).heads)


def channels_last(heads: Forward) -> Forward:
    """Return a `Forward` that passes images in the memory order (B, H, W, C) to another one.

    The heads are in the order (B, C, h, w).
    """

    def forward(*images: Tensor) -> dict[str, Tensor]:
        ordered = [part.contiguous(memory_format=torch.channels_last) for part in images]
        return {name: head.contiguous() for name, head in heads(*ordered).items()}

    return forward
