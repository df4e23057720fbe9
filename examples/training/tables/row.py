"""Print the head of a table in Markdown, or one of its rows, from what mottool has written.

    python row.py FIGURE...
    python row.py FIGURE... --label LABEL --scores SCORES.csv --caches FOLDER

A FIGURE is a column of `mottool evaluate --csv`, IDs being its IDSW, or FPS: frames a second that
decoding, detecting and embedding took, without association. SCORES.csv is of the tracks, then of
the caches they were made from, then of those at true boxes; the first that has a figure tells it.
"""

import argparse
import csv
from pathlib import Path

from mottool.cache.reader import Cache
from mottool.metrics.tables import COMBINED

COUNTS = {"IDs", "IDs_S", "IDs_M", "IDs_L", "MT", "ML", "FP", "FN", "Frag"}
COLUMNS = {"IDs": "IDSW", "IDs_S": "IDSW_S", "IDs_M": "IDSW_M", "IDs_L": "IDSW_L"}
LABEL, FIGURE = 32, 6  # widths in characters


def score(path: Path, column: str) -> float | None:
    """The first figure of that column for all sequences together, None if there is none."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["seq"] == COMBINED]
    return next((float(row[column]) for row in rows if row.get(column)), None)


def speed(folder: Path) -> float:
    """Frames a second of all caches in a folder, NaN if it took no time."""
    frames = seconds = 0.0
    for path in folder.glob("*.h5"):
        with Cache(path) as cache:
            frames += cache.frame_count
            seconds += float(cache.timing.sum())
    return frames / seconds if seconds else float("nan")


def cell(figure: str, given: argparse.Namespace) -> str:
    """One figure: a count, frames a second, or a percentage; a dash for what is undefined."""
    if figure == "FPS":
        return f"{speed(given.caches):.1f}"
    value = score(given.scores, COLUMNS.get(figure, figure))
    if value is None:
        return "-"
    return f"{value:.0f}" if figure in COUNTS else f"{100 * value:.1f}"


def line(label: str, cells: list[str]) -> str:
    """A row of the table."""
    return "| " + " | ".join([f"{label:<{LABEL}}", *(f"{each:>{FIGURE}}" for each in cells)]) + " |"


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", nargs="+")
    parser.add_argument("--label")
    for name in ("--scores", "--caches"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    if given.label is None:
        print(line("", given.figures))
        print("|" + "-" * (LABEL + 2) + "|" + ("-" * (FIGURE + 1) + ":|") * len(given.figures))
    else:
        print(line(given.label, [cell(figure, given) for figure in given.figures]), flush=True)


if __name__ == "__main__":
    main()
