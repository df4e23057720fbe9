"""Label files: labels are read for the data they were made of; interrupted writers resume."""

import os
import pickle
from dataclasses import replace
from pathlib import Path

import datasets
import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.cache.hdf5 import shard_folder
from mottool.cache.shards import read_progress, shard_files
from mottool.data.dataset import join_datasets
from mottool.data.distilled_labels import (
    LAYOUT,
    DistilledLabels,
    JoinedLabels,
    LabelHeader,
    LabelWriter,
)
from mottool.data.formats import open_dataset
from mottool.errors import CacheError, CheckpointError, InputError, OutputError, SettingError

HEADER = LabelHeader("Town", "ab12", 40, 1000, "osnet_x1_0", "ff", {"low": 0.5, "by": [1, 2]})


def made(count, size=4, seed=0):
    rows = np.random.default_rng(seed).standard_normal((count, size)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def write(path, rows, header=HEADER, blocks=(7, 20), finish=True, **more):
    """Write the missing ones of `rows` in blocks that end at the same positions in every run."""
    ends = [*blocks, len(rows)]
    with LabelWriter(path, header, **more) as labels:
        for end in ends:
            if end > labels.committed:
                labels.append(rows[labels.committed : end])
        if finish:
            labels.finish()
    return path if finish else shard_folder(path)


def half(rows):
    return rows.astype(np.float16).astype(np.float32)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(
    count=st.integers(1, 60),
    size=st.integers(1, 300),
    stops=st.lists(st.integers(0, 60), max_size=3),
    chosen=st.lists(st.integers(0, 59), max_size=10),
)
def test_labels_written_in_several_runs_are_read(tmp_path_factory, count, size, stops, chosen):
    path = tmp_path_factory.mktemp("labels") / "a.h5"
    rows, header = made(count, size), replace(HEADER, boxes=count)
    for stop in stops:
        with LabelWriter(path, header) as labels:
            end = min(stop, count)
            if end > labels.committed:
                labels.append(rows[labels.committed : end])
    write(path, rows, header, blocks=())
    assert [file.name for file in path.parent.iterdir()] == ["a.h5"]
    labels = DistilledLabels(path)
    assert (labels.header, labels.size, len(labels)) == (header, size, count)
    positions = np.array([position % count for position in chosen], np.int64)
    embeddings = labels(positions)
    assert (embeddings.shape, embeddings.dtype) == ((len(chosen), size), np.float32)
    np.testing.assert_array_equal(embeddings, half(rows)[positions])


def test_pickled_labels_open_the_file_again(tmp_path):
    rows = made(40)
    labels = DistilledLabels(write(tmp_path / "a.h5", rows))
    labels(np.array([3]))
    again = pickle.loads(pickle.dumps(labels))
    np.testing.assert_array_equal(again(np.array([9, 3])), half(rows)[[9, 3]])


@pytest.mark.parametrize("finish", [True, False])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fingerprint": "cd34"}, "fingerprint (changed)"),
        ({"boxes": 41}, "boxes (40, now 41)"),
        ({"teacher": "osnet_x0_5"}, "teacher ('osnet_x1_0', now 'osnet_x0_5')"),
        ({"weights": "ee"}, "weights (another file)"),
        ({"settings": {"low": 0.4, "by": (1, 2)}}, "low (0.5, now 0.4)"),
    ],
)
def test_other_inputs_are_refused(tmp_path, finish, change, message):
    path = tmp_path / "a.h5"
    kept = write(path, made(40), finish=finish)
    (file,) = [kept] if finish else shard_files(kept)[:1]
    before = file.read_bytes()
    with pytest.raises(CacheError) as refused:
        LabelWriter(path, replace(HEADER, **change))
    assert f"was made with other {message}. Fix:" in str(refused.value)
    assert file.read_bytes() == before
    header = replace(HEADER, **change)
    write(path, made(header.boxes, seed=1), header, overwrite=True)
    assert DistilledLabels(path).header.boxes == header.boxes


