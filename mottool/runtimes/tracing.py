"""Trace a network for conversion."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mottool.runtimes.interfaces import LoadedNetwork

__all__ = ["FlatHeads", "converting", "head_names", "traced"]


class FlatHeads(nn.Module):
    """A network that returns its heads as a tuple, which exporters understand."""

    def __init__(self, network: LoadedNetwork) -> None:
        """Wrap the network."""
        super().__init__()
        self.module, self._heads = network.module, network.heads
        # The ONNX exporter restores the mode of this module, and with it that of the network.
        self.train(network.module.training)

    def forward(self, *images: Tensor) -> tuple[Tensor, ...]:
        """Return the heads in their order.

        They are copied, because a head that the network keeps, as TDT does its anchors, is no
        result of an operation that a trace records.
        """
        return tuple(head.clone() for head in self._heads(*images).values())


@torch.no_grad()
def head_names(network: LoadedNetwork) -> list[str]:
    """Return the names of the heads in their order."""
    return [*network.heads(*network.example())]


@torch.no_grad()
def traced(network: LoadedNetwork) -> Any:
    """Record the operations of a network on its example."""
    trace: Any = torch.jit.trace
    return trace(FlatHeads(network), network.example(), strict=False, check_trace=False)


@contextmanager
def converting(network: LoadedNetwork) -> Iterator[None]:
    """Compute in float32 as outside of inference, and hide the warnings of exporters.

    They warn of sizes that become constants, which is wanted here.
    """
    with (
        warnings.catch_warnings(),
        torch.inference_mode(False),
        torch.autocast(network.compute.device.type, enabled=False),
    ):
        warnings.simplefilter("ignore")
        yield
