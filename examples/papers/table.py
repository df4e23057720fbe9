"""Print a table of a paper; with data, make its rows with mottool and print both figures.

    python table.py PAPER TABLE
    python table.py PAPER TABLE VALIDATION DATASET...

`<paper>/tables.toml` holds the tables: the settings of each row and the figures that the paper
prints. `sh table.sh` prints how to use this.
"""

import argparse
import csv
import hashlib
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
# Flags of `detect-embed` that also apply when it embeds at true boxes.
EMBEDDING_FLAGS = {"--pipeline", "--embedder", "--weights", "--embedder-weights", "--input"}
EMBEDDING_FLAGS |= {"--embedder-pixels", "--device", "--precision", "--batch"}
SPEED_NOTE = (
    "FPS is of the whole system: networks, decoding of their heads, and association. Decoding of "
    "the video and the first frame of each sequence, which includes start-up, are left out."
)


class NotRunnable(Exception):
    """A row that cannot be run; the message says why."""


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


@dataclass(frozen=True)
class Setup:
    """Data and variables for the rows: the arguments of the command and its environment."""

    validation: str
    sources: Sequence[str]
    work: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def flags(self, text: str) -> list[str]:
        """Split flags into words, and insert environment variables for $NAME."""
        return [re.sub(r"\$\{?(\w+)\}?", self._variable, word) for word in shlex.split(text)]

    def _variable(self, match: re.Match[str]) -> str:
        value = self.environment.get(match[1])
        if not value:
            raise NotRunnable(f"set ${match[1]}")
        return value

    def of_network(self, kind: str, network: str) -> str:
        """Return the variable KIND_NETWORK, such as WEIGHTS_OSNET_AIN_X1_0, or ""."""
        name = re.sub(r"\W", "_", network).upper()
        return self.environment.get(f"{kind}_{name}", "")


@dataclass(frozen=True)
class Plan:
    """The commands of mottool that make a row, and the file of its scores.

    An argument that ends in `/*` stands for what is in that folder when the command starts.
    """

    commands: Sequence[Sequence[str]]
    scores: Path


def plan(row: Row, columns: Iterable[str], setup: Setup) -> Plan:
    """Return what makes a row. Raises `NotRunnable` if it is unavailable or a variable is unset."""
    if row.unavailable:
        raise NotRunnable(row.unavailable)
    names = {NAMES.get(name, name) for name in columns}
    commands, weights, folder = _training(row, setup)
    detect = [*weights, *setup.flags(row.detect)]
    if "--pipeline" not in detect:
        detect = ["--pipeline", row.network, *detect]
    _, plus, embedder = row.pipeline.partition("+")
    if plus and "--embedder-weights" not in detect and setup.of_network("WEIGHTS", embedder):
        detect += ["--embedder-weights", setup.of_network("WEIGHTS", embedder)]
    detect += _given("--input", setup.environment.get("INPUT"))
    detected = _folder(folder, "detections", [*detect, setup.validation])
    commands.append(["detect-embed", setup.validation, "--work", str(detected), *detect])
    scored = [f"{detected}/caches/*"]
    if names & AT_TRUE_BOXES:
        words = _only(detect, EMBEDDING_FLAGS)
        at_true_boxes = _folder(folder, "true-boxes", [*words, setup.validation])
        command = ["detect-embed", setup.validation, "--work", str(at_true_boxes)]
        commands.append([*command, "--boxes", "gt", *words])
        scored.append(f"{at_true_boxes}/caches/*")
    result = detected / "scores"
    if row.associate is not None:
        associate = setup.flags(row.associate)
        if "--tracker" not in associate and row.network:
            associate = ["--tracker", row.network.partition("-")[0], *associate]
        result = _folder(detected, "tracks", associate)
        one_job = ["--jobs", "1"] if SPEEDS & names else []
        command = ["associate", "--work", str(detected), "--out", str(result), *associate]
        commands.append([*command, *one_job])
        scored.insert(0, str(result))
    evaluate = setup.flags(row.evaluate)
    scores = _folder(result.parent, result.name, [*evaluate, *scored]).with_suffix(".csv")
    command = ["evaluate", *scored, "--gt", setup.validation, "--by-size", "--csv", str(scores)]
    commands.append([*command, *evaluate])
    return Plan(commands, scores)


