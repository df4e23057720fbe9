"""Halves and named splits in every command, from frames to metrics."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from footage import images, seqinfo

from mottool.motchallenge.rows import read_rows

LENGTH = 21  # frames 1 to 10 are the first half, 11 to 21 the second
PUBLIC = ("--pipeline", "public", "--embedder", "none")


@pytest.fixture
def dataset(tmp_path):
    """Two sequences with three people each, of which public detections miss some."""
    for name in ("MOT17-02", "MOT17-04"):
        draw = np.random.default_rng(len(name) + int(name[-1]))
        folder = seqinfo(tmp_path / "MOT17" / name, seqLength=LENGTH)
        images(folder / "img1", LENGTH)
        truth, found = [], []
        for frame in range(1, LENGTH + 1):
            for person in range(3):
                box = f"{5 + 18 * person + frame % 3},{8 + frame % 5},14,30"
                truth.append(f"{frame},{person + 1},{box},1,1,{draw.random():.2f}")
                if draw.random() < 0.85:
                    found.append(f"{frame},-1,{box},0.9")
                if draw.random() < 0.2:
                    found.append(f"{frame},-1,{draw.integers(40)},2,9,20,0.8")
        for kind, rows in (("gt", truth), ("det", found)):
            (folder / kind).mkdir()
            (folder / kind / f"{kind}.txt").write_text("\n".join(rows) + "\n")
    return tmp_path / "MOT17"


def call(stage, *arguments, code=0):
    command = import_module(f"mottool.stages.{stage}").command
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result


def associate(work, *caches):
    options = ("--tracker", "sort", "--max-age", "3")
    call("associate", *caches, *options, "--work", work)
    return work / "tracks" / "public.sort"


def scores(*arguments):
    """The metrics of every row of `evaluate`, by sequence."""
    rows = json.loads(call("evaluate", *arguments, "--json").stdout)["done"]
    # Without frames per second, which are those of this run.
    return {
        row["sequence"]: {
            name: value for name, value in row["figures"].items() if not name.startswith("FPS")
        }
        for row in rows
    }


def cut(dataset, folder, span):
    """A copy of the ground truth with the rows of some frames only."""
    for path in dataset.glob("*/gt/gt.txt"):
        copy = folder / path.relative_to(dataset)
        copy.parent.mkdir(parents=True)
        lines = [line for line in path.read_text().splitlines() if int(line.split(",")[0]) in span]
        copy.write_text("\n".join(lines) + "\n")
        info = path.parents[1] / "seqinfo.ini"
        (copy.parents[1] / "seqinfo.ini").write_text(info.read_text())
    return folder


@pytest.mark.parametrize(("half", "span"), [("first", (1, 10)), ("second", (11, LENGTH))])
def test_a_half_is_tracked_alike_from_frames_and_from_a_cache(dataset, tmp_path, half, span):

    call("detect_embed", f"{dataset}@{half}", *PUBLIC, "--work", tmp_path / "a")
    call("detect_embed", dataset, *PUBLIC, "--work", tmp_path / "b")
    tracks = [
        associate(tmp_path / "a"),
        associate(tmp_path / "b", tmp_path / f"b/caches/public@{half}"),
    ]
    for name in ("MOT17-02", "MOT17-04"):
        both = [read_rows(folder / f"{name}@{half}.txt", "result") for folder in tracks]
        np.testing.assert_array_equal(both[0].frames, both[1].frames)
        np.testing.assert_array_equal(both[0].ids, both[1].ids)
        np.testing.assert_array_equal(both[0].tlwh, both[1].tlwh)
        assert span[0] <= both[0].frames.min() < both[0].frames.max() <= span[1]
        # The half is a video of its own: sort starts a track in its first frame.
        assert span[0] in both[0].frames
    figures = scores(tracks[0], "--gt", f"{dataset}@{half}")
    assert figures == scores(tracks[1], "--gt", dataset)
    assert set(figures) == {f"MOT17-02@{half}", f"MOT17-04@{half}", "COMBINED"}


@pytest.mark.parametrize(("half", "span"), [("first", (1, 10)), ("second", (11, LENGTH))])
def test_a_half_is_scored_as_files_that_are_cut_to_it(dataset, tmp_path, half, span):
    call("detect_embed", dataset, *PUBLIC, "--work", tmp_path / "work")
    tracks = associate(tmp_path / "work")
    frames = range(span[0], span[1] + 1)
    truth = cut(dataset, tmp_path / "truth", frames)
    results = tmp_path / "mine"
    results.mkdir()
    for path in tracks.glob("*.txt"):
        lines = path.read_text().splitlines()
        kept = [line for line in lines if int(line.split(",")[0]) in frames]
        (results / path.name).write_text("\n".join(kept) + "\n")
    by_hand = scores(results, "--gt", truth)
    figures = scores(tracks, "--gt", f"{dataset}@{half}")
    for name, cut_by_hand in zip(figures, by_hand.values(), strict=True):
        half_of_it = dict(figures[name])
        # The seqinfo.ini of the files that are cut states the length of the whole sequence.
        rate = half_of_it.pop("FAR")
        del cut_by_hand["FAR"]
        assert half_of_it == cut_by_hand
        sequences = 2 if name == "COMBINED" else 1
        assert rate == pytest.approx(half_of_it["FP"] / (sequences * len(frames)))
    assert figures["COMBINED"]["MOTA"] > 0
    assert figures["COMBINED"] != scores(tracks, "--gt", dataset)["COMBINED"]
    # Caches: the same detections, and of whole caches only the frames of the half.
    caches = tmp_path / "work" / "caches" / "public"
    of_caches = scores(caches, "--gt", f"{dataset}@{half}")["COMBINED"]
    assert of_caches == scores(f"{caches}@{half}", "--gt", truth)["COMBINED"]
    assert of_caches["AP"] != scores(caches, "--gt", dataset)["COMBINED"]["AP"]


def test_compare_and_tune_track_the_half_that_has_ground_truth(dataset, tmp_path):
    call("detect_embed", dataset, *PUBLIC, "--work", tmp_path / "work")
    caches = tmp_path / "work/caches/public"
    tracks = associate(tmp_path / "work", f"{caches}@second")
    expected = scores(tracks, "--gt", dataset)["COMBINED"]
    for arguments in (
        ("--gt", f"{dataset}@second", tmp_path / "work"),
        ("--gt", dataset, f"{tmp_path}/work@second"),
        ("--gt", dataset, f"{caches}@second"),
    ):
        settings = tmp_path / "sort.toml"
        settings.write_text('tracker = "sort"\n[default]\nmax_age = 3\n')
        result = call("compare", *arguments, "--settings", settings, "--json")
        (row,) = json.loads(result.stdout)["done"]
        for name in ("MOTA", "IDF1", "HOTA", "IDSW"):
            assert row["figures"][name] == expected[name]
        assert set(row["by_sequence"]) == {"MOT17-02@second", "MOT17-04@second"}
    call(
        *("tune", *caches.glob("*.h5"), "--gt", f"{dataset}@second", "--tracker", "sort"),
        *("--search", "max_age=3,4", "--set", "min_hits=1", "--work", tmp_path / "work"),
        *("--trials", 3),
    )


def test_errors_name_the_split_and_what_is_missing(dataset, tmp_path):
    work = ("--work", tmp_path / "work")
    call("detect_embed", dataset, *PUBLIC, *work)
    tracks = associate(tmp_path / "work")
    caches = tmp_path / "work/caches/public"
    for arguments in (
        ("detect_embed", f"{dataset}@mot17-first", *work),
        ("associate", f"{caches}@mot17-first", *work),
        ("evaluate", tracks, "--gt", f"{dataset}@mot17-first", *work),
        ("compare", caches, "--gt", f"{dataset}@mot17-second", *work),
    ):
        result = call(*arguments, code=1)
        text = result.stderr + str(result.exception)
        assert "has no MOT17-05, MOT17-09, MOT17-10, MOT17-11, MOT17-13, which the split" in text
    for arguments in (
        ("detect_embed", f"{dataset}@frist", *work),
        ("associate", f"{caches}@frist", *work),
        ("evaluate", tracks, "--gt", f"{dataset}@frist", *work),
        ("compare", caches, "--gt", f"{dataset}@frist", *work),
    ):
        result = call(*arguments, code=1)
        assert "there is no split 'frist'" in result.stderr + str(result.exception)
    both = ("--gt", f"{dataset}@first", "--gt", f"{dataset}@second")
    result = call("evaluate", tracks, *both, code=1)
    assert "both halves of its ground truth are given" in result.stderr
    (dataset / "MOT17-02/seqinfo.ini").unlink()
    result = call("evaluate", tracks, "--gt", f"{dataset}@first", code=1)
    assert "no seqinfo.ini states how many frames MOT17-02 has" in str(result.exception)


def test_rows_outside_of_a_half_are_refused(dataset, tmp_path):
    path = tmp_path / "mine" / "MOT17-02@second.txt"
    path.parent.mkdir()
    path.write_text("10,1,5,8,14,30,1,-1,-1,-1\n11,1,5,8,14,30,1,-1,-1,-1\n")
    result = call("evaluate", path.parent, "--gt", f"{dataset}@second", code=1)
    assert "has frame 10, outside of the frames 11 to 21 of MOT17-02@second" in result.stderr


def test_results_beyond_a_named_split_are_left_out(tmp_path):
    from mottool.splits import SPLITS

    names = (*SPLITS["jde6"].videos, "Venice-2")
    results = tmp_path / "mine"
    results.mkdir()
    for name in names:
        folder = seqinfo(tmp_path / "2DMOT15/train" / name, seqLength=4)
        (folder / "gt").mkdir()
        (folder / "gt/gt.txt").write_text("1,1,5,8,14,30,1,-1,-1,-1\n")
        (results / f"{name}.txt").write_text("1,1,5,8,14,30,1,-1,-1,-1\n")
    result = call("evaluate", results, "--gt", f"{tmp_path}/2DMOT15@jde6")
    assert "Venice-2 left out" in result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()[2:]] == [
        *sorted(SPLITS["jde6"].videos),
        "COMBINED",
    ]
    assert Path(tmp_path / "2DMOT15").is_dir()


def test_a_half_and_its_whole_are_not_both_scored(dataset, tmp_path):
    work = tmp_path / "work"
    for source in (dataset, f"{dataset}@second"):
        call("detect_embed", source, *PUBLIC, "--work", work)
    tracks = associate(work)
    assert len(list(tracks.glob("*.txt"))) == 4
    halves = {"MOT17-02@second", "MOT17-04@second", "COMBINED"}
    for arguments, names in (
        ((tracks, "--gt", f"{dataset}@second"), halves),
        ((tracks, "--gt", dataset), {"MOT17-02", "MOT17-04", "COMBINED"}),
        (("--caches", "--work", work, "--gt", f"{dataset}@second"), halves),
    ):
        assert set(scores(*arguments)) == names
    result = call("evaluate", tracks, "--gt", f"{dataset}@second")
    assert "MOT17-02, MOT17-04 not scored, as the ground truth is of another part" in result.stderr
    half_only = associate(tmp_path / "other", *(work / "caches/public").glob("*@second.h5"))
    expected = scores(half_only, "--gt", dataset)
    assert scores(tracks, "--gt", f"{dataset}@second") == expected
    compared = call("compare", work, "--gt", f"{dataset}@second", "--tracker", "sort", "--json")
    (row,) = json.loads(compared.stdout)["done"]
    assert set(row["by_sequence"]) == halves - {"COMBINED"}


def test_chosen_frames_of_a_half_are_in_both(dataset, tmp_path):
    call("detect_embed", f"{dataset}@second", *PUBLIC, "--work", tmp_path)
    tracks = associate(tmp_path)
    ends = (tracks, "--gt", f"{dataset}@second", "--frames", "8-14")  # frames 11 to 14
    frames = range(11, 15)
    by_hand = scores(tracks, "--gt", dataset, "--frames", "11-14")
    assert scores(*ends) == by_hand
    assert by_hand["COMBINED"]["TP"] + by_hand["COMBINED"]["FN"] == 2 * 3 * len(frames)
    result = call("evaluate", tracks, "--gt", f"{dataset}@second", "--frames", "3-5", code=1)
    problem = "MOT17-02@second has the frames 11 to 21, so none up to 5"
    assert problem in result.stderr + str(result.exception)
