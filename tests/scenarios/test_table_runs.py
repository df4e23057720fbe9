"""The command that makes the tables of the papers: `examples/papers/table.sh`."""

import csv
import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from figures import street
from printed_tables import PRINTED
from recipes import QUICK
from table_runs import FOLDER, paper_tables, parsed, runner, setup

from mottool.metrics.speed import FPS_NOTE


def made(tmp_path, monkeypatch, text):
    """The tables of a paper that is written for a test."""
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper/tables.toml").write_text(text)
    monkeypatch.setattr(paper_tables, "PAPERS", tmp_path)
    return paper_tables.read_tables("paper")


SMALL = """
[1]
title = "A table"
data = "data"
columns = ["MOTA", "IDs", "TPR", "Hz"]
network = "cstrack"
train = "--epochs 3"
associate = "--tracker cstrack"

[[1.rows]]
label = "one"
train = "--relation none"
printed = [50.0, 12, "", 7.5]

[[1.rows]]
label = "two"
train = "--relation none"
associate = "--conf-thres 0.3"
printed = [60.25, "1,234", 88.0, "<8.1"]

[[1.rows]]
label = "theirs"
unavailable = "Not public."
printed = [61.0, 3, "", ""]
"""


def test_flags_of_the_table_come_before_those_of_its_rows(tmp_path, monkeypatch):
    one, two, theirs = made(tmp_path, monkeypatch, SMALL)["1"].rows
    assert one.train == two.train == "--epochs 3 --relation none"
    assert (one.associate, two.associate) == (
        "--tracker cstrack",
        "--tracker cstrack --conf-thres 0.3",
    )
    assert (theirs.network, theirs.unavailable) == ("", "Not public.")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('label = "one"', 'label = "one"\nlabels = 1', "row 1 has the unknown key 'labels'"),
        ('title = "A table"', 'title = "A table"\nrow = 1', "the unknown key 'row'"),
        ('unavailable = "Not public."', 'unavailable = "No."\ntrain = ""', "unknown key 'train'"),
        ('network = "cstrack"', "", "row 1 has neither a network"),
    ],
)
def test_mistakes_in_a_table_are_refused(tmp_path, monkeypatch, old, new, message):
    with pytest.raises(ValueError, match=message):
        made(tmp_path, monkeypatch, SMALL.replace(old, new))


def test_rows_with_one_training_share_it_and_each_has_its_tracks(tmp_path, monkeypatch):
    table = made(tmp_path, monkeypatch, SMALL)["1"]
    one, two = (
        runner.plan(row, table.columns, setup(tmp_path, "a", "b")) for row in table.rows[:2]
    )
    assert [command[0] for command in one.commands] == [
        "train",
        "detect-embed",
        "detect-embed",
        "associate",
        "evaluate",
    ]
    assert one.commands[:3] == two.commands[:3]
    assert one.scores != two.scores
    trained, seen, at_true_boxes, tracked, scored = (parsed(words)[1] for words in one.commands)
    assert trained["data"] == ("a", "b")
    weights = trained["work"] / "training/cstrack/cstrack.safetensors"
    assert seen["weights"] == at_true_boxes["weights"] == weights
    assert (seen["boxes"], at_true_boxes["boxes"]) == (None, "gt")
    assert tracked["jobs"] == "1"  # because of the speed
    assert tracked["work"] == seen["work"]
    assert tracked["out"] in scored["tracks"]
    assert scored["truth"] == (Path("video"),)
    other = runner.plan(table.rows[0], table.columns, setup(tmp_path, "a"))
    assert other.commands[0] != one.commands[0]


def test_a_row_without_a_network_trains_nothing(tmp_path):
    row = runner.Row("x", [1.0], detect="--pipeline public", associate="--tracker sort")
    commands = runner.plan(row, ["MOTA"], setup(tmp_path)).commands
    assert [command[0] for command in commands] == ["detect-embed", "associate", "evaluate"]
    assert "--jobs" not in commands[1]


def test_weights_go_to_the_part_of_the_pipeline_that_was_trained(tmp_path):
    row = runner.Row("x", [1.0], "tdt-r50", "", "--pipeline tdt-r50+osnet_x1_0", "")
    given = setup(tmp_path, WEIGHTS_osnet_x1_0="teacher.pth")
    *_, seen, _, _ = runner.plan(row, ["MOTA"], given).commands
    params = parsed(seen)[1]
    assert params["weights"].name == "tdt-r50.safetensors"
    assert params["embedder_weights"] == Path("teacher.pth")
    row = dataclasses.replace(
        row, network="fairmot-dla34", detect="--pipeline public+fairmot-dla34"
    )
    *_, seen, _, _ = runner.plan(row, ["MOTA"], given).commands
    params = parsed(seen)[1]
    assert params["weights"] is None
    assert params["embedder_weights"].name == "fairmot-dla34.safetensors"


