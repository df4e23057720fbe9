"""The tables of the papers as data, and as text: what they print beside what mottool scores.

`<paper>/tables.toml` holds the tables of a paper: the settings of each row and its printed figures.
"""

import csv
import re
import shlex
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "AT_TRUE_BOXES",
    "NAMES",
    "PAPERS",
    "SPEEDS",
    "SPEED_NOTE",
    "Grid",
    "Row",
    "Table",
    "read_scores",
    "read_tables",
]

PAPERS = Path(__file__).resolve().parent
COMBINED = "COMBINED"  # the row of `evaluate --csv` with all sequences together
TABLE_KEYS = {"title", "data", "columns", "note", "rows"}
RUN_KEYS = {"network", "train", "detect", "associate", "evaluate", "teacher", "init"}
ROW_KEYS = {"label", "printed", "sequence"}
FLAGS = ("train", "detect", "associate", "evaluate")
# Columns of the papers by the names of `mottool evaluate --csv`.
NAMES = {
    "IDs": "IDSW",
    "IDS": "IDSW",
    "IDSw": "IDSW",
    "Prec": "Prcn",
    "Rec": "Rcll",
    "Recall": "Rcll",
    "R1": "Rank1",
    "Hz": "FPS",
} | {f"IDs_{size}": f"IDSW_{size}" for size in "SML"}
COUNTS = {"IDSW", "IDSW_S", "IDSW_M", "IDSW_L", "MT", "PT", "ML", "FP", "FN", "Frag"}
AT_TRUE_BOXES = {"TPR", "TPR_S", "TPR_M", "TPR_L", "Rank1", "mAP"}  # of embeddings
SPEED = "FPS"
SPEEDS = {"FPSD", "FPSE", "FPSA", SPEED}
SPEED_NOTE = (
    "FPS is of the whole system: networks, decoding of their heads, and association. Decoding of "
    "the video and the first frame of each sequence, which includes start-up, are left out."
)


@dataclass(frozen=True)
class Row:
    """A row of a table: the figures that the paper prints, and how mottool makes its own.

    `train`, `detect`, `associate` and `evaluate` are flags of the commands train, detect-embed,
    associate and evaluate; `associate` is None if nothing is tracked. `teacher` is distilled before
    the training. `init` asks for initial weights. `sequence` is the only one that is scored.
    """

    label: str
    printed: Sequence[float | str]
    network: str = ""
    train: str = ""
    detect: str = ""
    associate: str | None = None
    evaluate: str = ""
    teacher: str = ""
    init: bool = False
    sequence: str = ""
    unavailable: str = ""

    @property
    def pipeline(self) -> str:
        """Return the pipeline that detects: that of the flags, or the network."""
        words = shlex.split(self.detect)
        chosen = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "--pipeline"]
        return chosen[-1] if chosen else self.network


@dataclass(frozen=True)
class Table:
    """A numbered table of a paper; `columns` are in the paper's order."""

    paper: str
    number: str
    title: str
    data: str
    columns: Sequence[str]
    rows: Sequence[Row]
    note: str = ""


def read_tables(paper: str) -> dict[str, Table]:
    """Read the tables of a paper by their numbers. Raises `ValueError` for unknown keys."""
    with (PAPERS / paper / "tables.toml").open("rb") as file:
        content = tomllib.load(file)
    return {number: _table(paper, number, entry) for number, entry in content.items()}


def _table(paper: str, number: str, entry: Mapping[str, Any]) -> Table:
    where = f"table {number} of {paper}"
    _refuse_others(entry, TABLE_KEYS | RUN_KEYS | {"unavailable"}, where)
    rows = [_row(row, entry, f"{where}, row {i}") for i, row in enumerate(entry["rows"], 1)]
    texts = {key: entry.get(key, "") for key in ("title", "data", "note")}
    return Table(paper, number, columns=tuple(entry["columns"]), rows=rows, **texts)


