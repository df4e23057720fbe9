"""Colours, line styles and resolution that all drawings share.

The colour of an identity is always the same, differs from those of neighbouring numbers, and is
visible on light and dark backgrounds.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mottool.drawing.curves import COLOURS
from mottool.files import atomic_write

__all__ = ["SHAPES", "colour_of", "ink_on", "paint_of", "save", "style_of"]

HUES = 12  # as many as are told apart at a glance
STRIDE = 5  # steps around the circle of hues from one identity to the next; prime to HUES
LIGHTNESS = (0.69, 0.79)  # for even and odd identities: hues next to each other differ in it
CHROMA = 0.155

# Ottosson, "A perceptual color space for image processing" (2020): OKLab to linear sRGB.
LMS_FROM_LAB = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
RGB_FROM_LMS = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)

SHAPES = "os^Dv<>p"  # one more than there are colours
DOTS = 200  # an inch, of PNG files


@lru_cache(maxsize=4096)
def colour_of(identity: int) -> tuple[int, int, int]:
    """The colour (blue, green, red), 0 to 255, of an identity, which may be any whole number."""
    turn, place = divmod(identity, HUES)
    step = place * STRIDE + turn % 3 / 3  # each turn falls between the hues of the one before
    hue, lightness = 2 * np.pi * step / HUES, LIGHTNESS[place % 2]
    lab = np.array([lightness, CHROMA * np.cos(hue), CHROMA * np.sin(hue)])
    linear = np.clip(RGB_FROM_LMS @ (LMS_FROM_LAB @ lab) ** 3, 0, 1)
    curved = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    red, green, blue = (int(value) for value in np.rint(255 * curved))
    return blue, green, red


def ink_on(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Black or white, whichever reads better on a colour (blue, green, red)."""
    blue, green, red = colour
    luma = 0.114 * blue + 0.587 * green + 0.299 * red
    return (16, 16, 16) if luma > 120 else (255, 255, 255)


def paint_of(identity: int) -> tuple[float, float, float]:
    """The colour red, green, blue in [0, 1] that the identity has in videos too."""
    blue, green, red = colour_of(identity)
    return red / 255, green / 255, blue / 255


def style_of(place: int) -> tuple[str, str]:
    """Colour and marker of the `place`-th of many, the same pair only after 56.

    The colours are Okabe and Ito's, which colour-blind readers tell apart.
    """
    return COLOURS[place % len(COLOURS)], SHAPES[place % len(SHAPES)]


def save(figure: Figure, path: Path) -> Path:
    """Write the figure in the form that the suffix of `path` names, whole or not at all."""
    with atomic_write(path) as part:
        figure.savefig(part, dpi=DOTS)
    return path
