"""The runtimes `torch` and `channels-last`: the network as PyTorch calls it."""

import torch
from torch import Tensor

from mottool.runtimes.interfaces import Forward, LoadedNetwork

__all__ = ["open_channels_last", "open_torch"]


def open_torch(network: LoadedNetwork) -> Forward:
    """Return the network's own `forward`."""
    return network.heads


def open_channels_last(network: LoadedNetwork) -> Forward:
    """Return the network's `forward` on images in the memory order (B, H, W, C).

    Convolutions of a CPU need no reordering then. The weights stay as they are: a converted copy
    would double the memory, and PyTorch converts them in a fraction of the time of a convolution.
    """

    def forward(*images: Tensor) -> dict[str, Tensor]:
        ordered = [part.contiguous(memory_format=torch.channels_last) for part in images]
        heads = network.heads(*ordered)
        return {name: head.contiguous() for name, head in heads.items()}

    return forward
