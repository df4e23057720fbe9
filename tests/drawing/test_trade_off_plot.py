"""The figure of accuracy against speed: JDE's Fig. 3."""

import json
import re

import pytest
from click.testing import CliRunner

from mottool.drawing.trade_off_plot import Combination, draw_trade_off, read_combinations
from mottool.errors import InputError, SettingError
from mottool.stages.plot import command

HEAD = "pipeline,kind,tracker,seq,HOTA,MOTA,IDF1,FPS\n"
# Two sequences, of which only the rows of both together are drawn.
ROWS = [
    "fasterrcnn+reid,two-stage,jde,one,0.1,0.1,0.1,1\n",
    "fasterrcnn+reid,two-stage,jde,COMBINED,0.5,0.6,0.7,8\n",
    "jde-1088x608,one-shot,jde,COMBINED,0.5,0.65,0.66,22\n",
    "fcos,boxes only,jde,COMBINED,0.5,0.4,0.3,9\n",
    "untimed+reid,two-stage,jde,COMBINED,0.5,0.4,0.3,\n",
]
NAMES = {"fasterrcnn+reid": "Faster R-CNN+PCB", "jde-1088x608": "JDE-DN53"}


@pytest.fixture
def comparison(tmp_path):
    path = tmp_path / "low.csv"
    path.write_text(HEAD + "".join(ROWS))
    return path


def test_combinations_are_the_timed_pipelines_of_all_sequences_together(comparison):
    first, joint, boxes = read_combinations(comparison, names=NAMES)
    metrics = {"FPS": 8.0, "MOTA": 0.6, "IDF1": 0.7}
    assert first == Combination("Faster R-CNN", "PCB", False, metrics)
    assert (joint.detector, joint.embedding, joint.joint) == ("JDE-DN53", "JDE-DN53", True)
    assert (boxes.detector, boxes.embedding, boxes.joint) == ("fcos", "none", False)


def test_one_tracker_is_drawn(comparison):
    comparison.write_text(comparison.read_text() + ROWS[1].replace(",jde,", ",sort,"))
    with pytest.raises(SettingError, match="has 2 trackers") as caught:
        read_combinations(comparison)
    assert caught.value.fix == "give --tracker with one of jde, sort"
    assert len(read_combinations(comparison, "sort")) == 1
    with pytest.raises(SettingError):
        read_combinations(comparison, "fairmot")


@pytest.mark.parametrize(
    ("text", "problem"),
    [("", "not a comparison"), ("a,b\n1,2\n", "not a comparison"), (HEAD + ROWS[4], "no pipeline")],
)
def test_other_files_are_refused(text, problem, tmp_path):
    path = tmp_path / "other.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=problem):
        read_combinations(path)


def test_colours_are_embeddings_and_shapes_are_detectors(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "matplotlib.axes.Axes.scatter", lambda axes, x, y, **style: drawn.append((x, y, style))
    )
    metrics = {"FPS": 8.0, "MOTA": 0.6, "IDF1": 0.7}
    pairs = [("A", "IDE"), ("A", "PCB"), ("B", "PCB"), ("C", "C")]
    panel = [Combination(a, b, a == b, metrics) for a, b in pairs]
    draw_trade_off({"low": panel, "high": panel[:1]}, tmp_path / "plot.png")
    assert len(drawn) == 2 * (4 + 1)  # MOTA and IDF1
    one, two, three, joint = (style for _, _, style in drawn[:4])
    assert one["marker"] == two["marker"] != three["marker"]
    assert one["color"] != two["color"] == three["color"]
    assert joint["s"] > one["s"]
    assert {y for _, y, _ in drawn} == {60, 70}  # per cent


def test_the_command_draws_a_column_for_each_comparison(comparison, tmp_path):
    crowded = tmp_path / "high.csv"
    crowded.write_text(comparison.read_text())
    words = ["trade-off", comparison, crowded, "--work", tmp_path / "work", "--format", "svg"]
    words += ["--name", "fasterrcnn+reid=Faster R-CNN+PCB", "--json"]
    done = CliRunner().invoke(command, [*map(str, words)])
    assert done.exit_code == 0, (done.output, done.exception)
    (entry,) = json.loads(done.stdout)["done"]
    assert entry["path"] == str(tmp_path / "work/plots/trade-off.svg")
    text = (tmp_path / "work/plots/trade-off.svg").read_text()
    titles = re.findall(r"<!-- (\([a-d]\) .*?) -->", text)
    assert titles == ["(a) MOTA, low", "(b) MOTA, high", "(c) IDF1, low", "(d) IDF1, high"]
    for name in ("Faster R-CNN", "PCB", "fcos", "none", "jde-1088x608"):
        assert f"<!-- {name} -->" in text
