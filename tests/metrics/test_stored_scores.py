"""Stored scores: a damaged file is an error that names it."""

import io

import numpy as np
import pytest

from mottool.errors import InputError
from mottool.metrics.stored_scores import ARRAYS, read_detection_score, read_score


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
