"""The tables of the papers, `examples/papers/*/tables.toml`, and the command that makes them."""

import dataclasses
import re

import pytest
from goldens import shared
from printed_tables import PRINTED, TURNED
from table_runs import FOLDER, paper_tables, parsed, runner, setup

from mottool.association.registry import settings_by_tracker
from mottool.metrics.registry import METRICS
from mottool.networks.registry import learning_settings, trainable
from mottool.pipelines import build
from mottool.pipelines.names import full_name
from mottool.pipelines.options import Options
from mottool.settings import build_settings

PAPERS = sorted({paper for paper, _ in PRINTED})
TABLES = {
    (paper, number): table
    for paper in PAPERS
    if (FOLDER / paper / "tables.toml").exists()
    for number, table in paper_tables.read_tables(paper).items()
}
# Columns of what is trained on, or of the system: `mottool evaluate` does not print them.
OTHERS = {"#img", "#box", "#id", "FPS", "FPSD", "FPSA"}
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")

NAMES = ["-".join(key) for key in TABLES]
each_table = pytest.mark.parametrize(("paper", "number"), TABLES, ids=NAMES)


def runnable(table):
    return [row for row in table.rows if not row.unavailable]


def settings_of(kinds, kind, params, name):
    """The settings that a command would make of its flags; refuses those that do not belong."""
    names = {field.name for each in kinds.values() for field in dataclasses.fields(each)}
    given = {key: value for key, value in params.items() if key in names and value is not None}
    return build_settings(kind, given, name)


def test_there_are_the_tables_of_every_paper():
    folders = {path.parent.name for path in FOLDER.glob("*/tables.toml")}
    assert folders == set(PAPERS)
    assert set(TABLES) == set(PRINTED)


@each_table
def test_rows_and_columns_are_those_of_the_paper(paper, number):
    table = TABLES[paper, number]
    count, columns = PRINTED[paper, number]
    assert len(table.rows) == count
    names = [runner.NAMES.get(name, name) for name in table.columns]
    assert names == [runner.NAMES.get(name, name) for name in columns.split()]
    assert len({row.label for row in table.rows}) == count
    assert table.title
    assert table.data


@each_table
def test_every_row_has_a_figure_or_a_blank_for_each_column(paper, number):
    table = TABLES[paper, number]
    known = {metric.name for metric in METRICS} | OTHERS
    assert {runner.NAMES.get(name, name) for name in table.columns} <= known
    for row in table.rows:
        assert len(row.printed) == len(table.columns), row.label
        assert any(value != "" for value in row.printed), row.label


@each_table
def test_the_commands_take_the_flags_of_every_row(paper, number, tmp_path):
    table = TABLES[paper, number]
    for row in runnable(table):
        plan = runner.plan(row, table.columns, setup(tmp_path))
        for command in plan.commands:
            name, params = parsed(command)
            if name == "train":
                learning = trainable(params["pipeline"]).family.learning
                settings_of(learning_settings(), learning, params, row.label)
            if name == "associate":
                trackers = settings_by_tracker()
                settings_of(trackers, trackers[params["tracker"]], params, row.label)
            if name == "detect-embed":
                (pipeline,) = params["names"]
                chosen = [pipeline, *(params[name] or "" for name in ("embedder", "boxes"))]
                fields = [field.name for field in dataclasses.fields(Options)]
                given = {name: params[name] for name in fields if params.get(name) is not None}
                options = build_settings(Options, given, row.label)
                full, options = full_name(*chosen, options)
                detector, plus, embedder = full.partition("+")
                parts = [build._detector_part(detector)]
                parts += [build._embedder_part(embedder)] if plus else []
                accepted = [option for part in parts for option in part.options]
                build._refuse_others(full, options, "weights", *accepted)


@each_table
def test_printed_figures_are_in_the_text_of_the_paper(paper, number):
    text = shared(f"papers/{paper}.txt").read_text(encoding="utf-8")
    numbers = [float(word.replace(",", "")) for word in NUMBER.findall(text)]
    everywhere = set(numbers)
    for row in TABLES[paper, number].rows:
        words = [word for value in row.printed for word in NUMBER.findall(str(value))]
        figures = [float(word.replace(",", "")) for word in words]
        assert set(figures) <= everywhere, row.label
        if (paper, number) in TURNED:
            continue
        size = len(figures)
        starts = (start for start, value in enumerate(numbers) if [value] == figures[:1])
        assert not figures or any(numbers[start : start + size] == figures for start in starts), (
            f"{row.label}: the text has no {figures} in this order"
        )


@each_table
def test_without_data_a_table_shows_what_the_paper_prints(paper, number, capsys):
    table = TABLES[paper, number]
    assert runner.print_table(table, None, range(1, 1 + len(table.rows)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{paper}, Table {number}: ")
    grid = [line for line in lines if line.startswith("|")]
    assert len(grid) == len(table.rows) + 2
    assert {line.count("|") for line in grid} == {len(table.columns) + 2}
    assert len({len(line) for line in grid}) == 1
    for line, row in zip(grid[2:], table.rows, strict=True):
        label, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert label == row.label
        for cell, value in zip(cells, row.printed, strict=True):
            theirs, slash, ours = cell.rpartition(" / ")
            assert slash
            assert ours.strip() == "-"
            same = (
                theirs == "-" if value == "" else theirs == str(value) or (float(theirs) == value)
            )
            assert same, (label, cell, value)