def _training(row: Row, setup: Setup) -> tuple[list[list[str]], list[str], Path]:
    """Return the commands that train a row's network, flags of its weights, and its folder."""
    if not row.network:
        return [], [], setup.work / "untrained"
    commands, labels = [], list[str]()
    for source in setup.sources if row.teacher else ():
        words = ["--teacher", row.teacher]
        words += _given("--teacher-weights", setup.of_network("WEIGHTS", row.teacher))
        path = _folder(setup.work / "labels", row.teacher, [source, *words]).with_suffix(".h5")
        commands.append(["distill-labels", source, "--out", str(path), *words])
        labels.append(str(path))
    train = [row.network, *setup.flags(row.train)]
    if row.init:
        init = setup.of_network("INIT", row.network) or setup.environment.get("INIT")
        train += _given("--init", init)
    train += _given("--input", setup.environment.get("INPUT"))
    train += setup.flags(setup.environment.get("FLAGS", ""))
    train += [word for source in setup.sources for word in ("--data", source)]
    train += [word for path in labels for word in ("--labels", path)]
    folder = _folder(setup.work, row.network, train)
    trained = folder / "training" / row.network / f"{row.network}.safetensors"
    given = setup.of_network("WEIGHTS", row.network)
    if not given:
        commands.append(["train", *train, "--work", str(folder)])
    detector, _, embedder = row.pipeline.partition("+")
    flags = {detector: "--weights", embedder: "--embedder-weights"}
    flag = flags.get(row.network, "")
    return commands, [flag, given or str(trained)] if flag else [], folder


def _given(flag: str, value: str | None) -> list[str]:
    return [flag, value] if value else []


def _only(words: Sequence[str], flags: set[str]) -> list[str]:
    """Return those of the flags with their values; every other flag is left out."""
    kept: list[str] = []
    keep = False
    for word in words:
        keep = word in flags if word.startswith("--") else keep
        kept += [word] if keep else []
    return kept


def _folder(parent: Path, name: str, words: Iterable[str]) -> Path:
    """Return a folder whose name has a checksum of all that its content depends on."""
    checksum = hashlib.sha256("\0".join(words).encode()).hexdigest()[:10]
    return parent / f"{name}-{checksum}"


def run(commands: Iterable[Sequence[str]]) -> None:
    """Run commands of mottool; their output goes to standard error.

    Raises `NotRunnable` for a command that fails. Every command resumes its own interrupted work.
    """
    for command in commands:
        words = [word for argument in command for word in _expanded(argument)]
        print("mottool", shlex.join(words), file=sys.stderr, flush=True)
        process = subprocess.run([sys.executable, "-m", "mottool", *words], stdout=sys.stderr)
        if process.returncode:
            raise NotRunnable(f"mottool {command[0]} failed (see its message)")


def _expanded(argument: str) -> list[str]:
    if not argument.endswith("/*"):
        return [argument]
    return [str(path) for path in sorted(Path(argument).parent.iterdir())]


def read_scores(path: Path, sequence: str = "") -> dict[str, float]:
    """Return the metrics of a sequence, by default of all together, from `evaluate --csv`.

    The file has rows of the tracks, then of the caches; the first one that has a metric counts.
    """
    scores: dict[str, float] = {}
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


