"""Shrink frames on any device by averages of areas, to the bytes that OpenCV computes on the CPU.

This is `cv2.resize` with `INTER_AREA` (OpenCV, modules/imgproc/src/resize.cpp): weighted sums in
float32 along the rows, then along the columns, in the order of the pixels. If both sides shrink by
whole numbers, bytes are summed without weights, and the sum is divided. The bytes are OpenCV's on
x86-64. A compiler for another processor may round a product and a sum together, which moves an
average halfway between two levels by one.
"""

from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["area_resized"]

KEPT = 64  # tables: those of a few sizes of frames and networks
THINNEST = 1e-3  # pixels; OpenCV leaves out parts of pixels that are thinner


def area_resized(frames: Tensor, width: int, height: int) -> Tensor:
    """Shrink frames (B, h, w, C) uint8 to (B, height, width, C) uint8, with the bytes of OpenCV.

    `width` and `height` are at most w and h.
    """
    across, down = _scale(frames.shape[2], width), _scale(frames.shape[1], height)
    whole = across.is_integer() and down.is_integer()
    sums = _sums(frames, 2, width, whole)  # (B, h, width, C) float32
    sums = _sums(sums, 1, height, whole)  # (B, height, width, C)
    if whole:
        sums = sums.mul_(torch.tensor(1 / (across * down), dtype=torch.float32).item())
    if across == down == 2:  # OpenCV's vectors round halves up, all else to even
        return sums.add_(0.5).floor_().clamp_(max=255).byte()
    return sums.round_().clamp_(max=255).byte()


def _scale(length: int, size: int) -> float:
    """Return by how much a line of pixels shrinks, with the rounding errors of OpenCV."""
    return 1 / (size / length)


def _sums(values: Tensor, axis: int, size: int, whole: bool) -> Tensor:
    """Return the weighted sums of values along an axis, which has `size` elements then.

    With `whole`, all weights are 1 and the sums are exact.
    """
    shape = [1] * values.ndim
    shape[axis] = size
    pixels, shares = _table(values.shape[axis], size, values.device)
    weights = (shares > 0).float() if whole else shares
    sums: Tensor | None = None
    for indices, row in zip(pixels, weights, strict=True):
        part = values.index_select(axis, indices) * row.view(shape)
        sums = part if sums is None else sums.add_(part)
    assert sums is not None
    return sums


@lru_cache(KEPT)
@torch.inference_mode(False)
def _table(length: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the pixels of a line that each of `size` averages reads, and the share of each.

    Both are (taps, size). Superfluous taps have the share 0. They are computed in double precision
    and complete on the device when this returns, so that any of its streams may use them.
    """
    cpu, double = torch.device("cpu"), torch.float64
    scale = _scale(length, size)
    begin = torch.arange(size, dtype=double, device=cpu) * scale
    end = begin + scale
    cell = (length - begin).clamp(max=scale)
    last = end.floor().clamp(max=length - 1)
    first = torch.minimum(begin.ceil(), last)
    before, after = first - begin, end - last
    pixels = first - 1 + torch.arange(int((last - first).max()) + 2, device=cpu)[:, None]
    shares = torch.where((pixels >= first) & (pixels < last), 1.0, 0.0).to(double)
    shares[0] = torch.where(before > THINNEST, before, 0)
    ending = torch.where(after > THINNEST, torch.minimum(after.clamp(max=1), cell), 0)
    shares = torch.where(pixels == last, ending, shares) / cell
    inside = pixels.clamp(0, length - 1).long()
    return inside.to(device), shares.float().to(device)
