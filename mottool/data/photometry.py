"""Photometric augmentation: light, colours, sharpness, resolution and noise.

A network for any video must not depend on the colours and sharpness of one camera.
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
LEVEL_STEP = 6  # between grey levels after coarse compression
MAX_NOISE = 0.03 * 255  # standard deviation in grey levels


def vary(image: Image, limits: Photometry, draw: np.random.Generator) -> Image:
    """Vary an image (H, W, 3) BGR as if another camera had recorded it."""
    image = _vary_light(_vary_saturation(image, limits, draw), limits, draw)
    choice = draw.random()
    if choice < limits.blur:
        for _ in range(draw.integers(1, 4)):
            image = _image(cv2.blur(image, (3, 3), borderType=cv2.BORDER_REPLICATE))
    elif choice > 1 - limits.low_resolution:
        image = _reduce_resolution(image, draw)
    if draw.random() < limits.noise:
        deviation = MAX_NOISE * draw.uniform(0.6, 1)
        grain = draw.standard_normal(image.shape, np.float32) * deviation
        image = np.clip(image + grain, 0, 255).astype(np.uint8)
    return image


def _vary_saturation(image: Image, limits: Photometry, draw: np.random.Generator) -> Image:
    """Scale the saturation, or remove all colour."""
    factor = 1 + limits.saturation * draw.uniform(-1, 1)
    if draw.random() < limits.grey:
        factor = 0.0
    mixing = factor * np.eye(3) + (1 - factor) * np.repeat(GREY, 3, axis=0)  # (3, 3)
    return _image(cv2.transform(image, mixing))


def _vary_light(image: Image, limits: Photometry, draw: np.random.Generator) -> Image:
    """Change brightness, tint, contrast about the mean, and gamma with one lookup table."""

    def gains(limit: float, count: int = 1) -> npt.NDArray[np.floating[Any]]:
        return 1 + limit * draw.uniform(-1, 1, count)

    tint = limits.light / 6
    levels = LEVELS * gains(limits.light) * gains(tint, 3)  # (256, 3)
    mean = float(image.mean()) / 255
    levels = mean + (levels - mean) * gains(limits.light)
    levels = np.clip(levels, 1e-4, 1) ** gains(limits.light)
    table = (levels * 255).round().astype(np.uint8)[None]  # (1, 256, 3)
    return _image(cv2.LUT(image, table))


def _reduce_resolution(image: Image, draw: np.random.Generator) -> Image:
    """Shrink an image to 0.35-0.75 of its size, sometimes quantise its levels, and enlarge it."""
    height, width = image.shape[:2]
    scale = draw.uniform(0.35, 0.75)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    if draw.random() < 0.3:
        small = small // LEVEL_STEP * LEVEL_STEP
    return _image(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def _image(pixels: Any) -> Image:
    return np.asarray(pixels, np.uint8)