def test_students_learn_from_labels_of_every_dataset(tmp_path):
    row = runner.Row("x", [1.0], "tdt-r50", teacher="osnet_x1_0")
    one, two, trained, *_ = runner.plan(row, ["AP"], setup(tmp_path, "a", "b")).commands
    params = [parsed(words)[1] for words in (one, two)]
    assert [each["datasets"] for each in params] == [("a",), ("b",)]
    assert parsed(trained)[1]["labels"] == tuple(each["out"] for each in params)


def test_variables_of_a_row_that_are_not_set_are_named(tmp_path):
    row = runner.Row("x", [1.0], detect="--pipeline public --detections $BOXES")
    with pytest.raises(runner.NotRunnable, match=r"set \$BOXES"):
        runner.plan(row, ["MOTA"], runner.Setup("v", [], tmp_path, {}))
    plan = runner.plan(row, ["MOTA"], runner.Setup("v", [], tmp_path, {"BOXES": "a b"}))
    assert "a b" in plan.commands[0]


def test_initial_weights_are_used_where_the_paper_has_some(tmp_path):
    row = runner.Row("x", [1.0], "fairmot-dla34", init=True)
    environment = {"INIT": "any.pth", "INIT_FAIRMOT_DLA34": "dla.pth", "FLAGS": "--epochs 2"}
    for init, given, expected in (
        (True, environment, "dla.pth"),
        (True, {"INIT": "any.pth"}, "any.pth"),
        (False, environment, None),
    ):
        words = dataclasses.replace(row, init=init)
        plan = runner.plan(words, ["MOTA"], runner.Setup("v", ["d"], tmp_path, given))
        params = parsed(plan.commands[0])[1]
        assert params["init"] == expected


def test_given_weights_are_not_trained_and_serve_one_training(tmp_path, monkeypatch):
    table = made(tmp_path, monkeypatch, SMALL)["1"]
    given = runner.Setup("v", ["d"], tmp_path, {"WEIGHTS_CSTRACK": "cstrack.pt"})
    plan = runner.plan(table.rows[0], table.columns, given)
    assert plan.commands[0][0] == "detect-embed"
    assert parsed(plan.commands[0])[1]["weights"] == Path("cstrack.pt")
    runner.refuse_shared_weights(table.rows, given)
    other = dataclasses.replace(table.rows[0], train="")
    with pytest.raises(ValueError, match="2 trainings of it"):
        runner.refuse_shared_weights([other, table.rows[0]], given)


def test_our_metrics_are_printed_beside_the_papers(tmp_path, monkeypatch, capsys):
    table = made(tmp_path, monkeypatch, SMALL)["1"]
    ran = []

    def run(commands):
        ran.extend(commands)
        scores = Path(commands[-1][commands[-1].index("--csv") + 1])
        scores.parent.mkdir(parents=True, exist_ok=True)
        scores.write_text(
            "bench,tracker,seq,MOTA,IDSW,FPS,AP,TPR\nx,y,one,0.1,1,2,,\n"
            "x,y,COMBINED,-0.4567,1500,7.123,,\nx,y,COMBINED,,,,1.0,0.5\n"
        )

    monkeypatch.setattr(runner, "run", run)
    given = runner.Setup("v", ["d"], tmp_path / "work", {})
    assert runner.print_table(table, given, [2])
    out = capsys.readouterr().out
    grid = [line for line in out.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in grid]
    assert [" ".join(cell.split()) for cell in rows[3]] == [
        "two",
        "60.25 / -45.7",
        "1,234 / 1500",
        "88.0 / 50.0",
        "<8.1 / 7.1",
    ]
    assert [" ".join(cell.split()) for cell in rows[2]][1:] == [
        "50.00 / -",
        "12 / -",
        "- / -",
        "7.5 / -",
    ]
    assert "Not run: theirs. Not public." in out
    assert runner.SPEED_NOTE in out
    assert [command[0] for command in ran].count("train") == 1


def test_a_failed_row_is_reported_and_the_others_are_made(tmp_path, monkeypatch, capsys):
    table = made(tmp_path, monkeypatch, SMALL)["1"]

    def fail(commands):
        raise runner.NotRunnable("mottool train failed (see its message)")

    monkeypatch.setattr(runner, "run", fail)
    given = runner.Setup("v", ["d"], tmp_path, {})
    assert not runner.print_table(table, given, [1, 2])
    out = capsys.readouterr().out
    assert "Not run: one, two. mottool train failed" in out


