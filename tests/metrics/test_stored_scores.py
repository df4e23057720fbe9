"""Stored scores: a damaged file is an error that names it; results of a part are named."""

import io

import numpy as np
import pytest

from mottool.errors import InputError
from mottool.metrics.ground_truth_files import GroundTruthFile
from mottool.metrics.stored_scores import ARRAYS, read_detection_score, read_score, store_score


def archive():
    file = io.BytesIO()
    np.savez(file, **dict.fromkeys(ARRAYS, np.zeros(9)))
    return file.getvalue()


@pytest.mark.parametrize(
    "content", [b"", b"no scores", archive()[:-30], archive()[:40] + b"\0" * 400], ids=range(4)
)
def test_damaged_scores_of_detections_are_named(tmp_path, content):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.npz are damaged"):
        read_detection_score(path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"parts": {"clear": []}}', '{"parts": 1}'])
def test_damaged_scores_of_tracks_are_named(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"a\.json are damaged"):
        read_score(path)


def test_results_of_a_part_of_the_frames_are_named(tmp_path):
    truth, results = tmp_path / "gt.txt", tmp_path / "a.txt"
    rows = [f"{frame},1,{2 * frame},9,20,40,1,1,1\n" for frame in range(1, 41)]
    truth.write_text("".join(rows))
    notes, file = [], GroundTruthFile("a", truth, 40)
    for count, warned in ((20, 1), (40, 0)):
        results.write_text("".join(rows[:count]).replace(",1,1,1\n", ",1,-1,-1,-1\n"))
        notes.clear()
        store_score(results, "a", file, tmp_path / "a.json", "auto", notes.append)
        assert sum("frames 1 to 20 only" in note for note in notes) == warned
