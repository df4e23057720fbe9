"""Print a table of a paper; with data, make its rows with mottool and print both figures.

    python table.py PAPER TABLE
    python table.py PAPER TABLE VALIDATION DATASET...

`sh table.sh` prints how to use this.
"""

import argparse
import hashlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from paper_tables import (
    AT_TRUE_BOXES,
    NAMES,
    PAPERS,
    SPEED_NOTE,
    SPEEDS,
    Grid,
    Row,
    Table,
    read_scores,
    read_tables,
)

# Flags of `detect-embed` that also apply when it embeds at true boxes.
EMBEDDING_FLAGS = {"--pipeline", "--embedder", "--weights", "--embedder-weights", "--input"}
EMBEDDING_FLAGS |= {"--embedder-pixels", "--device", "--precision", "--batch"}


class NotRunnable(Exception):
    """A row that cannot be run; the message says why."""


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
    """The commands of mottool that make a row, and the files of its scores.

    An argument that ends in `/*` stands for what is in that folder when the command starts. A
    metric that is in several files is that of the first.
    """

    commands: Sequence[Sequence[str]]
    scores: Sequence[Path]


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
    validations = list(_validations(names, detect, setup, folder))
    commands += [command for command, _ in validations]
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
    return Plan(commands, [*(path for _, path in validations), scores])


def _validations(
    names: set[str], detect: Sequence[str], setup: Setup, folder: Path
) -> Iterator[tuple[list[str], Path]]:
    """Yield commands that score a network on $DETECTION_DATA and $EMBEDDING_DATA, with the files.

    These are data sets of their own for the metrics of detections and of embeddings.
    """
    parts = (("detections", "DETECTION_DATA", {"AP"}), ("embeddings", "EMBEDDING_DATA", {"TPR"}))
    words = _only(detect, EMBEDDING_FLAGS)
    for part, variable, metrics in parts:
        datasets = setup.flags(setup.environment.get(variable, ""))
        if datasets and names & metrics:
            scores = _folder(folder, part, [*words, *datasets]).with_suffix(".csv")
            command = ["validate", *datasets, "--only", part, *words, "--work", str(folder)]
            yield [*command, "--csv", str(scores)], scores


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


def head(table: Table, setup: Setup | None) -> Iterator[str]:
    """Yield the lines above a table: what it shows, on which data, and by which definitions."""
    yield f"{table.paper}, Table {table.number}: {table.title}"
    yield ""
    yield f"Paper: {table.data}"
    if setup:
        yield f"Ours: trained on {', '.join(setup.sources) or '-'}; scored on {setup.validation}."
        for variable, metric in (("DETECTION_DATA", "AP"), ("EMBEDDING_DATA", "TPR")):
            if metric in table.columns and setup.environment.get(variable):
                yield f"Our {metric} is scored on {setup.environment[variable]}."
    if table.note:
        yield f"Note: {table.note}"
    if SPEEDS & {NAMES.get(name, name) for name in table.columns}:
        yield SPEED_NOTE
    yield 'Cells are the paper\'s figure / ours; "-" is one that is not printed or not computed.'
    yield ""


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
