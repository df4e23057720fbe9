"""Tables of scores: text for a screen, CSV, Markdown."""

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from mottool.work import whole_file

__all__ = ["COMBINED", "Entry", "as_text", "write_csv", "write_markdown"]

COMBINED = "COMBINED"
# MOTChallenge's order first, then what its details page adds.
COLUMNS = (
    *("MOTA", "IDF1", "HOTA", "MT", "ML", "FP", "FN", "IDSW", "Frag"),
    *("Rcll", "Prcn", "AssA", "DetA", "LocA", "MOTP", "IDP", "IDR"),
)
COUNTS = frozenset({"MT", "PT", "ML", "TP", "FP", "FN", "IDSW", "Frag", "IDTP", "IDFP", "IDFN"})
DIGITS = 6  # of a fraction in CSV


@dataclass(frozen=True)
class Entry:
    """One row: a tracker on a sequence by some benchmark's rules, or on all of them `COMBINED`.

    `figures` are fractions and counts by TrackEval's names. `motmetrics` are
    those of that package, None where it was not asked.
    """

    tracker: str
    rules: str
    sequence: str
    figures: Mapping[str, float]
    motmetrics: Mapping[str, float] | None = None


def as_text(entries: Iterable[Entry]) -> str:
    """An aligned table for each tracker: percentages to one decimal, counts whole."""
    parts = []
    for tracker, group in groupby(entries, lambda entry: entry.tracker):
        rows: list[tuple[str, ...]] = [("Sequence", "Rules", *COLUMNS)]
        for entry in group:
            rows.append((entry.sequence, entry.rules.upper(), *_cells(entry.figures)))
            if entry.motmetrics is not None:
                rows.append(("  by motmetrics", "", *_cells(entry.motmetrics)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        parts.append("\n".join([tracker, *(_aligned(row, widths) for row in rows)]))
    return "\n\n".join(parts)


def write_csv(entries: Iterable[Entry], path: Path) -> Path:
    """Every figure, in the columns bench, tracker, seq, HOTA, …: fractions with six decimals."""
    entries = list(entries)
    names = list(entries[0].figures)

    def write(part: Path) -> None:
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["bench", "tracker", "seq", *names])
            for entry in entries:
                values = [round(entry.figures[name], DIGITS) for name in names]
                writer.writerow([entry.rules.upper(), entry.tracker, entry.sequence, *values])

    return _write(path, write)


def write_markdown(entries: Iterable[Entry], path: Path) -> Path:
    """The columns of the screen's table as one Markdown table."""
    lines = [_piped(("Tracker", "Sequence", "Rules", *COLUMNS))]
    lines.append("|---|---|---|" + "---:|" * len(COLUMNS))
    for entry in entries:
        head = (entry.tracker, entry.sequence, entry.rules.upper())
        lines.append(_piped((*head, *_cells(entry.figures))))
        if entry.motmetrics is not None:
            lines.append(_piped((entry.tracker, "by motmetrics", "", *_cells(entry.motmetrics))))
    text = "\n".join(lines) + "\n"
    return _write(path, lambda part: part.write_text(text, encoding="utf-8"))


def _write(path: Path, write: Callable[[Path], object]) -> Path:
    with whole_file(path) as part:
        write(part)
    return path


def _cells(figures: Mapping[str, float]) -> list[str]:
    return [_cell(name, figures.get(name)) for name in COLUMNS]


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return str(round(value)) if name in COUNTS else f"{100 * value:.1f}"


def _aligned(row: Iterable[str], widths: list[int]) -> str:
    """Names to the left, figures to the right."""
    cells = list(zip(row, widths, strict=True))
    names = [f"{cell:<{width}}" for cell, width in cells[:2]]
    return "  ".join([*names, *(f"{cell:>{width}}" for cell, width in cells[2:])])


def _piped(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
