"""Folders of sequences stand for their caches and results in the work folder."""

import pytest
from caches import made, write

from mottool.errors import InputError
from mottool.metrics.chosen_caches import choose_caches
from mottool.metrics.inputs import find_results, replace_sequence_folders


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


def test_a_sequence_without_caches_is_refused(sequence, tmp_path):
    with pytest.raises(InputError, match="detect-embed first") as refused:
        choose_caches([sequence], tmp_path / "elsewhere")
    assert "has no caches" in refused.value.problem


def test_ground_truth_and_public_detections_are_no_results(sequence):
    with pytest.raises(InputError, match="holds no SEQUENCE.txt"):
        find_results([sequence])
