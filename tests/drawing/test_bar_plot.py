"""Bars of metrics: what is read from the files of evaluate, and what is drawn."""

import matplotlib.pyplot as plt
import pytest
from click.testing import CliRunner

from mottool.cli.main import cli
from mottool.drawing import bar_plot
from mottool.drawing.bar_plot import draw_bars, read_metrics
from mottool.errors import InputError

SCORES = """\
seq,MOTA,IDF1,AP
a,0.1,0.2,
COMBINED,0.754,0.764,
a,,,0.3
COMBINED,,,0.902
"""


def test_the_rows_of_all_sequences_together_are_read(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text(SCORES)
    expected = {"AP": 90.2, "MOTA": 75.4}
    assert read_metrics(path, ["AP", "MOTA"]) == pytest.approx(expected)
    with pytest.raises(InputError, match="no HOTA of all sequences together"):
        read_metrics(path, ["HOTA"])


def test_each_metric_has_a_bar_per_model(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(bar_plot, "save_figure", lambda figure, out: drawn.append(figure) or out)
    models = {"one": {"AP": 90.2, "MOTA": 75.4}, "two": {"AP": 91.3, "MOTA": 78.5}}
    draw_bars(models, tmp_path / "bars.png")
    (axes,) = drawn[0].axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["AP (%)", "MOTA (%)"]
    heights = [[bar.get_height() for bar in group] for group in axes.containers]
    assert heights == [[90.2, 75.4], [91.3, 78.5]]
    edges = [
        (bar.get_x(), bar.get_x() + bar.get_width()) for group in axes.containers for bar in group
    ]
    ordered = sorted(edges)
    assert all(before[1] <= after[0] for before, after in zip(ordered, ordered[1:], strict=False))
    plt.close("all")


def test_the_command_draws_files_by_name(tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.csv").write_text(SCORES)
    files = [f"BaseTrainSet={tmp_path}/one.csv", f"{tmp_path}/two.csv"]
    arguments = ["plot", "bars", *files, "--work", str(tmp_path)]
    result = CliRunner().invoke(cli, [*arguments, "--metrics", "AP,MOTA,IDF1"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "plots" / "bars.png").stat().st_size > 1000
    wrong = CliRunner().invoke(
        cli, ["plot", "bars", f"{tmp_path}/none.csv", "--work", str(tmp_path)]
    )
    assert wrong.exit_code != 0
