"""Files of boxes in a folder: one lookup for detectors and for the records of caches."""

import gzip
from dataclasses import replace

import pytest

from mottool.errors import InputError
from mottool.pipelines.box_files import find_boxes
from mottool.pipelines.cache_record import boxes_file
from mottool.pipelines.choice import PipelineConfig


@pytest.mark.parametrize("name", ["a@first.txt", "a@first.npy", "a.txt", "a.txt.gz", "a.npy"])
def test_each_form_is_found_by_either_name(name, tmp_path):
    (tmp_path / name).touch()
    (tmp_path / "b.txt").touch()
    assert find_boxes(tmp_path, ("a@first", "a")) == tmp_path / name
    assert find_boxes(tmp_path, ("c",)) is None


def test_the_file_of_a_half_is_before_that_of_the_whole(tmp_path):
    for name in ("a.txt", "a@first.npy"):
        (tmp_path / name).touch()
    assert find_boxes(tmp_path, ("a@first", "a")) == tmp_path / "a@first.npy"


def test_two_files_of_one_sequence_are_refused(tmp_path):
    for name in ("a.txt", "a.npy"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"a\.txt and .*a\.npy are both detections of a"):
        find_boxes(tmp_path, ("a@first", "a"))


def test_a_record_names_the_compressed_file_that_the_detector_reads(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"1,-1,1,1,9,9,0.9\n"))
    config = replace(PipelineConfig(), pipeline="public", detections=tmp_path)
    assert boxes_file(config, ("a", "a"), None, None) == path
