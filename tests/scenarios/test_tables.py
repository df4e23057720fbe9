import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
from caches import made, write
from figures import street
from recipes import QUICK, fresh_student

from mottool.association.registry import settings_by_tracker
from mottool.networks.registry import NETWORKS, learning_settings, trainable
from mottool.settings import build_settings
from mottool.stages import associate, detect_embed, train

FOLDER = Path(__file__).parents[2] / "examples/training/tables"
TABLES = sorted(path for path in FOLDER.glob("*.sh") if path.stem != "table")
FIGURES = {"MOTA", "IDF1", "FP", "FN", "AP", "TPR", "Rank1", "mAP", "IDs", "FPS"}
FIGURES |= {f"{figure}_{size}" for figure in ("AP", "TPR", "IDs") for size in "SML"}
# Stands in for Python: notes what it is asked, an argument a line, and does nothing.
STUB = '#!/bin/sh\nprintf "%s\\n" "$@" >>"$NOTES"\necho END >>"$NOTES"\n'


def ran(table, *arguments, **variables):
    environment = {**os.environ, "MOTTOOL_PYTHON": sys.executable, **variables}
    return subprocess.run(
        ["sh", str(table), *arguments], env=environment, capture_output=True, text=True
    )


def asked(table, folder, *arguments, **variables):
    """The command lines of a table's script, none of them run."""
    stub, notes = folder / "python", folder / "notes"
    stub.write_text(STUB)
    stub.chmod(0o755)
    variables |= {"MOTTOOL_PYTHON": str(stub), "NOTES": str(notes)}
    variables |= {"MOTTOOL_WORK": str(folder / "work")}
    result = ran(table, *arguments, **variables)
    assert result.returncode == 0, result.stderr
    return [line.splitlines() for line in notes.read_text().split("\nEND\n") if line]


def settings_of(kinds, kind, params, name):
    """The settings that a command would make of its flags; refuses those that do not belong."""
    names = {field.name for each in kinds.values() for field in dataclasses.fields(each)}
    given = {key: value for key, value in params.items() if key in names and value is not None}
    return build_settings(kind, given, name)


def stages(lines, command):
    """The arguments of every `mottool COMMAND`, and what its options are read as."""
    for line in lines:
        if line[:3] == ["-m", "mottool", command.name]:
            yield command.make_context(command.name, line[3:]).params


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_without_arguments_a_table_prints_its_usage(table):
    result = ran(table)
    assert result.returncode == 2
    assert f"sh examples/training/tables/{table.name} VALIDATION DATASET..." in result.stderr
    assert "run this script again to resume" in result.stderr
    assert "set -eu" not in result.stderr
    assert not result.stdout


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_a_table_asks_for_what_there_is(table, tmp_path):
    lines = asked(table, tmp_path, "a video", "data one", "two")
    trained = list(stages(lines, train.command))
    assert trained
    for params in trained:
        assert params["data"] == ("data one", "two")
        assert params["validate"] == ("a video",)
        learning = trainable(params["pipeline"]).family.learning
        settings_of(learning_settings(), learning, params, params["pipeline"])
    tracked = list(stages(lines, associate.command))
    for params in tracked:
        trackers = settings_by_tracker()
        settings_of(trackers, trackers[params["tracker"]], params, params["tracker"])
    detected = [params["pipeline"] for params in stages(lines, detect_embed.command)]
    assert detected
    assert {name.partition("+")[0] for name in detected} <= NETWORKS.keys()
    head, *rows = [line for line in lines if line[0] == str(FOLDER / "row.py")]
    assert set(head[1:]) <= FIGURES
    assert len(rows) == len(tracked) >= 2
    labels = [row[row.index("--label") + 1] for row in rows]
    assert len(set(labels)) == len(labels)
    variants = {row[row.index("--scores") + 1] for row in rows}
    assert len(variants) == len(rows)


