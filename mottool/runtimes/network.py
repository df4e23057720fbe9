"""A network whose heads are computed by a runtime."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from mottool.runtimes.interfaces import FEATURES, Forward, LoadedNetwork

__all__ = ["RuntimeNetwork"]


class RuntimeNetwork:
    """A network whose `forward` a runtime computes; everything else is the network's own.

    The runtime is opened by the first call, since a complete cache needs no call.
    """

    def __init__(self, network: LoadedNetwork, open_runtime: Callable[[], Forward]) -> None:
        """Create the network; `open_runtime` returns what computes its heads."""
        self.module = network.module
        self._open = open_runtime
        self._forward: Forward | None = None

    def forward(self, *images: Tensor) -> dict[str, Tensor] | Tensor:
        """Compute what the network's own `forward` does of images (B, C, H, W)."""
        if self._forward is None:
            self._forward = self._open()
        heads = self._forward(*images)
        return heads.get(FEATURES, heads)

    __call__ = forward

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the network, such as `decode` or `embed_at`."""
        return getattr(self.module, name)
