"""The table of the comparison: text for a screen, CSV, Markdown, LaTeX."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

from mottool.comparison.results import FIGURES, ComparisonRow, ranks, shown
from mottool.files import atomic_write
from mottool.metrics.tables import COMBINED

__all__ = ["HEAD", "as_text", "write_csv", "write_latex", "write_markdown"]

HEAD = ("Pipeline", "Kind", "Tracker")
ON_SCREEN = "", "*", "+"  # behind figures of rank 0, 1, 2
DIGITS = 6  # in CSV

Mark = Callable[[str, int], str]


def as_text(standings: Sequence[ComparisonRow]) -> str:
    """An aligned table, `*` behind the best figures and `+` behind the second best."""
    rows = [[*HEAD, *(f"{name} " for name in FIGURES)]]  # room for the marks
    rows += _rows(standings, lambda text, rank: text + (ON_SCREEN[rank] or " "))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = list(zip(row, widths, strict=True))
        names = [f"{cell:<{width}}" for cell, width in cells[: len(HEAD)]]
        numbers = [f"{cell:>{width}}" for cell, width in cells[len(HEAD) :]]
        lines.append("  ".join(names) + "  " + " ".join(numbers))
    return "\n".join(line.rstrip() for line in lines)


def write_csv(standings: Sequence[ComparisonRow], path: Path) -> Path:
    """Every row and sequence, in the columns pipeline, kind, tracker, seq, MOTA, …

    Fractions have six decimals; what does not exist is empty.
    """
    with atomic_write(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["pipeline", "kind", "tracker", "seq", *FIGURES])
        for each in standings:
            for sequence, told in {**each.by_sequence, COMBINED: each.figures}.items():
                values = [told[name] for name in FIGURES]
                rounded = ["" if value is None else round(value, DIGITS) for value in values]
                writer.writerow([each.pipeline, each.kind, each.tracker, sequence, *rounded])
    return path


def write_markdown(standings: Sequence[ComparisonRow], path: Path) -> Path:
    """The screen's table, the best figures bold, the second best in italics."""
    marks = "{}", "**{}**", "*{}*"
    lines = [[*HEAD, *FIGURES], ["---"] * len(HEAD) + ["---:"] * len(FIGURES)]
    lines += _rows(standings, lambda text, rank: marks[rank].format(text))
    text = "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines
    )
    return _write(path, text)


def write_latex(standings: Sequence[ComparisonRow], path: Path) -> Path:
    """The screen's table as `tabular` for booktabs, the best bold, the second best underlined."""
    marks = "{}", r"\textbf{{{}}}", r"\underline{{{}}}"
    lines = [r"\begin{tabular}{" + "l" * len(HEAD) + "r" * len(FIGURES) + "}", r"\toprule"]
    lines += [" & ".join(HEAD + FIGURES) + r" \\", r"\midrule"]
    for row in _rows(standings, lambda text, rank: marks[rank].format(text)):
        names = [_escaped(name) for name in row[: len(HEAD)]]
        numbers = ["--" if text == "-" else text for text in row[len(HEAD) :]]
        lines.append(" & ".join(names + numbers) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    return _write(path, "\n".join(lines) + "\n")


def _rows(standings: Sequence[ComparisonRow], mark: Mark) -> list[list[str]]:
    """Cells of every row, the figures passed through `mark` with their rank."""
    columns = [
        [
            mark(shown(name, each.figures[name]), rank)
            for each, rank in zip(standings, ranks(standings, name), strict=True)
        ]
        for name in FIGURES
    ]
    return [
        [each.pipeline, each.kind, each.tracker, *cells]
        for each, *cells in zip(standings, *columns, strict=True)
    ]


def _escaped(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(sign, f"\\{sign}" if sign in "&%$#_{}" else sign) for sign in text)


def _write(path: Path, text: str) -> Path:
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
    return path
