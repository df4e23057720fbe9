"""Images of more than 8 bits: thermal and depth cameras, and sensors of 10 to 14 bits.

Such values rarely use the whole range of 16 bits, and cutting off their lower 8 bits would make
them almost black. They are scaled linearly from the range of the whole sequence to 0…255.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mottool.sources.images import read_raw

__all__ = ["ValueRange", "range_of"]

SAMPLES = 16  # images, evenly spaced
PERCENTILES = (0.1, 99.9)  # of the values; those outside are clipped


@dataclass(frozen=True)
class ValueRange:
    """The range of pixel values that is mapped to 0 to 255."""

    low: float
    high: float

    def scale(self, image: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
        """Return an image as uint8; one that is uint8 already is kept."""
        if image.dtype == np.uint8:
            return image.view(np.uint8)
        span = max(self.high - self.low, 1e-9)
        values = np.nan_to_num(image.astype(np.float32))
        scaled = np.rint((values - self.low) * (255 / span))
        return np.asarray(np.clip(scaled, 0, 255), np.uint8)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


def range_of(files: list[Path]) -> ValueRange | None:
    """Return the range of values of a folder's images, None for images of 8 bits.

    It is that of up to 16 images, without the lowest and highest 0.1 % of their values.
    """
    first = read_raw(files[0])
    if first.dtype == np.uint8:
        return None
    chosen = np.linspace(0, len(files) - 1, min(SAMPLES, len(files))).astype(int)
    limits = np.array(  # (samples, 2)
        [
            np.percentile(np.nan_to_num(read_raw(files[index]).astype(np.float32)), PERCENTILES)
            for index in chosen
        ]
    )
    return ValueRange(float(limits[:, 0].min()), float(limits[:, 1].max()))