def test_students_are_taught_from_what_was_distilled(tmp_path):
    table = FOLDER / "tdt-teachers.sh"
    lines = asked(table, tmp_path, "val", "one", "two", TEACHERS="osnet_x1_0", TEACHER_FOLDER="w")
    distilled = [line[3:] for line in lines if line[2:3] == ["distill-labels"]]
    assert [line[0] for line in distilled] == ["one", "two"]
    assert all(line[-2:] == ["--teacher-weights", "w/osnet_x1_0.pth"] for line in distilled)
    (params,) = stages(lines, train.command)
    assert [path.parent.name for path in params["labels"]] == ["osnet_x1_0"]


def test_what_a_table_is_told_reaches_every_row(tmp_path):
    table = FOLDER / "cstrack-size.sh"
    message = {"INIT": "begin with.pt", "INPUT": "64x96", "FLAGS": "--epochs 2 --batch 3"}
    lines = asked(table, tmp_path, "val", "data", **message)
    trained = list(stages(lines, train.command))
    assert [params["pipeline"] for params in trained] == ["cstrack", "cstrack-s"]
    detects = [line for line in lines if line[2:3] == ["detect-embed"]]
    assert all(line[line.index("--input") + 1] == "64x96" for line in detects)
    trains = [line for line in lines if line[2:3] == ["train"]]
    for line in trains:
        assert line[line.index("--init") + 1] == "begin with.pt"
        assert line[line.index("--input") + 1] == "64x96"
        assert line[line.index("--epochs") + 1] == "2"


def test_a_row_is_read_from_what_evaluate_writes(tmp_path):
    (tmp_path / "scores.csv").write_text(
        "seq,HOTA,MOTA,IDSW,AP,TPR\none,0.1,0.2,1,,\nCOMBINED,0.3,-0.4567,12,,\n"
        "COMBINED,,,,0.75,\nCOMBINED,,,,1.0,0.5\n"
    )
    for name in ("a", "b"):
        write(tmp_path / f"{name}.h5", [made() for _ in range(3)])
    options = ["--label", "mine", "--scores", tmp_path / "scores.csv", "--caches", tmp_path]
    figures = ["MOTA", "HOTA", "IDs", "AP", "TPR", "TPR_S", "FPS"]
    row = [sys.executable, FOLDER / "row.py", *figures]
    printed = subprocess.run([*row, *options], capture_output=True, text=True, check=True).stdout
    cells = [cell.strip() for cell in printed.strip().strip("|").split("|")]
    # Each frame took 0.875 s (caches.COST).
    assert cells == ["mine", "-45.7", "30.0", "12", "75.0", "50.0", "-", "1.1"]
    head = subprocess.run(row, capture_output=True, text=True, check=True)
    first, rule = head.stdout.splitlines()
    assert [cell.strip() for cell in first.strip("|").split("|")] == ["", *figures]
    assert len(first) == len(rule) == len(printed.rstrip("\n"))


def test_embeddings_are_judged_at_true_boxes_where_a_figure_needs_them(tmp_path):
    for name, needed in (("tdt-dimensions", True), ("cstrack-size", False)):
        folder = tmp_path / name
        folder.mkdir()
        lines = asked(FOLDER / f"{name}.sh", folder, "val", "data")
        at = [params["boxes"] for params in stages(lines, detect_embed.command)]
        assert ("gt" in at) == needed
        assert None in at


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("name", "rows"), [("outrack-occlusion", 3), ("cstrack-size", 2), ("tdt-stages", 2)]
)
def test_a_table_is_made(name, rows, tmp_path):
    scene = str(street(tmp_path / "street", 4, size=(96, 64)))
    variables = {"FLAGS": QUICK.replace("--input 64x64", ""), "INPUT": "64x64"}
    variables |= {"MOTTOOL_WORK": str(tmp_path / "work")}
    if name.startswith("tdt"):
        # Not from ImageNet's weights, so that nothing is downloaded.
        variables |= {"INIT": str(fresh_student(tmp_path)), "PIPELINE": "tdt-mobilenet"}
        variables |= {"TEACHER": "histogram"}
        variables["FLAGS"] += " --embedding-size 32"
    result = ran(FOLDER / f"{name}.sh", scene, scene, **variables)
    assert result.returncode == 0, result.stderr
    head, rule, *lines = result.stdout.splitlines()
    assert len(lines) == rows
    assert {line.count("|") for line in (head, rule, *lines)} == {head.count("|")}
