import csv
import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from archives import archive
from caches import HEADER, write
from click.testing import CliRunner
from goldens import HERE
from scenes import make

from mottool.boxes import xyxy_from_tlwh
from mottool.detections import Detections
from mottool.errors import InputError, OutputError, SettingError
from mottool.motchallenge.rows import Rows
from mottool.motchallenge.rules import scored_and_ignored
from mottool.records.record import write_record
from mottool.stages import convert
from mottool.stages.evaluate import Config, command, run

EXPECTED = json.loads((HERE / "metrics.json").read_text())
COLUMNS = (
    "bench,tracker,seq,HOTA,DetA,AssA,LocA,MOTA,MOTP,IDF1,IDP,IDR,Rcll,Prcn,MT,PT,ML,TP,FP,FN,"
    "IDSW,Frag,IDTP,IDFP,IDFN,MT%,ML%,FAR"
)


def text(rows: Rows) -> str:
    columns = zip(rows.frames, rows.ids, rows.tlwh.tolist(), rows.rest.tolist(), strict=True)
    return "".join(f"{f},{i},{','.join(map(repr, box + rest))}\n" for f, i, box, rest in columns)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Write three sequences of three benchmarks and the results of one tracker."""
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


def test_without_tracks_the_work_folder_is_scored(dataset):
    shutil.copytree(dataset / "tracks" / "mine", dataset / "tracks" / "other")
    (dataset / "tracks" / "mine.settings").mkdir()
    output = call("--gt", dataset / "data", "--work", dataset)
    assert [line for line in output.splitlines() if line in ("mine", "other")] == ["mine", "other"]
    output = call("--gt", dataset / "data", "--work", dataset / "data", "--json", code=1)
    assert output == ""


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


def test_results_without_ground_truth_are_left_out_unless_all_are(dataset):
    results = dataset / "tracks" / "mine"
    shutil.copy(results / "street.txt", results / "alley.txt")
    output = call("--gt", dataset / "data", "--work", dataset)
    assert output.count("alley left out: no ground truth is given") == 1
    assert "alley left out" in call(results, "--gt", dataset / "data")
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
        EXPECTED["plain-17"]["HOTA"], abs=1e-6
    )


def test_one_file_and_one_ground_truth_belong_together(dataset):
    result = dataset / "tracks" / "mine" / "MOT17-a.txt"
    result.rename(dataset / "out.txt")
    truth = dataset / "data" / "MOT17-a" / "gt" / "gt.txt"
    output = call(dataset / "out.txt", "--gt", truth, "--rules", "mot17")
    assert f"{100 * EXPECTED['plain-17']['MOTA']:.1f}" in output
    assert "MOT17" in output


def test_rules_can_be_chosen(dataset):
    mine, truth = dataset / "tracks" / "mine" / "MOT17-a.txt", dataset / "data"
    config = Config(rules="mot15")
    rows = table(run([mine], [truth], dataset / "scores.csv", config))
    assert rows["MOT17-a"]["bench"] == "MOT15"
    assert float(rows["MOT17-a"]["MOTA"]) != pytest.approx(EXPECTED["plain-17"]["MOTA"], abs=0.01)
    with pytest.raises(SettingError, match="did you mean"):
        Config(rules="mot14")


def test_sequences_without_results_are_reported_and_not_combined(dataset):
    (dataset / "tracks" / "mine" / "street.txt").unlink()
    output = call(dataset / "tracks" / "mine", "--gt", dataset / "data")
    assert "mine has no results for street: not scored, not in COMBINED" in output
    assert "MOT17+MOT20" in output


def test_missing_ground_truth_is_reported_in_one_line(dataset):
    only = dataset / "data" / "MOT20-b"
    shutil.copytree(dataset / "tracks" / "mine", dataset / "other" / "tracks" / "mine")
    for name in ("MOT17-a", "MOT20-b"):
        (dataset / "other" / "tracks" / "mine" / f"{name}.txt").unlink()
    output = call("--work", dataset / "other", "--gt", only, code=1)
    assert output.count("\n") == 1
    assert "no ground truth for 'street'. Fix: use one of MOT20-b" in output


def test_a_result_file_belongs_to_the_only_sequence_and_work_folders_are_sources(dataset):
    path = dataset / "tracks" / "mine" / "street.txt"
    path.rename(path.with_name("renamed.txt"))
    output = call(path.with_name("renamed.txt"), "--gt", dataset / "data" / "street")
    assert output.splitlines()[2].startswith("renamed")
    for folder in (dataset, dataset / "tracks"):
        assert "mine" in call(folder, "--gt", dataset / "data").splitlines()


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


@pytest.mark.parametrize(
    ("tracks", "truth", "message"),
    [
        ("nowhere", "data", "nowhere does not exist"),
        ("data", "data", "holds no SEQUENCE.txt"),
        ("tracks/mine", "nowhere", "no ground truth in"),
        ("tracks/mine", "empty", "no ground truth in"),
        ("tracks/mine", "film.mp4", "no ground truth in"),
        ("tracks/strets.txt", "data", "'strets'. Fix: did you mean 'street'"),
        ("tracks/mine", "twice", "are both ground truth of street"),
        ("doubled", "data", "are both results of street"),
    ],
)
def test_invalid_inputs_are_errors_in_one_line(dataset, tracks, truth, message):
    shutil.copy(dataset / "tracks" / "mine" / "street.txt", dataset / "tracks" / "strets.txt")
    (dataset / "empty").mkdir()
    (dataset / "film.mp4").write_bytes(b"\0\0\0\x20ftypisom")
    (dataset / "doubled").mkdir()
    for end in (".txt", ".txt.gz"):
        (dataset / "doubled" / f"street{end}").touch()
    for part in ("a", "b"):
        shutil.copytree(dataset / "data" / "street", dataset / "twice" / part / "street")
    with pytest.raises(InputError) as error:
        run([dataset / tracks], [dataset / truth], dataset / "scores.csv")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def cached(dataset: Path, pipeline: str, **scenes: str) -> list[Path]:
    """Write a cache of each sequence with perfect detections and embeddings."""
    paths = []
    for name, stem in scenes.items():
        scene, frames = make(stem), []
        rows, scored = scene.truth, scored_and_ignored(scene.truth, scene.rules, name)[0]
        for number in range(1, scene.length + 1):
            in_frame = scored & (rows.frames == number)
            embeddings = np.eye(64, dtype=np.float32)[rows.ids[in_frame] % 64]
            boxes = xyxy_from_tlwh(rows.tlwh[in_frame]).astype(np.float32)
            ones = np.ones(len(boxes), np.float32)
            frames.append(Detections(boxes, ones, np.zeros(len(boxes), np.uint16), embeddings))
        header = replace(HEADER, sequence=name.replace("_", "-"), pipeline=pipeline)
        paths.append(write(dataset / "caches" / pipeline / f"{header.sequence}.h5", frames, header))
    return paths


def test_caches_are_scored_by_pipeline(dataset):
    scenes = {"MOT17_a": "plain-17", "street": "plain-15"}
    paths = cached(dataset, "gt+mine", **scenes)
    cached(dataset, "public", MOT20_b="plain-20")
    output = call("--caches", "--gt", dataset / "data", "--work", dataset).splitlines()
    heads = [line.split() for line in output if line.startswith("Sequence")]
    assert heads[0][2:4] == ["AP", "AP_S"]
    assert heads[0][-2:] == ["Rank1", "mAP"]
    assert heads[1][-1] == "Prcn"
    assert "gt+mine has no results for MOT20-b: not scored, not in COMBINED" in "\n".join(output)
    truths = [item for name in ("MOT17-a", "street") for item in ("--gt", dataset / "data" / name)]
    done = json.loads(call(*paths, *truths, "--json"))["done"]
    assert [entry["sequence"] for entry in done] == ["MOT17-a", "street", "COMBINED"]
    for entry in done:
        for name in ("AP", "Rcll", "Prcn", "Rank1", "mAP"):
            assert entry["figures"][name] == pytest.approx(1), name


def test_caches_and_results_go_into_one_csv(dataset):
    (path,) = cached(dataset, "gt+mine", street="plain-15")
    given = [path.parent, dataset / "tracks" / "mine" / "street.txt"]
    out = run(given, [dataset / "data"], dataset / "scores.csv")
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["tracker"] for row in rows] == ["mine", "mine", "gt+mine", "gt+mine"]
    assert rows[0]["AP"] == rows[2]["HOTA"] == ""
    assert float(rows[2]["Rank1"]) == 1
    markdown = dataset / "scores.md"
    call(*given, "--gt", dataset / "data", "--markdown", markdown)
    assert markdown.read_text().count("| Tracker |") == 2


def test_a_cache_without_ground_truth(dataset):
    paths = cached(dataset, "gt+mine", street="plain-15", alley="plain-15")
    output = call("--caches", "--gt", dataset / "data", "--work", dataset)
    assert "alley left out: no ground truth is given" in output
    assert "alley left out" in call(*paths, "--gt", dataset / "data")
    call(paths[1], "--gt", dataset / "data", code=1)  # nothing remains
    paths[0].write_bytes(b"no cache")
    assert "1 failed" in call(
        *paths[:1], cached(dataset, "more", street="plain-15")[0], "--gt", dataset / "data", code=1
    )


def test_trackevals_folders_are_read(dataset):
    plain = table(run([dataset / "tracks" / "mine"], [dataset / "data"], dataset / "a.csv"))
    home = dataset / "trackers" / "mine" / "data"
    home.parent.mkdir(parents=True)
    (dataset / "tracks" / "mine").rename(home)
    for place in (home, home.parent, home.parent.parent):
        assert table(run([place], [dataset / "data"], dataset / "b.csv")) == plain
    shutil.copy(home / "street.txt", home.parent / "street.txt")
    with pytest.raises(InputError, match="in its folder and in data/"):
        run([home.parent, home], [dataset / "data"], dataset / "b.csv")


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


def test_a_zip_file_for_the_server_scores_as_the_folder_it_was_made_of(dataset):
    folder, upload = dataset / "new" / "mine", dataset / "uploads" / "mine.zip"
    for form, out in (("motchallenge", folder), ("server", upload)):
        convert.run([dataset / "tracks" / "mine"], out, convert.Config(to=form))
    expected = call(folder, "--gt", dataset / "data")
    for hidden in (".street.12345.part.txt", "._street.txt"):  # of a killed process, and of macOS
        (folder / hidden).write_bytes(b"\xff")
    assert call(folder, "--gt", dataset / "data") == expected
    assert call(upload, "--gt", dataset / "data") == expected
    assert call(upload.parent, "--gt", dataset / "data") == expected
    one = call(upload / "street.txt", "--gt", dataset / "data" / "street")
    assert expected.splitlines()[-2].split()[1:] == one.splitlines()[-2].split()[1:]


def test_other_texts_in_a_zip_file_of_results_are_named(dataset):
    result = (dataset / "tracks" / "mine" / "street.txt").read_text()
    upload = archive(dataset / "up.zip", {"data/street.txt": result, "README.txt": "ours"})
    output = call(upload, "--gt", dataset / "data")
    assert f"{upload}: README.txt is left out" in output
    task = archive(dataset / "task.zip", {"gt/gt.txt": result, "gt/labels.txt": "person"})
    with pytest.raises(InputError, match="mottool convert"):
        run([task], [dataset / "data"], dataset / "scores.csv")
