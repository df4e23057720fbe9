"""What runtimes take and return: a loaded network, and a function that computes its heads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mottool.models.device import Compute

__all__ = ["FEATURES", "Forward", "LoadedNetwork"]

FEATURES = "features"  # name of the output of a network that returns one tensor


class Forward(Protocol):
    """Computes the heads of a network."""

    def __call__(self, *images: Tensor) -> dict[str, Tensor]:
        """Return the heads by name, of any number of images (B, C, H, W) per input."""
        ...


@dataclass(frozen=True)
class LoadedNetwork:
    """A network with its weights, in evaluation mode on its device, and what identifies it.

    `weights` is the sha256 of its checkpoint. Its inputs have `channels` channels each and the
    `size` (width, height) in pixels; a converted network computes `batch` images at a time.
    """

    name: str
    weights: str
    module: nn.Module
    compute: Compute
    size: tuple[int, int]
    batch: int = 1
    channels: tuple[int, ...] = (3,)

    def heads(self, *images: Tensor) -> dict[str, Tensor]:
        """Compute the heads by eager PyTorch, in the precision of the caller's autocast."""
        heads: Mapping[str, Tensor] | Tensor = self.module(*images)
        return {FEATURES: heads} if isinstance(heads, Tensor) else dict(heads)

    def example(self) -> tuple[Tensor, ...]:
        """Return inputs to convert or measure with: smooth noise with values from 0 to 1."""
        width, height = self.size
        generator = torch.Generator().manual_seed(0)
        coarse = torch.rand(self.batch, sum(self.channels), 24, 24, generator=generator)
        images = nn.functional.interpolate(coarse, (height, width), mode="bilinear")
        parts = torch.split(images, [*self.channels], dim=1)
        return tuple(part.contiguous().to(self.compute.device) for part in parts)

    def identity(self) -> dict[str, Any]:
        """Return what a conversion of the network depends on, as JSON values."""
        return {
            "network": self.name,
            "weights": self.weights,
            "size": [*self.size],
            "batch": self.batch,
            "channels": [*self.channels],
            "device": str(self.compute.device),
            "precision": str(self.compute.dtype),
        }
