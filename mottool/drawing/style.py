"""Style shared by all drawings: identity colours, plot colours and markers, new plots, saving."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mottool.files import atomic_write

__all__ = [
    "BGR",
    "BLUE",
    "COLOURS",
    "IDENTITY_COLOURS",
    "MARKERS",
    "VERMILION",
    "add_legend_below",
    "colour_of",
    "new_plot",
    "preferred_colour",
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
# Small characters that are as wide as an inch, and those in place of the line of an entry.
CHARACTERS_PER_INCH, HANDLE = 15, 12
MOST_COLUMNS = 4  # of a legend

# Blue, green, red of identities: at least 25 apart in CIELAB for readers with deuteranopia or
# protanopia (Machado, Oliveira & Fernandes, 2009), and 41 for others; visible on light and dark.
IDENTITY_COLOURS: tuple[BGR, ...] = (
    (0, 68, 238),  # orange red
    (255, 85, 153),  # violet
    (255, 238, 68),  # cyan
    (0, 238, 170),  # lime
    (187, 0, 238),  # magenta
    (255, 170, 119),  # blue
    (102, 204, 221),  # sand
    (85, 0, 255),  # crimson
    (170, 238, 136),  # mint
    (170, 119, 238),  # pink
)


def add_legend_below(figure: Figure, names: Sequence[str]) -> None:
    """Add the legend of all labelled lines, in as many columns as fit the `names` into the width.

    Its lines are long enough to show their dashes.
    """
    width = figure.get_figwidth() * CHARACTERS_PER_INCH
    columns = int(width / (max(map(len, names), default=0) + HANDLE))
    figure.legend(
        loc="outside lower center", ncols=max(1, min(columns, MOST_COLUMNS)), frameon=False,
        fontsize="small", handlelength=4,
    )  # fmt: skip


def preferred_colour(identity: int) -> int:
    """Return the index in `IDENTITY_COLOURS` of an identity, which is any integer."""
    return (identity - 1) % len(IDENTITY_COLOURS)


def colour_of(identity: int) -> BGR:
    """Return the colour (blue, green, red), 0 to 255, of an identity seen by itself.

    `identity_colours` chooses those of the identities of a sequence.
    """
    return IDENTITY_COLOURS[preferred_colour(identity)]


def text_colour_on(background: BGR) -> BGR:
    """Return black or white, whichever is more legible on a colour (blue, green, red)."""
    blue, green, red = background
    luma = 0.114 * blue + 0.587 * green + 0.299 * red
    return (16, 16, 16) if luma > 120 else (255, 255, 255)


def rgb_from_bgr(colour: BGR) -> tuple[float, float, float]:
    """Convert blue, green, red from 0 to 255 to matplotlib's red, green, blue in [0, 1]."""
    blue, green, red = colour
    return red / 255, green / 255, blue / 255


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