def test_a_complete_file_is_kept(tmp_path):
    path = write(tmp_path / "a.h5", made(40))
    with LabelWriter(path, replace(HEADER, dataset="renamed")) as labels:
        assert (labels.already_complete, labels.committed) == (True, 40)
        assert labels.finish() == path


def test_a_failed_rename_is_repeated_by_the_next_writer(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"

    def refuse(temporary, target):
        if target == path:
            raise PermissionError(13, "Permission denied")
        os.replace(temporary, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(OutputError, match="Permission denied"):
            write(path, made(40))
    assert not path.exists()
    with LabelWriter(path, HEADER) as labels:
        assert labels.already_complete
    assert len(DistilledLabels(path)) == 40


def test_an_unfinished_file_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    part = write(path, made(20), finish=False)
    with pytest.raises(CacheError, match=r"only a.part .*the same distill-labels command"):
        DistilledLabels(path)
    with pytest.raises(CacheError, match=r"a.part is unfinished. Fix: run the same"):
        DistilledLabels(part)
    assert read_progress(path, LAYOUT) == (HEADER, 20)
    with pytest.raises(CacheError, match=r"b.h5 does not exist. Fix: make it with distill-labels"):
        DistilledLabels(tmp_path / "b.h5")


def test_two_writers_are_refused(tmp_path):
    with (
        LabelWriter(tmp_path / "a.h5", HEADER),
        pytest.raises(CacheError, match="is being written by another process"),
    ):
        LabelWriter(tmp_path / "a.h5", HEADER)


def test_nan_is_refused_and_earlier_blocks_are_kept(tmp_path):
    rows = made(40)
    rows[25, 1] = np.nan
    with pytest.raises(CheckpointError, match=r"osnet_x1_0 predicts NaN .* the 21. and the 40. of"):
        write(tmp_path / "a.h5", rows)
    with LabelWriter(tmp_path / "a.h5", HEADER) as labels:
        assert labels.committed == 20


def test_a_file_cut_short_anywhere_is_refused(tmp_path):
    path = write(tmp_path / "a.h5", made(40))
    content = path.read_bytes()
    for size in np.linspace(1, len(content) - 1, 25).astype(int):
        path.write_bytes(content[:size])
        with pytest.raises(CacheError, match="truncated|damaged|not a mottool label file"):
            DistilledLabels(path)


def shorter(file):
    file["embeddings"].resize(39, axis=0)


def claimed(file):
    del file["embeddings"]
    file.create_dataset("embeddings", (40, 4), "<f2", chunks=(16, 4))


def linked(file):
    del file["embeddings"]
    file["embeddings"] = h5py.ExternalLink("other.h5", "/embeddings")


def wide(file):
    rows = file["embeddings"][:].astype("<f4")
    del file["embeddings"]
    file["embeddings"] = rows


def renamed(file):
    file.attrs["schema"] = "mottool/labels/9"


def nothing(file):
    del file["embeddings"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shorter, "39 embeddings of 40 boxes"),
        (claimed, "is shorter than it says"),
        (linked, "is a link that may lead out of the file"),
        (wide, "is float32"),
        (renamed, "is of schema 'mottool/labels/9'"),
        (nothing, "0 embeddings of 40 boxes"),
        (lambda file: file.attrs.pop("teacher"), "teacher"),
        (lambda file: file.attrs.modify("settings", "[]"), "settings is not a JSON object"),
    ],
)
def test_damaged_files_are_refused(tmp_path, change, message):
    path = write(tmp_path / "a.h5", made(40))
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(CacheError, match=message) as refused:
        DistilledLabels(path)
    assert "distill-labels" in refused.value.fix


def labelled(dataset, path, size=4, seed=0, teacher="osnet_x1_0", weights="", **settings):
    """Write a label file of the dataset; return it with its rows."""
    header = LabelHeader.of(dataset, teacher, weights, settings)
    rows = made(header.boxes, size, seed)
    return write(path, rows, header, blocks=()), half(rows)


