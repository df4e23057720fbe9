"""Tables of scores: text for a screen, CSV, Markdown."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from mottool.files import atomic_write

__all__ = ["COMBINED", "TableRow", "as_text", "write_csv", "write_markdown"]

COMBINED = "COMBINED"
# Of tracks: MOTChallenge's order first, then what its details page adds.
COLUMNS = (
    *("MOTA", "IDF1", "HOTA", "MT", "ML", "FP", "FN", "IDSW", "Frag"),
    *("Rcll", "Prcn", "AssA", "DetA", "LocA", "MOTP", "IDP", "IDR"),
    *("IDSW_S", "IDSW_M", "IDSW_L"),
)
OF_CACHES = (
    *("AP", "AP_S", "AP_M", "AP_L", "Rcll", "Prcn"),
    *("TPR", "TPR_S", "TPR_M", "TPR_L", "Rank1", "mAP"),
)
COUNTS = frozenset(
    {"MT", "PT", "ML", "TP", "FP", "FN", "IDSW", "Frag", "IDTP", "IDFP", "IDFN"}
    | {"IDSW_S", "IDSW_M", "IDSW_L"}
)
DIGITS = 6  # of a fraction in CSV


@dataclass(frozen=True)
class TableRow:
    """One row: a tracker on a sequence by some benchmark's rules, or on all of them `COMBINED`.

    `figures` are fractions and counts by TrackEval's names. `motmetrics` are
    those of that package, None where it was not asked. `curves` are HOTA's figures at each of its
    thresholds, `interval` the low and the high end of what each figure may be with 95 %
    confidence; both are empty where there are none.
    """

    tracker: str
    rules: str
    sequence: str
    figures: Mapping[str, float]
    motmetrics: Mapping[str, float] | None = None
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    interval: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def as_text(entries: Iterable[TableRow]) -> str:
    """An aligned table for each tracker: percentages to one decimal, counts whole."""
    parts = []
    for (tracker, _), group in groupby(entries, lambda entry: (entry.tracker, _kind(entry))):
        scored = list(group)
        columns = _columns(scored)
        rows: list[tuple[str, ...]] = [("Sequence", "Rules", *columns)]
        for entry in scored:
            for name, figures in _lines(entry):
                rules = entry.rules.upper() if name == entry.sequence else ""
                shown = name if rules else f"  {name}"
                rows.append((shown, rules, *_cells(figures, columns)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        parts.append("\n".join([tracker, *(_aligned(row, widths) for row in rows)]))
    return "\n\n".join(parts)


def write_csv(entries: Iterable[TableRow], path: Path) -> Path:
    """Every figure, in the columns bench, tracker, seq, HOTA, …: fractions with six decimals.

    What an entry does not have is empty, as TrackEval's figures are for a cache.
    """
    entries = list(entries)
    names = list(dict.fromkeys(name for entry in entries for name in entry.figures))

    def write(part: Path) -> None:
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["bench", "tracker", "seq", *names])
            for entry in entries:
                given = entry.figures
                values = [round(given[name], DIGITS) if name in given else "" for name in names]
                writer.writerow([entry.rules.upper(), entry.tracker, entry.sequence, *values])

    return _write(path, write)


def write_markdown(entries: Iterable[TableRow], path: Path) -> Path:
    """The columns of the screen's table as one Markdown table, and one more for caches."""
    tables = []
    for _, group in groupby(sorted(entries, key=_kind), _kind):
        scored = list(group)
        columns = _columns(scored)
        lines = [_piped(("Tracker", "Sequence", "Rules", *columns))]
        lines.append("|---|---|---|" + "---:|" * len(columns))
        for entry in scored:
            for name, figures in _lines(entry):
                rules = entry.rules.upper() if name == entry.sequence else ""
                lines.append(_piped((entry.tracker, name, rules, *_cells(figures, columns))))
        tables.append("\n".join(lines) + "\n")
    return _write(path, lambda part: part.write_text("\n".join(tables), encoding="utf-8"))


def _kind(entry: TableRow) -> bool:
    """Whether the row is of a cache."""
    return "AP" in entry.figures


def _columns(entries: Sequence[TableRow]) -> list[str]:
    """The columns of entries of one kind: those that any of them fills."""
    every = OF_CACHES if _kind(entries[0]) else COLUMNS
    return [name for name in every if any(name in entry.figures for entry in entries)]


def _lines(entry: TableRow) -> Iterator[tuple[str, Mapping[str, float]]]:
    """The lines of a row by name: its figures, a second opinion, both ends of the interval."""
    yield entry.sequence, entry.figures
    if entry.motmetrics is not None:
        yield "by motmetrics", entry.motmetrics
    for place, end in enumerate(("95 % from", "95 % to")):
        if entry.interval:
            yield end, {name: ends[place] for name, ends in entry.interval.items()}


def _write(path: Path, write: Callable[[Path], object]) -> Path:
    with atomic_write(path) as part:
        write(part)
    return path


def _cells(figures: Mapping[str, float], columns: Iterable[str]) -> list[str]:
    return [_cell(name, figures.get(name)) for name in columns]


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
