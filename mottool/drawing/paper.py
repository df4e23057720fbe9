"""What every plot shares: where it is written, how finely, and how people are told apart in it."""

from pathlib import Path

from matplotlib.figure import Figure

from mottool.drawing.curves import COLOURS
from mottool.drawing.style import colour_of
from mottool.workdir import whole_file

__all__ = ["SHAPES", "paint_of", "save", "style_of"]

SHAPES = "os^Dv<>p"  # one more than there are colours
DOTS = 200  # an inch, of PNG files


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
    with whole_file(path) as part:
        figure.savefig(part, dpi=DOTS)
    return path
