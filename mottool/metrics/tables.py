"""Tables of metrics: text for a screen, CSV, Markdown and LaTeX."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from mottool.files import atomic_write
from mottool.metrics.registry import Kind, columns, get_metric

__all__ = [
    "COMBINED",
    "Table",
    "TableRow",
    "as_markdown",
    "as_text",
    "evaluation_tables",
    "fit_to_width",
    "format_metric",
    "write_csv",
    "write_evaluation_csv",
    "write_latex",
    "write_markdown",
]

COMBINED = "COMBINED"  # the sequence of a row that combines all of them
SYSTEM_SPEED = "FPS"
DIGITS = 6  # decimals of a fraction in CSV
BOUNDS = "95 % from", "95 % to"
# Marks of ranks 0, 1 and 2.
TEXT_MARKS = "{} ", "{}*", "{}+"
MARKDOWN_MARKS = "{}", "**{}**", "*{}*"
LATEX_MARKS = "{}", r"\textbf{{{}}}", r"\underline{{{}}}"

Metrics = Mapping[str, float | None]


@dataclass(frozen=True)
class Table:
    """Rows of text cells and metrics.

    `head` are the headings of the text cells, `metrics` the names of the metrics, which are the
    other columns. A metric that a row does not have is missing or None. `ranks` may give for each
    metric a number per row: 1 for the best, 2 for the second best, 0 for the others.
    """

    head: Sequence[str]
    metrics: Sequence[str]
    rows: Sequence[tuple[Sequence[str], Metrics]]
    ranks: Mapping[str, Sequence[int]] = field(default_factory=dict)
    title: str = ""

    def cells(self, marks: Sequence[str]) -> Iterator[list[str]]:
        """Yield the cells of each row; `marks` are the formats of metrics of rank 0, 1 and 2."""
        unranked = [0] * len(self.rows)
        for index, (texts, values) in enumerate(self.rows):
            ranks = (self.ranks.get(name, unranked)[index] for name in self.metrics)
            numbers = [format_metric(name, values.get(name)) for name in self.metrics]
            yield [*texts, *(marks[rank].format(n) for rank, n in zip(ranks, numbers, strict=True))]


def format_metric(name: str, value: float | None) -> str:
    """Format a metric: per cent and times with one decimal, counts and high speeds without."""
    if value is None:
        return "-"
    unit = get_metric(name).unit
    if unit == "fraction":
        return f"{100 * value:.1f}"
    if unit == "per frame":
        return f"{value:.2f}"
    return f"{value:.1f}" if unit == "ms" or (unit == "fps" and value < 100) else f"{value:.0f}"


def as_text(tables: Sequence[Table]) -> str:
    """Align the tables in columns; `*` follows the best metrics and `+` the second best."""
    parts = []
    for table in tables:
        rows = [[*table.head, *map(TEXT_MARKS[0].format, table.metrics)], *table.cells(TEXT_MARKS)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [table.title] if table.title else []
        texts = len(table.head)
        for row in rows:
            cells = list(zip(row, widths, strict=True))
            left = [f"{cell:<{width}}" for cell, width in cells[:texts]]
            right = [f"{cell:>{width}}" for cell, width in cells[texts:]]
            lines.append(("  ".join(left) + "  " + " ".join(right)).rstrip())
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def fit_to_width(
    tables: Sequence[Table], width: int | None
) -> tuple[Sequence[Table], Sequence[str]]:
    """Leave out metrics until the text of tables fits a width; return also the names of these.

    The last metrics are left out first, `FPS` and the first one never. Tables of the same metrics
    keep the same ones. A width of None has room for all.
    """
    if width is None:
        return tables, []
    chosen: dict[tuple[str, ...], list[str]] = {}
    for table in tables:
        fitting = chosen.setdefault(tuple(table.metrics), list(table.metrics))
        while len(removable := [name for name in fitting[1:] if name != SYSTEM_SPEED]):
            text = as_text([replace(table, metrics=fitting, title="")])
            if max(map(len, text.splitlines())) <= width:
                break
            fitting.remove(removable[-1])
    shown = [replace(table, metrics=chosen[tuple(table.metrics)]) for table in tables]
    left_out = [name for names, fitting in chosen.items() for name in names if name not in fitting]
    return shown, list(dict.fromkeys(left_out))


def write_csv(table: Table, path: Path) -> Path:
    """Write a table to the CSV file `path`; fractions have six decimals, missing metrics are empty.

    `head` and `metrics` are the names of the columns.
    """
    with atomic_write(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*table.head, *table.metrics])
        for texts, values in table.rows:
            numbers = [values.get(name) for name in table.metrics]
            rounded = ["" if number is None else round(number, DIGITS) for number in numbers]
            writer.writerow([*texts, *rounded])
    return path


def write_markdown(tables: Sequence[Table], path: Path) -> Path:
    """Write tables as Markdown; see `as_markdown`."""
    return _write_text(path, as_markdown(tables))


def as_markdown(tables: Sequence[Table]) -> str:
    """Format tables as Markdown; the best metrics are bold, the second best in italics."""
    parts = []
    for table in tables:
        lines = [[*table.head, *table.metrics], *table.cells(MARKDOWN_MARKS)]
        lines.insert(1, ["---"] * len(table.head) + ["---:"] * len(table.metrics))
        rows = [" | ".join(cell.strip().replace("|", "\\|") for cell in line) for line in lines]
        parts.append("".join(f"| {row} |\n" for row in rows))
    return "\n".join(parts)


def write_latex(table: Table, path: Path) -> Path:
    """Write a table as `tabular` for booktabs; the best are bold, the second best underlined."""
    texts = len(table.head)
    lines = [r"\begin{tabular}{" + "l" * texts + "r" * len(table.metrics) + "}", r"\toprule"]
    lines += [" & ".join([*table.head, *table.metrics]) + r" \\", r"\midrule"]
    for row in table.cells(LATEX_MARKS):
        names = [_latex_text(name) for name in row[:texts]]
        numbers = ["--" if cell == "-" else cell for cell in row[texts:]]
        lines.append(" & ".join(names + numbers) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    return _write_text(path, "\n".join(lines) + "\n")


def _latex_text(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(c, f"\\{c}" if c in "&%$#_{}" else c) for c in text)


def _write_text(path: Path, text: str) -> Path:
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
    return path


@dataclass(frozen=True)
class TableRow:
    """The metrics of a tracker or a pipeline on a sequence, or on all of them, `COMBINED`.

    `of` says what is scored, "tracks" or "cache". `metrics` are fractions and counts by TrackEval's
    names. `motmetrics` are those of that package, None if it was not used. `curves` are HOTA and
    its parts at each threshold. `interval` are the ends of each metric's 95 % confidence interval.
    Both are empty where there are none.
    """

    of: Kind
    tracker: str
    rules: str
    sequence: str
    metrics: Mapping[str, float]
    motmetrics: Mapping[str, float] | None = None
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    interval: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the row as `evaluate --json` prints it."""
        return {
            "tracker": self.tracker,
            "rules": self.rules,
            "sequence": self.sequence,
            "figures": self.metrics,
            "motmetrics": self.motmetrics,
            "curves": self.curves,
            "interval": self.interval,
        }

    def lines(self) -> Iterator[tuple[str, Mapping[str, float]]]:
        """Yield the lines of a table by name: metrics, those of motmetrics, interval bounds."""
        yield self.sequence, self.metrics
        if self.motmetrics is not None:
            yield "by motmetrics", self.motmetrics
        for index, bound in enumerate(BOUNDS):
            if self.interval:
                yield bound, {name: ends[index] for name, ends in self.interval.items()}


