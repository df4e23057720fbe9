"""Which files are results, caches and ground truth, and whether they belong together."""

import pytest
from archives import archive
from caches import made, write
from footage import seqinfo
from rowed import texts

from mottool.errors import InputError
from mottool.files import file_digest
from mottool.metrics.chosen_caches import choose_caches
from mottool.metrics.evaluate import evaluate_caches, evaluate_results
from mottool.metrics.ground_truth_files import find_ground_truth
from mottool.metrics.inputs import find_results, replace_sequence_folders
from mottool.metrics.settings import EvaluationSettings
from mottool.records.record import write_record
from mottool.tuning.objective import Objective
from mottool.workdir import WorkDir


@pytest.fixture
def sequence(tmp_path):
    """A sequence folder `a`, with caches and results of it and of another one in `work`."""
    for name in "ab":
        write(tmp_path / f"work/caches/pipe/{name}.h5", [made()])
        for tracker in ("one", "two"):
            result = tmp_path / f"work/tracks/pipe.{tracker}/{name}.txt"
            result.parent.mkdir(parents=True, exist_ok=True)
            result.write_text("")
    folder = tmp_path / "data/a"
    for name in ("gt/gt.txt", "det/det.txt", "seqinfo.ini"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    return folder


def test_a_sequence_folder_stands_for_its_caches_and_results(sequence, tmp_path):
    work = tmp_path / "work"
    assert choose_caches([sequence], work) == [work / "caches/pipe/a.h5"]
    results = replace_sequence_folders([sequence, work], "tracks", work)
    names = ["pipe.one", "pipe.two"]
    assert results == [*(work / f"tracks/{name}/a.txt" for name in names), work]
    part = replace_sequence_folders([tmp_path / "data/a@second"], "caches", work)
    assert [path.name for path in part] == ["a.h5@second"]


def test_unfinished_caches_of_a_folder_are_named(sequence, tmp_path):
    work, messages = tmp_path / "work", []
    (work / "caches/pipe/late.part").mkdir()
    (work / "caches/pipe/a.part").mkdir()  # which another process removes: a.h5 is complete
    caches = sorted((work / "caches/pipe").glob("*.h5"))
    for sources in ([], [work], [work / "caches/pipe"]):
        assert choose_caches(sources, work, messages.append) == caches
    assert len(messages) == 3
    assert all(message.startswith("pipe/late left out: unfinished") for message in messages)
    assert choose_caches(caches, work, pytest.fail) == caches
    assert choose_caches([work / "caches/pipe/late.part"], work, pytest.fail) == [
        work / "caches/pipe/late.h5"
    ]


def test_a_sequence_without_caches_is_refused(sequence, tmp_path):
    with pytest.raises(InputError, match="detect-embed first") as refused:
        choose_caches([sequence], tmp_path / "elsewhere")
    assert "has no caches" in refused.value.problem


def test_ground_truth_and_public_detections_are_no_results(sequence):
    with pytest.raises(InputError, match="holds no SEQUENCE.txt"):
        find_results([sequence])


def test_summaries_that_trackeval_writes_beside_data_hide_no_results(tmp_path):
    tracker = texts(tmp_path / "trackers/mine", "data/a.txt", "data/b.txt")
    texts(tracker, "pedestrian_summary.txt", content="HOTA DetA\n50.1 60.2\n")
    for source in (tracker, tracker.parent):
        ((name, files),) = find_results([source]).items()
        assert (name, sorted(files)) == ("mine", ["a", "b"])


def test_trackers_of_both_kinds_of_folders_and_zip_files_are_found_together(tmp_path):
    texts(tmp_path, "official/data/a.txt", "flat/a.txt")
    for name in ("flat", "other"):  # the zip file of a folder has the same results
        archive(tmp_path / f"{name}.zip", {"a.txt": "1,1,10,10,20,40,1,-1,-1,-1\n"})
    assert sorted(find_results([tmp_path])) == ["flat", "official", "other"]


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"imWidth": 1920, "imHeight": 1080}, "frames of 640x480, its ground truth of 1920x1080"),
        ({"seqLength": 2}, "frame 3 lies beyond the last one, 2"),
        ({}, ""),
    ],
)
def test_a_cache_of_another_video_than_its_ground_truth_is_refused(tmp_path, info, message):
    """Its detections would be scored, or be false positives after the last frame."""
    path = write(tmp_path / "seq.h5", [made(), made(seed=1), made(seed=2)])
    folder = seqinfo(tmp_path / "data/seq", **{"imWidth": 640, "imHeight": 480, **info})
    texts(folder, "gt/gt.txt", content="1,1,10,10,20,40,1,1,1\n")
    files = find_ground_truth([folder])
    objective = Objective("sort", {}, ((path, "seq", files["seq"]),))
    for score in (
        lambda: evaluate_caches([path], files, EvaluationSettings()),
        lambda: objective.score((0, {})),
    ):
        if not message:
            score()
            continue
        with pytest.raises(InputError, match=message):
            score()


def test_results_that_were_changed_after_their_record_are_named(tmp_path):
    folder = texts(tmp_path, "tracks/a.txt", "data/a/gt/gt.txt")
    files, results = find_ground_truth([folder / "data"]), find_results([folder / "tracks"])
    record = {"sha256": file_digest(folder / "tracks/a.txt"), "tracker": "sort"}
    write_record(folder / "tracks/a.txt", record)
    for changed in (False, True):
        if changed:
            texts(folder, "tracks/a.txt", content="1,1,10,10,20,41,1,-1,-1,-1\n")
        notes = []
        evaluate_results(results, files, EvaluationSettings(), warn=notes.append)
        assert any("edited, or copied in part" in note for note in notes) == changed


def test_two_caches_of_a_sequence_are_refused(tmp_path):
    """The scores of the last one replaced those of the first, as of a renamed copy."""
    paths = [write(tmp_path / f"{name}.h5", [made()]) for name in "ab"]
    texts(tmp_path, "data/seq/gt/gt.txt", content="1,1,10,10,20,40,1,1,1\n")
    with pytest.raises(InputError, match=r"a\.h5 and .*b\.h5 are both caches of pipe for seq"):
        evaluate_caches(paths, find_ground_truth([tmp_path / "data"]), EvaluationSettings())


def test_an_empty_folder_of_results_is_none(tmp_path):
    """A disk that is full leaves one."""
    texts(tmp_path, "tracks/pipe.a/seq.txt")
    (tmp_path / "tracks/pipe.b").mkdir()
    assert [path.name for path in WorkDir(tmp_path).results()] == ["pipe.a"]
