"""Crop boxes from frames and resize the crops on a device, which receives each frame once.

The bytes are those of Pillow's `Image.resize` with `BILINEAR`, first of the width and then of the
height: weighted sums of bytes in fixed-point arithmetic, rounded to bytes after each direction
(Pillow, src/libImaging/Resample.c). They are sums of integers, and so the same on every device.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mottool.models.device import Compute, to_host, uploadable
from mottool.pipelines.embedders.crops import distinct_pixels, split_embeddings

__all__ = ["DeviceCrops", "embed_device_crops"]

BITS = 22  # of the fraction of a weight
OUTSIDE = (0, 1, 1, 1)  # the place of a crop without pixels: one black pixel

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def embed_device_crops(
    images: Sequence[Image],
    boxes: Sequence[Floats],
    network: Callable[[Tensor], Tensor],
    size: int,
    shape: tuple[int, int, int],
    compute: Compute,
) -> list[Floats]:
    """Embed boxes as `crops.embed_crops` does, with crops that are resized on the device.

    `network` returns features (batch, size) float32 of crops (batch, height, width, 3) uint8 BGR on
    the device, of which the last ones may be black; `shape` is (batch, height, width). The device
    is waited for once.
    """
    batch, height, width = shape
    crops = DeviceCrops(images, boxes, compute)
    parts = [torch.zeros(0, size, device=compute.device)]
    for start in range(0, len(crops), batch):
        parts.append(network(crops.resized(start, batch, width, height)))
    (features,) = to_host([torch.cat(parts)])
    return split_embeddings(features.numpy(), crops.rows)


class DeviceCrops:
    """The different crops of boxes in frames of any sizes, whose pixels are on a device.

    `rows` are those of each image's boxes (n,) among the crops.
    """

    def __init__(self, images: Sequence[Image], boxes: Sequence[Floats], compute: Compute) -> None:
        """Copy the images (H, W, 3) BGR that have boxes (n, 4) x1 y1 x2 y2 to the device."""
        self._compute = compute
        parts, self.rows = distinct_pixels(images, boxes)
        places, pixels = list[Ints](), [self._upload(np.zeros((1, 3), np.uint8))]
        begin = 1
        for image, part in zip(images, parts, strict=True):
            if len(part):
                places.append(_places(part, begin, image.shape[1]))
                pixels.append(self._upload(uploadable(image)).view(-1, 3))
                begin += len(pixels[-1])
        self._pixels = torch.cat(pixels)  # (P, 3), the first one black
        self._places = np.concatenate([np.zeros((0, 4), np.int64), *places])

    def __len__(self) -> int:
        return len(self._places)

    def resized(self, start: int, count: int, width: int, height: int) -> Tensor:
        """Return the crops from `start` on in one size: (count, height, width, 3) uint8 BGR.

        Crops after the last one are black.
        """
        places = np.tile(np.array(OUTSIDE), (count, 1))
        chosen = self._places[start : start + count]
        places[: len(chosen)] = chosen
        corners, pitches, widths, heights = places.T
        lines = np.minimum(np.arange(heights.max()), heights[:, None] - 1)
        lines = self._upload(corners[:, None] + pitches[:, None] * lines)  # (n, H)
        columns, weights = self._triangles(widths, width)
        across = _rounded_sums(  # (n, H, width, 3)
            (self._pixels[lines[:, :, None] + column[:, None]], weight[:, None, :, None])
            for column, weight in zip(columns, weights, strict=True)
        )
        rows, weights = self._triangles(heights, height)
        crops = torch.arange(count, device=rows.device)[:, None]
        return _rounded_sums(
            (across[crops, row], weight[:, :, None, None])
            for row, weight in zip(rows, weights, strict=True)
        )

    def _triangles(self, lengths: Ints, size: int) -> tuple[Tensor, Tensor]:
        """Return `_triangles` on the device."""
        pixels, weights = _triangles(lengths, size)
        return self._upload(pixels), self._upload(weights)

    def _upload(self, array: npt.NDArray[np.generic]) -> Tensor:
        return self._compute.upload([array])[0]


def _places(pixels: Ints, begin: int, width: int) -> Ints:
    """Return the places (n, 4) of crops, whose `pixels` in an image are as `pixels_of_boxes`.

    A place is the number of the upper left pixel, the pixels from one row to the next, and the
    crop's width and height. The pixels of the image, `width` in a row, are numbered from `begin`.
    """
    left, top, right, bottom = pixels.T
    corners = begin + top * width + left
    places = np.stack((corners, np.full_like(corners, width), right - left, bottom - top), 1)
    return np.where(right[:, None] > 0, places, OUTSIDE)


def _triangles(lengths: Ints, size: int) -> tuple[Ints, npt.NDArray[np.int32]]:
    """Return the pixels of lines that each of `size` resized pixels reads, and their weights.

    Both are (taps, n, size), for lines of n lengths. The weights of a pixel are a triangle around
    it, at least one pixel wide to each side; they sum to 2^22 but for rounding. Superfluous taps
    have the weight 0. Each operation is Pillow's, in double precision.
    """
    scale = lengths[:, None] / size  # (n, 1)
    reach = np.maximum(scale, 1.0)
    centres = (np.arange(size) + 0.5) * scale  # (n, size)
    first = np.maximum((centres - reach + 0.5).astype(np.int64), 0)
    stop = np.minimum((centres + reach + 0.5).astype(np.int64), lengths[:, None])
    taps = np.arange((stop - first).max())[:, None, None]
    pixels = first + taps  # (taps, n, size)
    weights = np.maximum(1 - np.abs((pixels - centres + 0.5) * (1 / reach)), 0)
    weights[pixels >= stop] = 0
    weights /= weights.cumsum(0)[-1]  # added one after the other
    fixed = (weights * (1 << BITS) + 0.5).astype(np.int32)
    return np.minimum(pixels, lengths[:, None] - 1), fixed


def _rounded_sums(parts: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the sums of bytes by weights, rounded to bytes."""
    sums: Tensor | None = None
    for values, weights in parts:
        product = values * weights  # int32
        sums = product.add_(1 << (BITS - 1)) if sums is None else sums.add_(product)
    assert sums is not None
    return (sums >> BITS).clamp_(max=255).byte()
