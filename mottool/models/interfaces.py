"""Protocols of networks: `forward` returns raw heads, `decode` boxes and embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

__all__ = ["Decoded", "Deployable", "Detailed", "EmbeddingNetwork", "Network"]


@dataclass(frozen=True)
class Decoded:
    """The detections of one image, in network pixels, on the CPU.

    `boxes` (n, 4) float32 x1 y1 x2 y2; `scores` (n,) float32 in [0, 1]; `classes` (n,) int64,
    0 = person; `embeddings` (n, D) float32 of unit length or None; `occlusion_centres` (k, 3)
    float32 x, y, score, or None. A network with two input images also returns
    `centres` (n, 2) float32 x y, the tracked points (not necessarily the box centres), and
    `offsets` (n, 2) float32 x y from each centre to its position in the previous image.
    """

    boxes: Tensor
    scores: Tensor
    classes: Tensor
    embeddings: Tensor | None = None
    occlusion_centres: Tensor | None = None
    centres: Tensor | None = None
    offsets: Tensor | None = None


class Network(Protocol):
    """A detection network, optionally with embeddings."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return raw heads by name, before sigmoid or normalisation, from images (B, 3, H, W)."""
        ...

    def decode(self, heads: dict[str, Tensor], min_score: float) -> list[Decoded]:
        """Return one `Decoded` per image, with the detections that score above `min_score`.

        The transfers to the CPU, for which a GPU must finish its work, are as many for a batch as
        for one image.
        """
        ...


@runtime_checkable
class Deployable(Protocol):
    """A network with a faster form for inference."""

    def deployed(self) -> nn.Module:
        """Return a copy whose heads differ by rounding only, and that cannot be trained."""
        ...


@runtime_checkable
class Detailed(Protocol):
    """A network with learned values that `mottool weights verify` shows."""

    def details(self) -> dict[str, object]:
        """Return values for JSON, by name."""
        ...


class EmbeddingNetwork(Network, Protocol):
    """A network whose embeddings can be read at given boxes."""

    def embed_at(self, heads: dict[str, Tensor], boxes: Sequence[Tensor]) -> list[Tensor]:
        """Return each image's unit-length embeddings (n, D) float32 at its boxes (n, 4).

        Boxes are x1 y1 x2 y2 in network pixels and may lie anywhere. Both are on the network's
        device.
        """
        ...
