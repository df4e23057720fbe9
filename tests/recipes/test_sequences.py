"""Sequences of a recipe's datasets whose labels are outside of its sources, or cannot be read."""

import os
import shutil

import pytest
from layouts import kitti, ultralytics
from recipe_project import PIPELINE, Project
from rowed import rowed

from mottool.sources.sequence import Sequence

RECIPE = """
work = "work"
[[dataset]]
path = "{source}"
[[pipeline]]
pipeline = "gt"
embedder = "none"
[[tracker]]
tracker = "sort"
"""


def images_and_labels(folder, layout):
    """Return a folder of sequences of images, and a label file of one in another folder."""
    if layout is kitti:
        split = kitti(folder)
        return split / "image_02", split / "label_02/0000.txt"
    split = ultralytics(folder)
    return split / "images/film", split / "labels/film/000001.txt"


@pytest.mark.parametrize("layout", [kitti, ultralytics])
def test_labels_outside_of_a_source_are_watched(tmp_path, layout):
    source, labels = images_and_labels(tmp_path / "data", layout)
    project = Project(tmp_path)
    project.write(RECIPE.format(source=source))
    assert project.make() == []
    assert project.stale() == {}
    lines = labels.read_text().splitlines(keepends=True)
    labels.write_text("".join(lines[1:]))
    stale = project.stale()
    assert {name.partition("/")[0]: reason for name, reason in stale.items()} == {
        "caches": "boxes changed",
        "tracks": "its cache is remade",
        "scores": "its tracks are remade",
    }
    assert project.make() == []
    assert project.stale() == {}


def test_labels_that_are_added_outside_of_a_source_later_are_found(tmp_path):
    source, labels = images_and_labels(tmp_path / "data", kitti)
    hidden = shutil.move(labels, tmp_path / "hidden.txt")
    project = Project(tmp_path)
    project.write(RECIPE.format(source=source))
    (sequence,) = project.open().all_sequences
    assert sequence.file("ground_truth") is None
    project.work.root.mkdir()
    project.stale()  # keeps what it has found
    os.replace(hidden, labels)
    (sequence,) = project.open().all_sequences
    assert sequence.file("ground_truth") == labels


@pytest.mark.parametrize("source", ["data/*", "data/*@first", "data/**/[ab]"])
def test_sequences_that_a_pattern_matches_later_are_found(tmp_path, source):
    rowed(tmp_path / "data" / "a")
    project = Project(tmp_path)
    project.write(RECIPE.format(source=source))
    (first,) = project.open().all_sequences
    project.work.root.mkdir()
    project.stale()  # keeps what it has found
    rowed(tmp_path / "data" / "b")
    sequences = project.open().all_sequences
    assert [each.whole_name for each in sequences] == ["a", "b"]
    assert sequences[0] == first


def test_a_source_that_cannot_be_read_fails_alone(tmp_path, monkeypatch):
    for name in "ab":
        rowed(tmp_path / "data" / name)
    project = Project(tmp_path)
    assert project.make() == []
    project.work.known_files().unlink()
    read = Sequence.fingerprint

    def fingerprint(sequence):
        if sequence.name == "a":
            raise OSError(5, "Input/output error", str(sequence.path))
        return read(sequence)

    monkeypatch.setattr(Sequence, "fingerprint", fingerprint)
    monkeypatch.setattr("mottool.engines.task.PAUSES_SECONDS", ())
    stale = project.stale()
    assert stale[f"caches/{PIPELINE}/a"] == "a file that it is made from cannot be read"
    assert {name[-1] for name in stale} == {"a"}
    assert {*project.make()} == stale.keys()
    monkeypatch.undo()
    assert project.stale() == {}
