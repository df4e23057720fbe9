"""Frames to network inputs: resized in any thread or on a GPU, batched and normalised there."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mottool.models.area_resize import area_resized
from mottool.models.device import Compute, SideStream, uploadable
from mottool.models.pixel_formats import normalised
from mottool.models.preprocessing import Letterbox, Preprocessor

__all__ = ["NetworkInput"]

BYTES = 2**26  # of frames that a GPU shrinks at once, which bounds the memory


class NetworkInput:
    """The input of a network on a device.

    A GPU receives bytes, a quarter of the size, and normalises them. A CUDA device also shrinks
    frames for a `Letterbox`, to the same bytes: averaging areas takes a CPU twice as long as the
    decoding of a JPEG file, and the copy of a larger frame a fraction of a millisecond. On the CPU
    all of it is part of `prepare`, which may run in several threads.
    """

    def __init__(self, preprocessor: Preprocessor, compute: Compute) -> None:
        """Create the input of a network with this preprocessor."""
        self._preprocessor, self._compute = preprocessor, compute
        self._on_cpu = compute.device.type == "cpu"
        self._letterbox: Letterbox | None = None
        if compute.device.type == "cuda" and isinstance(preprocessor, Letterbox):
            self._letterbox = preprocessor
        self._stream = SideStream(compute)  # the next frames are copied while the network works

    def prepare(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Prepare a frame (h, w, 3) BGR for `batch`; in any thread."""
        if self._on_cpu:
            return self._preprocessor.image(image)
        height, width = image.shape[:2]
        if self._letterbox and self._letterbox.shrinks(width, height):
            return uploadable(image)
        return self._preprocessor.fitted(image)

    def batch(self, prepared: Sequence[npt.NDArray[Any]]) -> Tensor:
        """Return prepared frames as one input (B, 3, H, W) float32 on the device."""
        if self._on_cpu:
            return self._compute.upload(prepared)
        with self._stream.entered():
            parts = [self._fitted(self._compute.upload(part)) for part in _of_one_shape(prepared)]
            images = normalised(torch.cat(parts), self._preprocessor.pixels)
        return self._stream.handed_over(images)

    def _fitted(self, frames: Tensor) -> Tensor:
        """Return frames (B, h, w, 3) in the size of the input, letterboxed if they are not yet."""
        height, width = frames.shape[1:3]
        letterbox = self._letterbox
        if letterbox is None or (width, height) == (letterbox.width, letterbox.height):
            return frames
        (left, right), (top, bottom) = letterbox.margins(width, height)
        shape = len(frames), letterbox.height, letterbox.width, 3
        padded = frames.new_full(shape, letterbox.border)
        inner = padded[:, top : shape[1] - bottom, left : shape[2] - right]
        inner.copy_(area_resized(frames, inner.shape[2], inner.shape[1]))
        return padded


def _of_one_shape(frames: Sequence[npt.NDArray[Any]]) -> list[list[npt.NDArray[Any]]]:
    """Divide frames into parts of one shape and at most `BYTES`, or one frame, in their order."""
    parts: list[list[npt.NDArray[Any]]] = []
    for frame in frames:
        last = parts[-1] if parts else []
        if last and last[0].shape == frame.shape and (len(last) + 1) * frame.nbytes <= BYTES:
            last.append(frame)
        else:
            parts.append([frame])
    return parts
