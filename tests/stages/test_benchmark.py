import csv
import json

import pytest
from click.testing import CliRunner
from footage import video

from mottool.benchmarking.case import PARTS
from mottool.cli.main import cli
from mottool.errors import InputError, SettingError
from mottool.stages.benchmark import _applicable, installed_runtimes

COLUMNS = ["pipeline", "runtime", "statistic", "people", *PARTS, "sum", "whole", "CPU"]
COLUMNS += ["frames/s", "MB", "GPU MB"]


@pytest.fixture
def source(tmp_path):
    return video(tmp_path / "made.mp4", 5)


def benchmark(*arguments):
    words = ["benchmark", *map(str, arguments)]
    return CliRunner().invoke(cli, words, catch_exceptions=False)


def test_parts_sum_up_in_all_tables(source, tmp_path):
    out = tmp_path / "out"
    result = benchmark(
        *(source, "--pipeline", "mottool-s", "--runtime", "torch", "--input", "96x64"),
        *("--frames", 4, "--repeats", 2, "--people", "0,3", "--out", out, "--json"),
    )
    assert result.exit_code == 0, result.output
    files = ["benchmark.csv", "benchmark.md", "cost.csv", "cost.png"]
    assert sorted(path.name for path in out.iterdir()) == files
    with (out / "benchmark.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == COLUMNS
    assert [row["statistic"] for row in rows] == ["minimum", "median"]
    for row in rows:
        assert sum(float(row[part]) for part in PARTS) == pytest.approx(float(row["sum"]), abs=1e-4)
        assert float(row["frames/s"]) == pytest.approx(1000 / float(row["whole"]), rel=1e-3)
        assert float(row["MB"]) > 100
        assert not row["GPU MB"]
    assert all(float(rows[0][part]) <= float(rows[1][part]) for part in (*PARTS, "whole"))
    markdown = (out / "benchmark.md").read_text()
    assert "| mottool-s | torch |" in markdown
    assert "Machine: " in markdown
    (done,) = json.loads(result.stdout)["done"]
    assert done["figures"]["minimum"]["sum"] == pytest.approx(float(rows[0]["sum"]), abs=1e-4)
    assert [cost["people"] for cost in done["cost"]][0] == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--pipeline", "motool-s"], "did you mean 'mottool-s'"),
        (["--pipeline", "mottool-s+osnet"], "there is no embedder 'osnet'"),
        (["--pipeline", "public+osnet_x0_25"], "reads boxes from files"),
        (["--pipeline", "cstrack", "--pipeline", "jde-576x320", "--weights", "."], "several"),
        (["--pipeline", "fcos", "--runtime", "openvino"], "--runtime does not apply to fcos"),
        (["--people", "5,many"], "not a list of numbers"),
        (["--input", "100x100"], "not a multiple of 32"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_drawn(arguments, problem, source):
    with pytest.raises(SettingError, match=problem):
        benchmark(source, *arguments)


def test_a_pipeline_without_runtimes_is_measured_once():
    assert _applicable(("torch", "onnx", "onnx"), "mottool-s") == ["torch", "onnx"]
    assert _applicable(("torch", "onnx"), "fcos+osnet_x0_25") == ["torch", "onnx"]
    assert _applicable(("torch", "onnx"), "fcos+histogram") == ["torch"]


def test_runtimes_of_other_devices_are_not_measured(monkeypatch):
    assert "torch" in installed_runtimes("cpu")
    assert "cuda-graph" not in installed_runtimes("cpu")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert "cuda-graph" in installed_runtimes("cuda")
    assert "openvino" not in installed_runtimes("cuda")


def test_sources_without_frames_or_with_several_sequences_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no video"):
        benchmark(tmp_path / "empty")
    for name in ("a", "b"):
        video(tmp_path / f"{name}.mp4", 2)
    with pytest.raises(SettingError, match="has 2 sequences"):
        benchmark(tmp_path)
