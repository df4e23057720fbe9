"""The pixel values that become 0 and 255 in images of more than 8 bits. Imports no numpy."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mottool.errors import CacheError, SettingError

__all__ = ["PixelRange", "parse_pixel_range", "recorded_range"]

NUMBER = r"-?\d+(?:\.\d+)?"
LARGEST = 1e10  # magnitude; integers of images have at most 32 bits


@dataclass(frozen=True)
class PixelRange:
    """The values that become 0 and 255."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"

    def to_json(self) -> dict[str, list[float]]:
        """Return the setting as a cache records it."""
        return {"pixel_range": [self.low, self.high]}


def recorded_range(settings: Mapping[str, Any]) -> PixelRange | None:
    """Return the range that the settings of a cache record, None without one.

    Raises `CacheError` for anything but two rising numbers.
    """
    values = settings.get("pixel_range")
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != 2 or not _rise(*values):
        problem = f"its recorded pixel range is not a range: {str(values)[:40]}"
        raise CacheError(problem, "make it again with --overwrite")
    return PixelRange(*values)


def _rise(low: Any, high: Any) -> bool:
    """Return whether two values are numbers of pixels, the second above the first."""
    numbers = all(type(value) in (int, float) and abs(value) < LARGEST for value in (low, high))
    return numbers and low < high


def parse_pixel_range(text: str) -> PixelRange:
    """Parse `0-4095`. Raises `SettingError` for anything but two rising numbers."""
    match = re.fullmatch(rf"\s*({NUMBER})\s*-\s*({NUMBER})\s*", text, re.ASCII)
    low, high = map(float, match.groups()) if match else (0.0, 0.0)
    if not _rise(low, high):
        problem = f"--pixel-range {text!r} is not a range"
        raise SettingError(problem, "write LOW-HIGH, such as 0-4095 for 12 bits")
    return PixelRange(low, high)
