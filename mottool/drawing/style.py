"""Style shared by all drawings: identity colours, plot colours and markers, new plots, saving.

An identity has the same colour everywhere. It differs from the colours of neighbouring identities
and is visible on light and dark backgrounds.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mottool.files import atomic_write

__all__ = [
    "BLUE",
    "COLOURS",
    "MARKERS",
    "VERMILION",
    "colour_of",
    "new_plot",
    "point_style",
    "rgb_from_bgr",
    "save_figure",
    "text_colour_on",
]

BGR = tuple[int, int, int]

# Okabe & Ito, "Color universal design", 2008: distinguishable by colour-blind readers.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
BLUE, VERMILION = COLOURS[:2]
MARKERS = "os^Dv<>p"  # one more than there are colours
DPI = 200  # of PNG files

HUES = 12  # as many as a reader can distinguish at a glance
STRIDE = 5  # steps around the circle of hues from one identity to the next; prime to HUES
LIGHTNESS = (0.69, 0.79)  # of even and odd identities: neighbouring hues differ in it
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


@lru_cache(maxsize=4096)
def colour_of(identity: int) -> BGR:
    """Return the colour (blue, green, red), 0 to 255, of an identity, which is any integer."""
    turn, index = divmod(identity, HUES)
    step = index * STRIDE + turn % 3 / 3  # each turn falls between the hues of the one before
    hue, lightness = 2 * np.pi * step / HUES, LIGHTNESS[index % 2]
    lab = np.array([lightness, CHROMA * np.cos(hue), CHROMA * np.sin(hue)])
    linear = np.clip(RGB_FROM_LMS @ (LMS_FROM_LAB @ lab) ** 3, 0, 1)
    encoded = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    red, green, blue = (int(value) for value in np.rint(255 * encoded))
    return blue, green, red


def text_colour_on(background: BGR) -> BGR:
    """Return black or white, whichever is more legible on a colour (blue, green, red)."""
    blue, green, red = background
    luma = 0.114 * blue + 0.587 * green + 0.299 * red
    return (16, 16, 16) if luma > 120 else (255, 255, 255)


def rgb_from_bgr(colour: BGR) -> tuple[float, float, float]:
    """Convert blue, green, red from 0 to 255 to matplotlib's red, green, blue in [0, 1]."""
    blue, green, red = colour
    return red / 255, green / 255, blue / 255


def point_style(index: int) -> tuple[str, str]:
    """Return colour and marker of the point set `index`; a pair repeats only after 56 sets."""
    return COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]


def new_plot(width: float, height: float, title: str = "") -> tuple[Figure, Axes]:
    """Create a figure of `width` times `height` inches with one pair of axes and a title."""
    figure = Figure((width, height), layout="constrained")
    axes = figure.subplots()
    if title:
        axes.set_title(title, fontsize="medium")
    return figure, axes


def save_figure(figure: Figure, path: Path, dpi: int = DPI) -> Path:
    """Write the figure atomically, in the format that the suffix of `path` names."""
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=dpi)
    return path
