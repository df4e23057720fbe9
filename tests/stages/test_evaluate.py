"""`mottool evaluate`: tables, recorded times, intervals, and failures of single sequences."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from evaluated import EXPECTED, call, scored_dataset, table

from mottool.errors import InputError, OutputError, SettingError
from mottool.records.record import write_record
from mottool.stages.evaluate import Config, command, run

COLUMNS = (
    "bench,tracker,seq,HOTA,DetA,AssA,LocA,MOTA,MOTP,IDF1,IDP,IDR,Rcll,Prcn,MT,PT,ML,TP,FP,FN,"
    "IDSW,Frag,IDTP,IDFP,IDFN,MT%,ML%,FAR"
)


@pytest.fixture
def dataset(tmp_path):
    return scored_dataset(tmp_path)


def test_csv_holds_all_metrics_of_every_sequence(dataset, tmp_path):
    out = run([dataset / "tracks" / "mine"], [dataset / "data"], tmp_path / "scores.csv")
    assert out.read_text().splitlines()[0] == COLUMNS
    rows = table(out)
    assert list(rows) == ["MOT17-a", "MOT20-b", "street", "COMBINED"]
    assert [row["bench"] for row in rows.values()] == [
        "MOT17",
        "MOT20",
        "MOT15",
        "MOT15+MOT17+MOT20",
    ]
    assert {row["tracker"] for row in rows.values()} == {"mine"}
    for name, stem in (("MOT17-a", "plain-17"), ("MOT20-b", "plain-20"), ("street", "plain-15")):
        figures = {key: float(rows[name][key]) for key in EXPECTED[stem]}
        assert figures == pytest.approx(EXPECTED[stem], abs=1e-6)
    assert int(rows["COMBINED"]["TP"]) == sum(int(rows[name]["TP"]) for name in list(rows)[:3])


def test_screen_markdown_and_json_show_the_same(dataset):
    given = (dataset / "tracks" / "mine", "--gt", dataset / "data")
    markdown = dataset / "scores.md"
    screen = call(*given, "--markdown", markdown).splitlines()
    assert screen[0] == "mine"
    assert " ".join(screen[1].split()).startswith("Sequence Rules MOTA IDF1 HOTA MT ML FP FN IDSW")
    assert len({len(line) for line in screen[1:6]}) == 1
    done = json.loads(call(*given, "--json"))["done"]
    assert [entry["sequence"] for entry in done] == ["MOT17-a", "MOT20-b", "street", "COMBINED"]
    for line, entry in zip(screen[2:], done, strict=True):
        cells, figures = line.split(), entry["figures"]
        assert cells[:2] == [entry["sequence"], entry["rules"].upper()]
        shares = [f"{100 * figures[name]:.1f}" for name in ("MOTA", "IDF1", "HOTA")]
        assert cells[2:7] == [*shares, str(figures["MT"]), str(figures["ML"])]
        assert "| " + " | ".join(["mine", *cells]) + " |" in markdown.read_text()


def test_a_terminal_shows_the_columns_that_fit(dataset, monkeypatch):
    arguments = [str(dataset / "tracks/mine"), "--gt", str(dataset / "data")]
    whole = CliRunner().invoke(command, arguments)
    monkeypatch.setattr("mottool.stages.evaluate.terminal_width", lambda: 80)
    cut = CliRunner().invoke(command, [*arguments, "--csv", str(dataset / "scores.csv")])
    assert max(map(len, cut.stdout.splitlines())) <= 80 < max(map(len, whole.stdout.splitlines()))
    columns, shown = (each.stdout.splitlines()[1].split() for each in (whole, cut))
    assert columns[: len(shown)] == shown
    assert shown[2:11] == ["MOTA", "IDF1", "HOTA", "MT", "ML", "FP", "FN", "IDSW", "Frag"]
    left_out = ", ".join(columns[len(shown) :])
    assert cut.stderr == (
        f"mottool: the terminal is too narrow for {left_out}; --all-columns prints them\n"
    )
    assert (dataset / "scores.csv").read_text().splitlines()[0] == COLUMNS
    everything = CliRunner().invoke(command, [*arguments, "--all-columns"])
    assert (everything.stdout, everything.stderr) == (whole.stdout, "")


def test_what_recorded_times_are_worth_is_noted_once(dataset):
    seconds = {"frames": 9, "detection": 0.0, "embedding": 0.0, "association": 0.5}
    for path in (dataset / "tracks/mine").iterdir():
        write_record(path, {"seconds": seconds, "boxes_given": True, "processes": 8})
    done = CliRunner().invoke(
        command, [str(dataset / "tracks/mine"), "--gt", str(dataset / "data")]
    )
    assert done.stderr.splitlines() == [
        "mottool: mine: boxes come from files, so FPS includes no detection",
        "mottool: mine: association was timed while up to 8 processes worked, which can lower FPSA "
        "and FPS; mottool associate --jobs 1 times it alone",
    ]


def test_rules_can_be_chosen(dataset):
    mine, truth = dataset / "tracks" / "mine" / "MOT17-a.txt", dataset / "data"
    config = Config(rules="mot15")
    rows = table(run([mine], [truth], dataset / "scores.csv", config))
    assert rows["MOT17-a"]["bench"] == "MOT15"
    assert float(rows["MOT17-a"]["MOTA"]) != pytest.approx(EXPECTED["plain-17"]["MOTA"], abs=0.01)
    with pytest.raises(SettingError, match="did you mean"):
        Config(rules="mot14")


def test_ground_truth_without_scored_rows_is_reported(dataset):
    (dataset / "data" / "street" / "gt" / "gt.txt").write_text("1,1,1,1,5,5,0,1,1\n")
    path = dataset / "tracks" / "mine" / "street.txt"
    assert "has no row that is scored by mot17 rules" in call(path, "--gt", dataset / "data/street")


def test_a_failed_sequence_does_not_stop_others(dataset):
    bad = dataset / "tracks" / "mine" / "MOT20-b.txt"
    bad.write_text("1,1,0,0,nan,5,1,-1,-1,-1\n")
    output = call(dataset / "tracks" / "mine", "--gt", dataset / "data", code=1)
    assert "mine/MOT20-b" in output
    assert "NaN" in output
    assert "2 done, 1 failed: mine/MOT20-b" in output
    with pytest.raises(InputError, match="NaN"):
        run([dataset / "tracks" / "mine"], [dataset / "data"], dataset / "scores.csv")
    assert not (dataset / "scores.csv").exists()


def test_results_after_the_ground_truth_are_reported(dataset):
    (dataset / "data" / "street" / "seqinfo.ini").unlink()
    path = dataset / "tracks" / "mine" / "street.txt"
    before = table(run([path], [dataset / "data"], dataset / "a.csv"))["street"]
    path.write_text(path.read_text() + "90,1,0,0,5,5,1,-1,-1,-1\n")
    assert "1 results after frame 39" in call(path, "--gt", dataset / "data")
    after = table(run([path], [dataset / "data"], dataset / "a.csv"))["street"]
    assert int(after["FP"]) == int(before["FP"]) + 1


def test_a_table_replaces_only_a_file(dataset):
    (dataset / "scores.csv").mkdir()
    with pytest.raises(OutputError, match="not a regular file"):
        run([dataset / "tracks" / "mine"], [dataset / "data"], dataset / "scores.csv")


def test_metrics_of_motmetrics_follow_each_sequence(dataset):
    path = dataset / "tracks" / "mine" / "street.txt"
    output = call(path, "--gt", dataset / "data", "--second-opinion")
    assert output.count("by motmetrics") == 2


def test_switches_by_size_add_up(dataset):
    given = (dataset / "tracks" / "mine", "--gt", dataset / "data", "--json", "--by-size")
    done = json.loads(call(*given, "--small", "2500", "--large", 3500))["done"]
    for entry in done:
        figures = entry["figures"]
        sizes = [figures[f"IDSW_{size}"] for size in "SML"]
        assert sum(sizes) == figures["IDSW"]
    assert all(sizes)
    with pytest.raises(SettingError, match="overlap"):
        Config(small=2, large=1)


def test_metrics_are_the_means_of_curves(dataset):
    done = json.loads(call(dataset / "tracks" / "mine", "--gt", dataset / "data", "--json"))["done"]
    for entry in done:
        for name in ("HOTA", "DetA", "AssA", "LocA"):
            curve = entry["curves"][name]
            assert len(curve) == 19
            assert np.mean(curve) == pytest.approx(entry["figures"][name])


def test_an_interval_follows_the_combined_metrics(dataset):
    given = (dataset / "tracks" / "mine", "--gt", dataset / "data", "--bootstrap", 200)
    output = [line.split() for line in call(*given).splitlines()]
    assert [line[:2] for line in output[-2:]] == [["95", "%"], ["95", "%"]]
    *rows, joined = json.loads(call(*given, "--json"))["done"]
    assert not any(row["interval"] for row in rows)
    hotas = [row["figures"]["HOTA"] for row in rows]
    low, high = joined["interval"]["HOTA"]
    assert min(hotas) <= low < joined["figures"]["HOTA"] < high <= max(hotas)
    assert (
        json.loads(call(*given, "--json", "--seed", 1))["done"][-1]["interval"]
        != joined["interval"]
    )