def test_detections_and_embeddings_can_be_scored_on_separate_data(tmp_path):
    row, columns = paper_tables.read_tables("jde")["3"].rows[-1], ["AP", "TPR", "MOTA"]
    data = {"DETECTION_DATA": "caltech.val", "EMBEDDING_DATA": "caltech.val prw.val"}
    steps = runner.plan(row, columns, setup(tmp_path, **data))
    validations = [parsed(command)[1] for command in steps.commands if command[0] == "validate"]
    assert [given["only"] for given in validations] == ["detections", "embeddings"]
    assert [given["sources"] for given in validations] == [
        ("caltech.val",),
        ("caltech.val", "prw.val"),
    ]
    assert len({given["weights"] for given in validations}) == 1
    lines = ["seq,AP\nCOMBINED,0.8", "seq,TPR\nCOMBINED,0.9"]
    lines += ["seq,AP,TPR,MOTA\nCOMBINED,0.1,0.1,0.6"]
    for path, line in zip(steps.scores, lines, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(line)
    assert paper_tables.read_scores(steps.scores) == {"AP": 0.8, "TPR": 0.9, "MOTA": 0.6}
    assert len(runner.plan(row, ["MOTA"], setup(tmp_path, **data)).scores) == 1


def test_fractions_of_a_paper_are_compared_with_fractions():
    table = runner.Table("tdt", "1", "t", "d", ["MOTA"], [runner.Row("x", [0.76], "tdt-r50")])
    assert "0.76 /  0.512" in paper_tables.Grid(table).row(table.rows[0], {"MOTA": 0.5123})


def test_one_definition_of_speed_is_printed():
    assert FPS_NOTE == runner.SPEED_NOTE


def test_a_row_can_use_the_scores_of_one_sequence(tmp_path):
    path = tmp_path / "scores.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["seq", "MOTA"], ["KITTI-13", 0.25], ["COMBINED", 0.5]])
    assert runner.read_scores([path], "KITTI-13") == {"MOTA": 0.25}
    assert runner.read_scores([path]) == {"MOTA": 0.5}


@pytest.mark.parametrize(
    ("text", "expected"), [("", [1, 2, 3]), ("3", [3]), ("1,3", [1, 3]), ("1 2", [1, 2])]
)
def test_rows_are_chosen_by_number(text, expected):
    assert runner.choose_rows(text, 3) == expected


def test_rows_that_a_table_does_not_have_are_refused():
    with pytest.raises(ValueError, match="the table has rows 1 to 3"):
        runner.choose_rows("4", 3)


def ran(*arguments, **variables):
    environment = {**os.environ, "MOTTOOL_PYTHON": sys.executable, **variables}
    words = ["sh", str(FOLDER / "table.sh"), *arguments]
    return subprocess.run(words, env=environment, capture_output=True, text=True)


def test_without_arguments_the_command_prints_its_usage():
    result = ran()
    assert result.returncode == 2
    assert "sh examples/papers/table.sh PAPER TABLE " in result.stderr
    assert "set -eu" not in result.stderr
    assert not result.stdout


def test_a_paper_lists_its_tables_and_unknown_ones_are_refused():
    result = ran("fairmot")
    assert result.returncode == 0, result.stderr
    numbers = [line.split()[0] for line in result.stdout.splitlines()]
    assert numbers == [number for paper, number in PRINTED if paper == "fairmot"]
    unknown = ran("fairmot", "9")
    assert unknown.returncode == 2
    assert "fairmot has no table 9" in unknown.stderr


def test_a_table_is_printed_without_data():
    result = ran("tdt", "1")
    assert result.returncode == 0, result.stderr
    assert "0.760 /      -" in result.stdout


@pytest.mark.heavy
def test_a_table_is_made(tmp_path):
    scene = str(street(tmp_path / "street", 4, size=(96, 64)))
    variables = {"FLAGS": QUICK.replace("--input 64x64", ""), "INPUT": "64x64", "ROWS": "1,2"}
    variables |= {"MOTTOOL_WORK": str(tmp_path / "work")}
    result = ran("outrack", "4", scene, scene, **variables)
    assert result.returncode == 0, result.stderr
    rows = [line for line in result.stdout.splitlines() if line.startswith("|")][2:]
    made = ["-" not in re.findall(r"/\s+(\S+) \|", row) for row in rows]
    assert made == [True, True, False]
