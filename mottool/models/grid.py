"""The cells of a map: their columns and rows."""

from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["KEPT", "cell_grid"]

KEPT = 64  # grids: those of a few networks, of one size each


@lru_cache(KEPT)
@torch.inference_mode(False)
def cell_grid(height: int, width: int, device: torch.device) -> Tensor:
    """Return column and row (h, w, 2) int64 of each cell; computed once, not to be changed.

    They are complete on the device when this returns, so that any of its streams may use them.
    """
    rows, columns = (torch.arange(n, device="cpu") for n in (height, width))
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack((x, y), dim=-1).to(device)
