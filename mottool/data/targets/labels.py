"""Labels of one training image, and the base class of targets made from labels."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor

__all__ = ["Labels", "Targets"]


@dataclass(frozen=True)
class Targets:
    """A group of tensors that move together, including nested groups and dicts of tensors."""

    def to(self, device: torch.device | str) -> Self:
        """Copy the tensors to another device."""
        return self._map(lambda tensor: tensor.to(device))

    def pin_memory(self) -> Self:
        """Copy the tensors to page-locked memory, for fast copies to a GPU; a loader calls it."""
        return self._map(Tensor.pin_memory)

    def _map(self, function: Callable[[Tensor], Tensor]) -> Self:
        names = [field.name for field in fields(self)]
        return replace(self, **{name: _map(getattr(self, name), function) for name in names})


def _map(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Apply a function to every tensor in a field's value."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, Targets):
        return value._map(function)
    if isinstance(value, dict):
        return {key: _map(inner, function) for key, inner in value.items()}
    return value


@dataclass(frozen=True)
class Labels(Targets):
    """The labels of one image after letterbox and augmentation.

    `boxes` (n, 4) float32 x1 y1 x2 y2 in network pixels, which may extend past the image; boxes
    without area are skipped. `identities` (n,) int64, 0 to one less than the number of identities,
    or -1 where unknown. `embeddings` (n, D) float32 are a teacher's, or None. `visible` (n, 4) is
    the visible part of each box; None means the part inside the image. `ignored` (k, 4) are regions
    that may show people without annotation, or None.
    """

    boxes: Tensor
    identities: Tensor
    embeddings: Tensor | None = None
    visible: Tensor | None = None
    ignored: Tensor | None = None

    @property
    def with_area(self) -> Tensor:
        """Mask of the boxes that have an area, (n,) bool."""
        return (self.boxes[:, 2:] > self.boxes[:, :2]).all(1)
