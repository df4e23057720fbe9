"""The pixel values that become 0 and 255 in images of more than 8 bits. Imports no numpy."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mottool.errors import SettingError

__all__ = ["PixelRange", "parse_pixel_range", "recorded_range"]

NUMBER = r"-?\d+(?:\.\d+)?"


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
    """Return the range that the settings of a cache record, None without one."""
    values = settings.get("pixel_range")
    return PixelRange(*values) if values else None


def parse_pixel_range(text: str) -> PixelRange:
    """Parse `0-4095`. Raises `SettingError` for anything but two rising numbers."""
    match = re.fullmatch(rf"\s*({NUMBER})\s*-\s*({NUMBER})\s*", text, re.ASCII)
    low, high = map(float, match.groups()) if match else (0.0, 0.0)
    if not low < high < float("inf"):
        problem = f"--pixel-range {text!r} is not a range of pixel values"
        raise SettingError(problem, "write LOW-HIGH, such as 0-4095 for 12 bits")
    return PixelRange(low, high)
