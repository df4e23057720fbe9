"""`mottool evaluate` finds results and ground truth in folders, files and zip files."""

import gzip
import shutil
from pathlib import Path

import pytest
from archives import archive
from evaluated import EXPECTED, call, scored_dataset, table

from mottool.errors import InputError
from mottool.stages import convert
from mottool.stages.evaluate import run


@pytest.fixture
def dataset(tmp_path):
    return scored_dataset(tmp_path)


def test_without_tracks_the_work_folder_is_scored(dataset):
    shutil.copytree(dataset / "tracks" / "mine", dataset / "tracks" / "other")
    (dataset / "tracks" / "mine.settings").mkdir()
    output = call("--gt", dataset / "data", "--work", dataset)
    assert [line for line in output.splitlines() if line in ("mine", "other")] == ["mine", "other"]
    output = call("--gt", dataset / "data", "--work", dataset / "data", "--json", code=1)
    assert output == ""


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
