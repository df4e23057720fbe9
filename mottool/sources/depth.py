"""Images of more than 8 bits: thermal and depth cameras, and sensors of 10 to 14 bits.

Such values rarely use the whole range of 16 bits, and cutting off their lower 8 bits would make
them almost black. They are scaled linearly from a given range, or that of the whole sequence, to
0…255.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from mottool.pixel_range import PixelRange
from mottool.sources.images import read_raw

__all__ = ["contrast_warning", "range_of", "scale"]

SAMPLES = 16  # images, evenly spaced
FEW_LEVELS = 16  # of grey, in which people are hardly seen
PERCENTILES = (0.1, 99.9)  # of the values; those outside are clipped


def scale(image: npt.NDArray[np.generic], values: PixelRange | None) -> npt.NDArray[np.uint8]:
    """Return an image as uint8; one that is uint8 already is kept. None is its own range."""
    if image.dtype == np.uint8:
        return image.view(np.uint8)
    values = values or PixelRange(*_limits(image))
    span = max(values.high - values.low, 1e-9)
    pixels = np.nan_to_num(image.astype(np.float32))
    scaled = np.rint((pixels - values.low) * (255 / span))
    return np.asarray(np.clip(scaled, 0, 255), np.uint8)


def contrast_warning(values: PixelRange, given: PixelRange) -> str:
    """Return a warning if images of the range `values` lose almost all contrast; "" if not.

    The range `given` becomes 0 to 255 in them.
    """
    low, high = scale(np.array([values.low, values.high], np.float32), given).tolist()
    levels = int(high) - int(low) + 1
    if levels >= FEW_LEVELS:
        return ""
    return f"with --pixel-range {given} its values, {values}, have {levels} of 256 levels of grey"


def range_of(files: list[Path]) -> PixelRange | None:
    """Return the range of values of a folder's images, None for images of 8 bits.

    It is that of up to 16 images, without the lowest and highest 0.1 % of their values.
    """
    first = read_raw(files[0])
    if first.dtype == np.uint8:
        return None
    chosen = np.linspace(0, len(files) - 1, min(SAMPLES, len(files))).astype(int)
    lows, highs = zip(*(_limits(read_raw(files[index])) for index in chosen), strict=True)
    return PixelRange(min(lows), max(highs))


def _limits(image: npt.NDArray[np.generic]) -> list[float]:
    """Return the range of an image without its lowest and highest values."""
    limits: list[float] = np.percentile(
        np.nan_to_num(image.astype(np.float32)), PERCENTILES
    ).tolist()
    return limits