def _row(row: Mapping[str, Any], table: Mapping[str, Any], where: str) -> Row:
    """Return a row with the table's flags before its own, and the table's other settings."""
    _refuse_others(row, ROW_KEYS | RUN_KEYS | {"unavailable"}, where)
    if "unavailable" in row:
        _refuse_others(row, ROW_KEYS | {"unavailable"}, f"{where}, which is unavailable,")
        return Row(**row)
    if "unavailable" in table and not RUN_KEYS & row.keys():
        return Row(**row, unavailable=table["unavailable"])
    values = {key: table[key] for key in RUN_KEYS if key in table} | dict(row)
    for name in FLAGS:
        parts = [source[name] for source in (table, row) if name in source]
        if parts:
            values[name] = " ".join(part for part in parts if part)
    made = Row(**values)
    if not made.pipeline:
        raise ValueError(f"{where} has neither a network, nor a --pipeline, nor `unavailable`")
    return made


def _refuse_others(entry: Mapping[str, Any], known: set[str], where: str) -> None:
    others = sorted(entry.keys() - known)
    if others:
        raise ValueError(f"{where} has the unknown key {others[0]!r}")


def read_scores(paths: Iterable[Path], sequence: str = "") -> dict[str, float]:
    """Return the metrics of a sequence, by default of all together, from `--csv` files.

    A file of `evaluate` has rows of the tracks, then of the caches. The first row that has a metric
    counts.
    """
    scores: dict[str, float] = {}
    for path in paths:
        with path.open(newline="", encoding="utf-8") as file:
            for line in csv.DictReader(file):
                if line["seq"] == (sequence or COMBINED):
                    given = {name: float(text) for name, text in line.items() if _is_number(text)}
                    scores = given | scores
    return scores


def _is_number(text: str | None) -> bool:
    return bool(text and re.fullmatch(r"-?\d+(\.\d*)?(e[-+]?\d+)?", text))


def figure(column: str, scores: Mapping[str, float], fractions: bool = False) -> str:
    """Format a figure: a count, a rate, and a percentage or a fraction; "-" without one."""
    name = NAMES.get(column, column)
    value = scores.get(name)
    if value is None:
        return "-"
    if name in COUNTS:
        return f"{value:.0f}"
    if name in {*SPEEDS, "FAR"}:
        return f"{value:.2f}" if name == "FAR" else f"{value:.1f}"
    return f"{value:.3f}" if fractions else f"{100 * value:.1f}"


class Grid:
    """Lines of a Markdown table whose columns are as wide as the paper's figures require."""

    def __init__(self, table: Table) -> None:
        """Measure the labels, names and printed figures.

        A column whose printed numbers are all at most 1 holds fractions, not percentages.
        """
        self.columns = table.columns
        self.label = max(len(row.label) for row in table.rows)
        printed = list(zip(*(row.printed for row in table.rows), strict=True))
        self.decimals = [max(_decimals(value) for value in column) for column in printed]
        self.printed = [
            max(len(_printed(value, decimals)) for value in column)
            for column, decimals in zip(printed, self.decimals, strict=True)
        ]
        cells = zip(self.columns, self.printed, strict=True)
        self.widths = [max(len(name), width + 3 + 6) for name, width in cells]
        numbers = [[value for value in column if isinstance(value, float)] for column in printed]
        self.fractions = [bool(column) and max(column) <= 1 for column in numbers]

    def head(self) -> list[str]:
        """Return the names of the columns and the rule below them."""
        rules = ["-" * (width + 1) + ":" for width in self.widths]
        return [self._line("", self.columns), f"|{'-' * (self.label + 2)}|{'|'.join(rules)}|"]

    def row(self, row: Row, scores: Mapping[str, float]) -> str:
        """Return a row: in each cell the paper's figure, then ours."""
        cells = []
        for index, (column, value) in enumerate(zip(self.columns, row.printed, strict=True)):
            theirs = _printed(value, self.decimals[index])
            ours = figure(column, scores, self.fractions[index])
            cells.append(f"{theirs:>{self.printed[index]}} / {ours:>6}")
        return self._line(row.label, cells)

    def _line(self, label: str, cells: Sequence[str]) -> str:
        texts = [f"{cell:>{width}}" for cell, width in zip(cells, self.widths, strict=True)]
        return f"| {label:<{self.label}} | {' | '.join(texts)} |"


def _decimals(value: float | str) -> int:
    """Return the decimals of a printed number; 0 for integers and text."""
    return len(str(value).partition(".")[2]) if isinstance(value, float) else 0


def _printed(value: float | str, decimals: int) -> str:
    """Format a figure of the paper with its column's decimals; "-" without one."""
    if value == "":
        return "-"
    return f"{value:.{decimals}f}" if isinstance(value, float) else str(value)
