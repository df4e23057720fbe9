import csv
import gzip
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from goldens import HERE
from scenes import make

from mottool.errors import InputError, OutputError, SettingError
from mottool.motchallenge import Rows
from mottool.stages.evaluate import Config, command, run

FIGURES = json.loads((HERE / "metrics.json").read_text())
COLUMNS = (
    "bench,tracker,seq,HOTA,DetA,AssA,LocA,MOTA,MOTP,IDF1,IDP,IDR,Rcll,Prcn,MT,PT,ML,TP,FP,FN,"
    "IDSW,Frag,IDTP,IDFP,IDFN"
)


def text(rows: Rows) -> str:
    columns = zip(rows.frames, rows.ids, rows.tlwh.tolist(), rows.rest.tolist(), strict=True)
    return "".join(f"{f},{i},{','.join(map(repr, box + rest))}\n" for f, i, box, rest in columns)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Three sequences of two benchmarks with the results of one tracker beside them."""
    results = tmp_path / "tracks" / "mine"
    results.mkdir(parents=True)
    for name, stem in (("MOT17-a", "plain-17"), ("MOT20-b", "plain-20"), ("street", "plain-15")):
        scene = make(stem)
        folder = tmp_path / "data" / name
        (folder / "gt").mkdir(parents=True)
        (folder / "gt" / "gt.txt").write_text(text(scene.truth))
        (folder / "seqinfo.ini").write_text(f"[Sequence]\nseqLength={scene.length}\n")
        (results / f"{name}.txt").write_text(text(scene.results))
    return tmp_path


def call(*args: object, code: int = 0) -> str:
    result = CliRunner().invoke(command, [str(arg) for arg in args])
    assert result.exit_code == code, result.output + str(result.exception)
    return result.output


def table(path: Path) -> dict[str, dict[str, str]]:
    return {row["seq"]: row for row in csv.DictReader(path.read_text().splitlines())}


def test_csv_holds_every_figure_of_every_sequence(dataset, tmp_path):
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
        figures = {key: float(rows[name][key]) for key in FIGURES[stem]}
        assert figures == pytest.approx(FIGURES[stem], abs=1e-6)
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


def test_without_tracks_all_of_the_work_folder_is_scored(dataset):
    shutil.copytree(dataset / "tracks" / "mine", dataset / "tracks" / "other")
    (dataset / "tracks" / "mine.settings").mkdir()
    output = call("--gt", dataset / "data", "--work", dataset)
    assert [line for line in output.splitlines() if line in ("mine", "other")] == ["mine", "other"]
    told = call("--gt", dataset / "data", "--work", dataset / "data", "--json", code=1)
    assert told == ""


def test_results_without_ground_truth_fail_only_if_they_were_named(dataset):
    results = dataset / "tracks" / "mine"
    shutil.copy(results / "street.txt", results / "alley.txt")
    told = call("--gt", dataset / "data", "--work", dataset)
    assert "mine: alley not scored, no ground truth is given" in told
    assert "no ground truth for 'alley'" in call(results, "--gt", dataset / "data", code=1)
    alone = dataset / "tracks" / "alone"
    alone.mkdir()
    (results / "alley.txt").rename(alone / "alley.txt")
    shutil.rmtree(results)
    assert "no ground truth for 'alley'" in call(
        "--gt", dataset / "data", "--work", dataset, code=1
    )


@pytest.mark.parametrize("layout", ["root", "sequences", "flat", "files", "gzip", "train"])
def test_ground_truth_is_found_however_it_is_named(dataset, layout):
    data, names = dataset / "data", ("MOT17-a", "MOT20-b", "street")
    given: list[Path] = [data]
    if layout == "sequences":
        given = [data / name for name in names]
    if layout == "train":
        data.rename(dataset / "train")
        (dataset / "all").mkdir()
        (dataset / "train").rename(dataset / "all" / "train")
        given = [dataset / "all"]
    if layout in ("flat", "files"):
        flat = dataset / "flat"
        flat.mkdir()
        for name in names:
            shutil.copy(data / name / "gt" / "gt.txt", flat / f"{name}.txt")
        given = [flat] if layout == "flat" else [flat / f"{name}.txt" for name in names]
    if layout == "gzip":
        for name in names:
            path = data / name / "gt" / "gt.txt"
            (data / name / "gt.txt.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    out = run([dataset / "tracks" / "mine"], given, dataset / "scores.csv")
    assert float(table(out)["MOT17-a"]["HOTA"]) == pytest.approx(
        FIGURES["plain-17"]["HOTA"], abs=1e-6
    )


def test_one_file_and_one_ground_truth_belong_together(dataset):
    result = dataset / "tracks" / "mine" / "MOT17-a.txt"
    result.rename(dataset / "out.txt")
    truth = dataset / "data" / "MOT17-a" / "gt" / "gt.txt"
    output = call(dataset / "out.txt", "--gt", truth, "--rules", "mot17")
    assert f"{100 * FIGURES['plain-17']['MOTA']:.1f}" in output
    assert "MOT17" in output


def test_rules_can_be_chosen(dataset):
    mine, truth = dataset / "tracks" / "mine" / "MOT17-a.txt", dataset / "data"
    config = Config(rules="mot15")
    rows = table(run([mine], [truth], dataset / "scores.csv", config))
    assert rows["MOT17-a"]["bench"] == "MOT15"
    assert float(rows["MOT17-a"]["MOTA"]) != pytest.approx(FIGURES["plain-17"]["MOTA"], abs=0.01)
    with pytest.raises(SettingError, match="did you mean"):
        Config(rules="mot14")


def test_what_has_no_results_is_named_and_left_out(dataset):
    (dataset / "tracks" / "mine" / "street.txt").unlink()
    output = call(dataset / "tracks" / "mine", "--gt", dataset / "data")
    assert "mine has no results for street: not scored, not in COMBINED" in output
    assert "MOT17+MOT20" in output


def test_other_ground_truth_is_told_in_one_line(dataset):
    path = dataset / "tracks" / "mine" / "street.txt"
    only = dataset / "data" / "MOT20-b"
    for arguments in ([path], ["--work", dataset / "other"]):
        if arguments[0] != path:
            shutil.copytree(path.parent, dataset / "other" / "tracks" / "mine")
            for name in ("MOT17-a", "MOT20-b"):
                (dataset / "other" / "tracks" / "mine" / f"{name}.txt").unlink()
        output = call(*arguments, "--gt", only, code=1)
        assert output.count("\n") == 1
        assert "no ground truth for 'street'. Fix: use one of MOT20-b" in output


def test_ground_truth_without_rows_is_told(dataset):
    (dataset / "data" / "street" / "gt" / "gt.txt").write_text("1,1,1,1,5,5,0,1,1\n")
    path = dataset / "tracks" / "mine" / "street.txt"
    assert "has no row that counts by mot17 rules" in call(path, "--gt", dataset / "data/street")


def test_a_failed_sequence_stops_no_other(dataset):
    bad = dataset / "tracks" / "mine" / "MOT20-b.txt"
    bad.write_text("1,1,0,0,nan,5,1,-1,-1,-1\n")
    output = call(dataset / "tracks" / "mine", "--gt", dataset / "data", code=1)
    assert "mine/MOT20-b" in output
    assert "NaN" in output
    assert "2 done, 1 failed: mine/MOT20-b" in output
    with pytest.raises(InputError, match="NaN"):
        run([dataset / "tracks" / "mine"], [dataset / "data"], dataset / "scores.csv")
    assert not (dataset / "scores.csv").exists()


def test_results_after_the_labelled_frames_are_told_of(dataset):
    (dataset / "data" / "street" / "seqinfo.ini").unlink()
    path = dataset / "tracks" / "mine" / "street.txt"
    before = table(run([path], [dataset / "data"], dataset / "a.csv"))["street"]
    path.write_text(path.read_text() + "90,1,0,0,5,5,1,-1,-1,-1\n")
    assert "1 results after frame 39" in call(path, "--gt", dataset / "data")
    after = table(run([path], [dataset / "data"], dataset / "a.csv"))["street"]
    assert int(after["FP"]) == int(before["FP"]) + 1


def test_a_table_replaces_nothing_but_a_file(dataset):
    (dataset / "scores.csv").mkdir()
    with pytest.raises(OutputError, match="no regular file"):
        run([dataset / "tracks" / "mine"], [dataset / "data"], dataset / "scores.csv")


def test_a_second_opinion_stands_below(dataset):
    path = dataset / "tracks" / "mine" / "street.txt"
    output = call(path, "--gt", dataset / "data", "--second-opinion")
    assert output.count("by motmetrics") == 2


@pytest.mark.parametrize(
    ("tracks", "truth", "told"),
    [
        ("nowhere", "data", "nowhere does not exist"),
        ("data", "data", "holds no SEQUENCE.txt"),
        ("tracks/mine", "nowhere", "no ground truth in"),
        ("tracks/mine", "empty", "no ground truth in"),
        ("tracks/mine", "data/street", "no ground truth for 'MOT17-a'. Fix: use one of street"),
        ("tracks/strets.txt", "data", "'strets'. Fix: did you mean 'street'"),
        ("tracks/mine", "twice", "are both ground truth of street"),
        ("doubled", "data", "are both results of street"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_line(dataset, tracks, truth, told):
    shutil.copy(dataset / "tracks" / "mine" / "street.txt", dataset / "tracks" / "strets.txt")
    (dataset / "empty").mkdir()
    (dataset / "doubled").mkdir()
    for end in (".txt", ".txt.gz"):
        (dataset / "doubled" / f"street{end}").touch()
    for part in ("a", "b"):
        shutil.copytree(dataset / "data" / "street", dataset / "twice" / part / "street")
    with pytest.raises(InputError) as error:
        run([dataset / tracks], [dataset / truth], dataset / "scores.csv")
    assert told in str(error.value)
    assert "\n" not in str(error.value)
