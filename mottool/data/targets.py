"""Labels of one training image, and what the targets made from them have in common."""

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor

__all__ = ["Labels", "Targets"]


@dataclass(frozen=True)
class Targets:
    """Tensors (of a batch, say) that travel together between devices."""

    def to(self, device: torch.device | str) -> Self:
        """The same on another device, nested ones and dicts of them too."""
        moved = {field.name: _to(getattr(self, field.name), device) for field in fields(self)}
        return replace(self, **moved)


def _to(value: Any, device: torch.device | str) -> Any:
    if isinstance(value, Tensor | Targets):
        return value.to(device)
    if isinstance(value, dict):
        return {key: _to(inner, device) for key, inner in value.items()}
    return value


@dataclass(frozen=True)
class Labels(Targets):
    """The people in one image as the network sees it, after letterbox and augmentation.

    `boxes` (n, 4) float32 x1 y1 x2 y2 in network pixels, which may reach out of the image;
    boxes without area are passed over. `identities` (n,) int64, 0 to one less than the number of
    identities, or -1 where unknown. `embeddings` (n, D) float32, a teacher's, or None.
    """

    boxes: Tensor
    identities: Tensor
    embeddings: Tensor | None = None

    @property
    def with_area(self) -> Tensor:
        """Which boxes have an area, (n,) bool."""
        return (self.boxes[:, 2:] > self.boxes[:, :2]).all(1)
