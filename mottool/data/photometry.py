"""Vary how a camera sees a scene: light, colours, sharpness, resolution and noise.

A network that is to work on any video must not rely on one camera's colours and sharpness.
"""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mottool.networks.learning import Photometry

__all__ = ["vary"]

Image = npt.NDArray[np.uint8]
GREY = np.array([[0.114, 0.587, 0.299]])  # of blue, green and red
LEVELS = np.arange(256, dtype=np.float32)[:, None] / 255  # (256, 1)
COARSE = 6  # grey levels that a bad codec makes one of
NOISE = 0.03 * 255  # standard deviation of the strongest noise


def vary(image: Image, limits: Photometry, draw: np.random.Generator) -> Image:
    """Return an image (H, W, 3) BGR as another camera might have taken it."""
    image = _lit(_saturated(image, limits, draw), limits, draw)
    which = draw.random()
    if which < limits.blur:
        for _ in range(draw.integers(1, 4)):
            image = _image(cv2.blur(image, (3, 3), borderType=cv2.BORDER_REPLICATE))
    elif which > 1 - limits.low_resolution:
        image = _coarse(image, draw)
    if draw.random() < limits.noise:
        deviation = NOISE * draw.uniform(0.6, 1)
        grain = draw.standard_normal(image.shape, np.float32) * deviation
        image = np.clip(image + grain, 0, 255).astype(np.uint8)
    return image


def _saturated(image: Image, limits: Photometry, draw: np.random.Generator) -> Image:
    """Move every colour towards its grey, or away from it."""
    factor = 1 + limits.saturation * draw.uniform(-1, 1)
    if draw.random() < limits.grey:
        factor = 0.0
    mixing = factor * np.eye(3) + (1 - factor) * np.repeat(GREY, 3, axis=0)  # (3, 3)
    return _image(cv2.transform(image, mixing))


def _lit(image: Image, limits: Photometry, draw: np.random.Generator) -> Image:
    """Change brightness, tint, contrast about the mean, and gamma, by one table of levels."""

    def around(reach: float, count: int = 1) -> npt.NDArray[np.floating[Any]]:
        return 1 + reach * draw.uniform(-1, 1, count)

    tint = limits.light / 6
    levels = LEVELS * around(limits.light) * around(tint, 3)  # (256, 3)
    mean = float(image.mean()) / 255
    levels = mean + (levels - mean) * around(limits.light)
    levels = np.clip(levels, 1e-4, 1) ** around(limits.light)
    table = (levels * 255).round().astype(np.uint8)[None]  # (1, 256, 3)
    return _image(cv2.LUT(image, table))


def _coarse(image: Image, draw: np.random.Generator) -> Image:
    """Shrink an image to 0.35 to 0.75 of its size, sometimes round its levels, and enlarge it."""
    height, width = image.shape[:2]
    scale = draw.uniform(0.35, 0.75)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    if draw.random() < 0.3:
        small = small // COARSE * COARSE
    return _image(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def _image(pixels: Any) -> Image:
    return np.asarray(pixels, np.uint8)
