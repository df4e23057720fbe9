"""Labels of one training image, and what the targets made from them have in common."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor

__all__ = ["Labels", "Targets"]


@dataclass(frozen=True)
class Targets:
    """Tensors (of a batch, say) that travel together, nested ones and dicts of them too."""

    def to(self, device: torch.device | str) -> Self:
        """The same on another device."""
        return self._each(lambda tensor: tensor.to(device))

    def pin_memory(self) -> Self:
        """The same in page-locked memory, from which a GPU copies fast; a loader calls it."""
        return self._each(Tensor.pin_memory)

    def _each(self, moved: Callable[[Tensor], Tensor]) -> Self:
        return replace(
            self, **{each.name: _each(getattr(self, each.name), moved) for each in fields(self)}
        )


def _each(value: Any, moved: Callable[[Tensor], Tensor]) -> Any:
    """A field's value with every tensor in it `moved`."""
    if isinstance(value, Tensor):
        return moved(value)
    if isinstance(value, Targets):
        return value._each(moved)
    if isinstance(value, dict):
        return {key: _each(inner, moved) for key, inner in value.items()}
    return value


@dataclass(frozen=True)
class Labels(Targets):
    """The people in one image as the network sees it, after letterbox and augmentation.

    `boxes` (n, 4) float32 x1 y1 x2 y2 in network pixels, which may reach out of the image;
    boxes without area are passed over. `identities` (n,) int64, 0 to one less than the number of
    identities, or -1 where unknown. `embeddings` (n, D) float32, a teacher's, or None. `visible`
    (n, 4) is the part of each box that the image shows, or None, which leaves it to be cut out.
    `ignored` (k, 4) are regions that may show people nobody annotated, or None.
    """

    boxes: Tensor
    identities: Tensor
    embeddings: Tensor | None = None
    visible: Tensor | None = None
    ignored: Tensor | None = None

    @property
    def with_area(self) -> Tensor:
        """Which boxes have an area, (n,) bool."""
        return (self.boxes[:, 2:] > self.boxes[:, :2]).all(1)
