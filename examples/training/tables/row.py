"""Print the head of a table in Markdown, or one of its rows, from the output of mottool.

    python row.py METRIC...
    python row.py METRIC... --label LABEL --scores SCORES.csv --caches FOLDER

A METRIC is a column of `mottool evaluate --csv`, where IDs means IDSW, or FPS: frames per second of
decoding, detection and embedding, without association. SCORES.csv has rows of the tracks, then of
their caches, then of caches at ground-truth boxes; the first row that has a metric is used.
"""

import argparse
import csv
from pathlib import Path

from mottool.cache.reader import Cache
from mottool.metrics.tables import COMBINED

COUNTS = {"IDs", "IDs_S", "IDs_M", "IDs_L", "MT", "ML", "FP", "FN", "Frag"}
COLUMNS = {"IDs": "IDSW", "IDs_S": "IDSW_S", "IDs_M": "IDSW_M", "IDs_L": "IDSW_L"}
LABEL, METRIC = 32, 6  # widths in characters


def score(path: Path, column: str) -> float | None:
    """Return the first value of a column for all sequences together, or None."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["seq"] == COMBINED]
    return next((float(row[column]) for row in rows if row.get(column)), None)


def speed(folder: Path) -> float:
    """Return frames per second of all caches in a folder, or NaN without recorded times."""
    frames = seconds = 0.0
    for path in folder.glob("*.h5"):
        with Cache(path) as cache:
            frames += cache.frame_count
            seconds += float(cache.timing.sum())
    return frames / seconds if seconds else float("nan")


def cell(metric: str, arguments: argparse.Namespace) -> str:
    """Return a metric as text: a count, frames per second or a percentage; "-" if undefined."""
    if metric == "FPS":
        return f"{speed(arguments.caches):.1f}"
    value = score(arguments.scores, COLUMNS.get(metric, metric))
    if value is None:
        return "-"
    return f"{value:.0f}" if metric in COUNTS else f"{100 * value:.1f}"


def line(label: str, cells: list[str]) -> str:
    """Return a row of the table."""
    texts = [f"{label:<{LABEL}}", *(f"{text:>{METRIC}}" for text in cells)]
    return f"| {' | '.join(texts)} |"


def main() -> None:
    """Print the head of the table, or a row if a label is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("metrics", nargs="+")
    parser.add_argument("--label")
    for name in ("--scores", "--caches"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    if arguments.label is None:
        print(line("", arguments.metrics))
        print("|" + "-" * (LABEL + 2) + "|" + ("-" * (METRIC + 1) + ":|") * len(arguments.metrics))
    else:
        print(
            line(arguments.label, [cell(metric, arguments) for metric in arguments.metrics]),
            flush=True,
        )


if __name__ == "__main__":
    main()
