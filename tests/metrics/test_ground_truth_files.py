"""Ground truth is found by sequence, and two files of one sequence are refused."""

import pytest
from layouts import kitti
from rowed import texts

from mottool.errors import InputError
from mottool.metrics.ground_truth_files import find_ground_truth


def test_ground_truth_of_several_kinds_is_found_together(tmp_path):
    texts(tmp_path, "a/gt/gt.txt", "b/gt.txt", "c/gt/gt.txt.gz")
    kitti(tmp_path)
    assert sorted(find_ground_truth([tmp_path / "KITTI", tmp_path])) == ["0000", "a", "b", "c"]


@pytest.mark.parametrize("other", ["a/gt/gt.txt.gz", "a/gt.txt"])
def test_two_files_of_ground_truth_of_a_sequence_are_refused(tmp_path, other):
    texts(tmp_path, "a/gt/gt.txt", other)
    with pytest.raises(InputError, match="both ground truth of a"):
        find_ground_truth([tmp_path])
    assert list(find_ground_truth([tmp_path / "a/gt/gt.txt"])) == ["a"]


def test_the_same_ground_truth_may_be_named_twice(tmp_path):
    texts(tmp_path, "a/gt/gt.txt")
    assert list(find_ground_truth([tmp_path, tmp_path / "a"])) == ["a"]
