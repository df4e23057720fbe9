"""Call a network that was converted for a fixed number of images with any number of them."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mottool.runtimes.interfaces import Forward

__all__ = ["chunked"]

Run = Callable[[Sequence[Tensor]], dict[str, Tensor]]


def chunked(run: Run, size: int) -> Forward:
    """Return a `Forward` that calls `run` with `size` images at a time.

    The last chunk is filled with copies of its last image, whose heads are dropped. Heads without a
    row per image, such as a network's anchors, are the same in every chunk.
    """

    def forward(*images: Tensor) -> dict[str, Tensor]:
        count = len(images[0])
        parts = [
            run([_filled(part[start : start + size], size) for part in images])
            for start in range(0, count, size)
        ]
        if len(parts) == 1 and count == size:
            return parts[0]
        return {
            name: torch.cat([part[name] for part in parts])[:count] if len(head) == size else head
            for name, head in parts[0].items()
        }

    return forward


def _filled(images: Tensor, size: int) -> Tensor:
    """Return images (n, C, H, W) with copies of the last one, (size, C, H, W)."""
    missing = size - len(images)
    return torch.cat([images, images[-1:].expand(missing, -1, -1, -1)]) if missing else images
