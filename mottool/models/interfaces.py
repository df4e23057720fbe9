"""What every network promises: raw heads by `forward`, boxes and embeddings by `decode`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

__all__ = ["Decoded", "Deployable", "EmbeddingNetwork", "Network"]


@dataclass(frozen=True)
class Decoded:
    """What a network says about one image, in network pixels, on the network's device.

    `boxes` (n, 4) float32 x1 y1 x2 y2; `scores` (n,) float32 in [0, 1]; `classes` (n,) int64,
    0 = person; `embeddings` (n, D) float32 of unit length or None; `occlusion_centres` (k, 3)
    float32 x, y, score, or None. A network that sees the previous image too gives `centres`
    (n, 2) float32 x y, the points that it tracks (which need not be the middles of the boxes),
    and `offsets` (n, 2) float32 x y from each to where it was in that image.
    """

    boxes: Tensor
    scores: Tensor
    classes: Tensor
    embeddings: Tensor | None = None
    occlusion_centres: Tensor | None = None
    centres: Tensor | None = None
    offsets: Tensor | None = None


class Network(Protocol):
    """A detector that may embed what it detects."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Raw heads by name, before sigmoid or normalisation, from images (B, 3, H, W)."""
        ...

    def decode(self, heads: dict[str, Tensor], min_score: float) -> list[Decoded]:
        """One `Decoded` per image, of the detections that score above `min_score`."""
        ...


@runtime_checkable
class Deployable(Protocol):
    """A network that has a faster form for inference."""

    def deployed(self) -> nn.Module:
        """Return a copy whose heads differ by rounding only, and that cannot be trained."""
        ...


class EmbeddingNetwork(Network, Protocol):
    """A network whose embeddings can be read at boxes that are not its own."""

    def embed_at(self, heads: dict[str, Tensor], boxes: Sequence[Tensor]) -> list[Tensor]:
        """Each image's embeddings (n, D) float32 of unit length, of its boxes (n, 4).

        Boxes are x1 y1 x2 y2 in network pixels and may lie anywhere.
        """
        ...
