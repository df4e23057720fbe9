from dataclasses import replace

import numpy as np
import pytest

from mottool.errors import InputError
from mottool.metrics.ground_truth import load_ground_truth
from mottool.metrics.ground_truth_files import GroundTruthFile
from mottool.metrics.track_evaluation import score_tracks
from mottool.motchallenge.rows import Rows

LINES = "1,1,0,0,20,40,1,1,1\n2,1,0,0,20,40,1,1,1\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "gt.txt"
    path.write_text(LINES)
    return GroundTruthFile("street", path, None)


def tracks(*frames):
    tlwh = np.tile([0.0, 0, 20, 40], (len(frames), 1))
    return Rows(np.array(frames), np.ones(len(frames), int), tlwh, np.ones((len(frames), 1)))


@pytest.mark.parametrize(
    ("sequence", "rules", "expected"),
    [("MOT20-01", "auto", "mot20"), ("street", "auto", "mot17"), ("MOT20-01", "mot15", "mot15")],
)
def test_auto_rules_are_replaced(file, sequence, rules, expected):
    assert load_ground_truth(file, sequence, rules).rules == expected


def test_an_unknown_length_is_that_of_the_cache_or_the_last_row(file):
    truth = load_ground_truth(file, "street")
    assert score_tracks(tracks(1, 2, 3), truth).metrics()["FP"] == 1
    with pytest.raises(InputError, match="frame 3 lies beyond the last one, 2"):
        score_tracks(tracks(3), truth, frames=1)
    with pytest.raises(InputError, match="frame 3 lies beyond the last one, 2"):
        score_tracks(tracks(3), replace(truth, length=2))


def test_boxes_are_rounded_as_in_a_file(file):
    truth = load_ground_truth(file, "street")
    rows = tracks(1, 2)
    rows = replace(rows, tlwh=rows.tlwh + [1e-5, 0, 0, 0])
    assert score_tracks(rows, truth).metrics()["MOTP"] == 1
    assert score_tracks(rows, truth, decimals=None).metrics()["MOTP"] < 1
