"""Frames to network inputs: resized in any thread, batched and normalised on the device."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from mottool.models.device import Compute
from mottool.models.pixel_formats import normalised
from mottool.models.preprocessing import Preprocessor

__all__ = ["NetworkInput"]


class NetworkInput:
    """The input of a network on a device.

    A GPU receives bytes, a quarter of the size, and normalises them. On the CPU this is part of
    `prepare`, which may run in several threads.
    """

    def __init__(self, preprocessor: Preprocessor, compute: Compute) -> None:
        """Create the input of a network with this preprocessor."""
        self._preprocessor, self._compute = preprocessor, compute
        self._on_cpu = compute.device.type == "cpu"

    def prepare(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Resize a frame (h, w, 3) BGR for `batch`; in any thread."""
        if self._on_cpu:
            return self._preprocessor.image(image)
        return self._preprocessor.fitted(image)

    def batch(self, prepared: Sequence[npt.NDArray[Any]]) -> Tensor:
        """Return prepared frames as one input (B, 3, H, W) float32 on the device."""
        images = self._compute.upload(prepared)
        return images if self._on_cpu else normalised(images, self._preprocessor.pixels)