def test_labels_of_changed_data_are_refused(tmp_path):
    folder = datasets.penn_fudan(tmp_path / "set")
    dataset = open_dataset(folder, print)
    path, rows = labelled(dataset, tmp_path / "a.h5")
    np.testing.assert_array_equal(DistilledLabels.of(dataset, path)(dataset[0].rows), rows)
    other = open_dataset(datasets.crops(tmp_path / "crops"), print)
    with pytest.raises(InputError, match=r"not of crops as it is now but of set, other data"):
        DistilledLabels.of(other, path)
    datasets.photo(folder / "PNGImages" / "FudanPed00001.png", 65)
    changed = open_dataset(folder, print)
    with pytest.raises(InputError, match=r"but of another version of it. Fix: distill them again"):
        DistilledLabels.of(changed, path)


def test_a_teacher_with_fewer_dimensions_than_the_student_is_refused(tmp_path):
    dataset = open_dataset(datasets.penn_fudan(tmp_path / "set"), print)
    path, _ = labelled(dataset, tmp_path / "a.h5", size=4)
    assert DistilledLabels.of(dataset, path, 4).size == 4
    message = (
        r"4-d embeddings of osnet_x1_0, but the student is to learn 5-d ones. Fix: train one of"
    )
    with pytest.raises(SettingError, match=message):
        DistilledLabels.of(dataset, path, 5)
    with pytest.raises(SettingError, match=message):
        JoinedLabels([dataset], [path], 5)


def test_labels_of_joined_datasets_are_matched_by_fingerprint(tmp_path):
    several = [
        open_dataset(datasets.motchallenge(tmp_path / "film", ROWS), print),
        open_dataset(datasets.crops(tmp_path / "crops"), print),
        open_dataset(datasets.penn_fudan(tmp_path / "set"), print),
    ]
    made_of = [labelled(each, tmp_path / f"{n}.h5", seed=n) for n, each in enumerate(several)]
    labels = JoinedLabels(several, [path for path, _ in reversed(made_of)], size=4)
    labels = pickle.loads(pickle.dumps(labels))
    rows = np.concatenate([rows for _, rows in made_of])
    for image in join_datasets(several):
        np.testing.assert_array_equal(labels(image.rows), rows[image.rows])
    mixed = np.array([len(rows) - 1, 0, 3])
    np.testing.assert_array_equal(labels(mixed), rows[mixed])


ROWS = ["1,1,10,8,20,30,1,1,1", "1,2,30,8,20,30,1,1,1", "3,1,10,8,20,30,1,1,1"]


def test_a_dataset_without_labels_and_two_teachers_are_refused(tmp_path):
    film = open_dataset(datasets.motchallenge(tmp_path / "film"), print)
    crops = open_dataset(datasets.crops(tmp_path / "crops"), print)
    path, _ = labelled(film, tmp_path / "film.h5")
    with pytest.raises(InputError, match=r"no labels are of crops as .*film.h5 \(film, 1 boxes\)"):
        JoinedLabels([film, crops], [path])
    with pytest.raises(InputError, match=r"no labels are of film as .* no --labels at all"):
        JoinedLabels([film], [])
    other, _ = labelled(crops, tmp_path / "crops.h5", size=8, teacher="reid")
    with pytest.raises(InputError, match=r"several teachers: osnet_x1_0 \(4-d\) and reid \(8-d\)"):
        JoinedLabels([film, crops], [path, other])


def test_teachers_differ_by_weights_and_pixels_too(tmp_path):
    film = open_dataset(datasets.motchallenge(tmp_path / "film"), print)
    crops = open_dataset(datasets.crops(tmp_path / "crops"), print)
    first, _ = labelled(film, tmp_path / "film.h5", weights="ab" * 32, pixels="rgb1")
    for name, change in (("pixels", {"pixels": "bgr255"}), ("weights", {"weights": "cd" * 32})):
        here = {"weights": "ab" * 32, "pixels": "rgb1", **change}
        second, _ = labelled(crops, tmp_path / f"{name}.h5", **here)
        message = rf"\(4-d\), pixels {here['pixels']}, weights {here['weights'][:12]}"
        with pytest.raises(InputError, match=message):
            JoinedLabels([film, crops], [first, second])
    assert (
        JoinedLabels([film], [first]).teacher
        == f"osnet_x1_0 (4-d), pixels rgb1, weights {'ab' * 6}"
    )