def head(table: Table, setup: Setup | None) -> Iterator[str]:
    """Yield the lines above a table: what it shows, on which data, and by which definitions."""
    yield f"{table.paper}, Table {table.number}: {table.title}"
    yield ""
    yield f"Paper: {table.data}"
    if setup:
        yield f"Ours: trained on {', '.join(setup.sources) or '-'}; scored on {setup.validation}."
    if table.note:
        yield f"Note: {table.note}"
    if SPEEDS & {NAMES.get(name, name) for name in table.columns}:
        yield SPEED_NOTE
    yield 'Cells are the paper\'s figure / ours; "-" is one that is not printed or not computed.'
    yield ""


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


def print_table(table: Table, setup: Setup | None, chosen: Sequence[int]) -> bool:
    """Print a table, row by row as they are made; return whether all rows could be run.

    `chosen` are the rows to run, counted from 1. Without a setup none is run.
    """
    grid, reasons, complete = Grid(table), dict[str, list[str]](), True
    print("\n".join([*head(table, setup), *grid.head()]), flush=True)
    for number, row in enumerate(table.rows, 1):
        scores: Mapping[str, float] = {}
        reason = row.unavailable
        if setup and number in chosen and not reason:
            try:
                steps = plan(row, table.columns, setup)
                run(steps.commands)
                scores = read_scores(steps.scores, row.sequence)
            except NotRunnable as error:
                reason, complete = str(error), False
        if reason:
            reasons.setdefault(reason, []).append(row.label)
        print(grid.row(row, scores), flush=True)
    for reason, labels in reasons.items():
        print(f"\nNot run: {', '.join(labels)}. {reason}")
    return complete


def choose_rows(text: str, count: int) -> list[int]:
    """Return the numbers of the rows in $ROWS, such as 1,3; all of them for ""."""
    numbers = [int(word) for word in re.split(r"[\s,]+", text) if word]
    if any(not 1 <= number <= count for number in numbers):
        raise ValueError(f"ROWS={text}: the table has rows 1 to {count}")
    return numbers or list(range(1, count + 1))


def refuse_shared_weights(rows: Iterable[Row], setup: Setup) -> None:
    """Raise `ValueError` if $WEIGHTS_NETWORK would stand for several trainings of a network."""
    trainings: dict[str, set[tuple[str, str]]] = {}
    for row in rows:
        if row.network and setup.of_network("WEIGHTS", row.network):
            trainings.setdefault(row.network, set()).add((row.train, row.teacher))
    for network, different in trainings.items():
        if len(different) > 1:
            problem = f"the weights of {network} would stand for {len(different)} trainings of it"
            raise ValueError(f"{problem}; choose rows of one with $ROWS")


def main() -> None:
    """Print the tables of a paper, or one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    papers = sorted(path.parent.name for path in PAPERS.glob("*/tables.toml"))
    parser.add_argument("paper", choices=papers)
    parser.add_argument("table", nargs="?")
    parser.add_argument("validation", nargs="?")
    parser.add_argument("datasets", nargs="*")
    arguments = parser.parse_args()
    tables = read_tables(arguments.paper)
    if arguments.table not in tables:
        for number, table in tables.items():
            print(f"{number:>4}  {table.title}")
        if arguments.table:
            parser.error(f"{arguments.paper} has no table {arguments.table}")
        return
    table, setup = tables[arguments.table], None
    if arguments.validation:
        work = Path(os.environ.get("MOTTOOL_WORK", "mottool-work")) / "tables"
        setup = Setup(arguments.validation, arguments.datasets, work, os.environ)
    try:
        chosen = choose_rows(os.environ.get("ROWS", ""), len(table.rows))
        rows = [table.rows[number - 1] for number in chosen]
        if setup:
            refuse_shared_weights(rows, setup)
        if setup and not setup.sources and any(row.network for row in rows):
            raise ValueError("rows of this table are trained: give a DATASET after VALIDATION")
    except ValueError as error:
        parser.error(str(error))
    if not print_table(table, setup, chosen):
        sys.exit(1)


if __name__ == "__main__":
    main()
