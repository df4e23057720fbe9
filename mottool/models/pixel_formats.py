"""Pixel formats of network inputs: the value of each byte of a picture, channel by channel.

A format is a table of 256 values for each channel, so that every device and library computes the
same values, to the last bit.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor, device

__all__ = [
    "CENTERTRACK",
    "FORMS",
    "IMAGENET_DEVIATION",
    "IMAGENET_MEAN",
    "normalised",
    "planes",
]

Floats = npt.NDArray[np.float32]

# Colour formats: BGR in [0, 255]; RGB in [0, 255]; RGB in [0, 1]; RGB normalised as for ImageNet.
FORMS = ("bgr255", "rgb255", "rgb1", "imagenet")
CENTERTRACK = "centertrack"  # BGR, normalised by the statistics of COCO
# ImageNet statistics of red, green and blue in [0, 1].
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
# CenterTrack's COCO statistics of blue, green and red in [0, 1].
COCO_MEAN = np.array([0.40789654, 0.44719302, 0.47026115], np.float32)
COCO_DEVIATION = np.array([0.28863828, 0.27408164, 0.27809835], np.float32)


@cache
def _values(form: str) -> Floats:
    """Return the value of each byte in each channel of the input: (3, 256) float32."""
    if form == CENTERTRACK:
        # The authors' values to the last bit, which a recurrent network enlarges: in double
        # precision.
        exact = (np.arange(256)[:, None] / 255 - COCO_MEAN) / COCO_DEVIATION  # (256, 3) float64
        return np.ascontiguousarray(exact.T, np.float32)
    values = np.tile(np.arange(256, dtype=np.float32), (3, 1))
    if form in {"rgb1", "imagenet"}:
        values /= 255
    if form == "imagenet":
        values -= IMAGENET_MEAN[:, None]
        values /= IMAGENET_DEVIATION[:, None]
    return values


@cache
def _values_on(device: device, form: str) -> Tensor:
    """Return `_values` on a device; copied once, since a GPU finishes its work before such a copy.

    They are complete on the device when this returns, so that any of its streams may use them.
    """
    import torch

    with torch.inference_mode(False):
        return torch.from_numpy(_values(form)).to(device)


def _is_rgb(form: str) -> bool:
    return form not in {"bgr255", CENTERTRACK}


def planes(image: npt.NDArray[np.uint8], form: str) -> Floats:
    """Convert an image (h, w, 3) BGR to planes (3, h, w) float32 in a pixel format."""
    channels = cv2.split(image)[:: -1 if _is_rgb(form) else 1]
    converted = np.empty((3, *image.shape[:2]), np.float32)
    for channel, values, plane in zip(channels, _values(form), converted, strict=True):
        cv2.LUT(channel, values, plane)
    return converted


def normalised(images: Tensor, form: str) -> Tensor:
    """Convert images (B, h, w, 3) BGR uint8 to planes (B, 3, h, w) float32 on their device.

    The values are those of `planes`.
    """
    import torch

    values = _values_on(images.device, form)  # (3, 256)
    channels = images.permute(3, 0, 1, 2).flip(0) if _is_rgb(form) else images.permute(3, 0, 1, 2)
    converted = [row[channel.int()] for row, channel in zip(values, channels, strict=True)]
    return torch.stack(converted, 1)