def evaluation_tables(rows: Sequence[TableRow], by_tracker: bool = False) -> list[Table]:
    """Arrange rows in one table of tracks and one of caches.

    With `by_tracker`, each tracker or pipeline has a table, with its name as the title. The columns
    are the metrics of `evaluate` that any row has.
    """

    def key(row: TableRow) -> tuple[Kind, str]:
        return row.of, row.tracker if by_tracker else ""

    tables = []
    for (of, title), group in groupby(rows, key):
        scored = list(group)
        names = columns("evaluate", of) + (columns("evaluate", "speed") if of == "tracks" else ())
        present = [name for name in names if any(name in row.metrics for row in scored)]
        lines = []
        for row in scored:
            for name, values in row.lines():
                of_sequence = name == row.sequence
                texts = [name, row.rules.upper()] if of_sequence else [f"  {name}", ""]
                lines.append((texts if by_tracker else [row.tracker, *texts], values))
        head = ["Sequence", "Rules"] if by_tracker else ["Tracker", "Sequence", "Rules"]
        tables.append(Table(head, present, lines, title=title))
    return tables


def write_evaluation_csv(rows: Sequence[TableRow], path: Path) -> Path:
    """Write all metrics to the CSV file `path`: bench, tracker, seq, HOTA, …; one line per row."""
    names = list(dict.fromkeys(name for row in rows for name in row.metrics))
    lines = [([row.rules.upper(), row.tracker, row.sequence], row.metrics) for row in rows]
    return write_csv(Table(["bench", "tracker", "seq"], names, lines), path)
