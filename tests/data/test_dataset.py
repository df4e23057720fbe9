"""Datasets: skipped boxes, identities of joined datasets, and the fingerprint."""

from pathlib import Path

import datasets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.data.dataset import DatasetBuilder, join_datasets
from mottool.data.formats import open_dataset
from mottool.errors import InputError


def dataset_of(*people, name="set"):
    """Make a dataset with one image for each list of identities."""
    builder, warnings = DatasetBuilder(name), []
    for number, identities in enumerate(people):
        boxes = [[1 + index, 2, 20, 30] for index in range(len(identities))]
        builder.add(Path(f"{number}.png"), (64, 48), boxes, identities)
    return builder.dataset(warnings.append)


def test_boxes_outside_the_image_are_skipped_and_partly_visible_ones_stay():
    builder, warnings = DatasetBuilder("set"), []
    boxes = [[-10, 5, 20, 60], [70, 5, 90, 20], [5, 5, 5, 20], [3, 3, 9, 9], [9, 9, 3, 3]]
    builder.add(Path("a.png"), (64, 48), boxes, [4, 5, 6, 7, 8], [2, 1, 1, -1, 1])
    dataset = builder.dataset(warnings.append)
    np.testing.assert_array_equal(dataset.boxes, [[-10, 5, 20, 60], [3, 3, 9, 9]])
    assert dataset.identities.tolist() == [0, 1]
    assert dataset.visibility.tolist() == [1.0, 0.0]
    assert warnings == ["set: 3 boxes outside their images are skipped"]


people = st.lists(st.lists(st.integers(-1, 5), max_size=4), min_size=1, max_size=5)
people = people.filter(any)


@settings(derandomize=True, deadline=None)
@given(st.lists(people, min_size=1, max_size=4))
def test_joined_datasets_have_disjoint_identities(sets):
    parts = [dataset_of(*each) for each in sets]
    whole = join_datasets(parts)
    assert len(whole) == sum(map(len, parts))
    assert whole.identity_count == sum(part.identity_count for part in parts)
    start = 0
    seen = set()
    for part in parts:
        images = [whole[start + number] for number in range(len(part))]
        start += len(part)
        names = {}
        for before, after in zip(part, images, strict=True):
            np.testing.assert_array_equal(before.boxes, after.boxes)
            np.testing.assert_array_equal(whole.boxes[after.rows], after.boxes)
            for old, new in zip(before.identities, after.identities, strict=True):
                assert (old < 0) == (new < 0)
                assert names.setdefault(old, new) == new
        names.pop(-1, None)
        assert len(set(names.values())) == len(names)
        assert not seen & set(names.values())
        seen |= set(names.values())
    assert seen == set(range(whole.identity_count))


def test_near_frames_are_of_the_same_video_in_joined_datasets(tmp_path):
    parts = [open_dataset(datasets.motchallenge(tmp_path / name), print) for name in "ab"]
    still = dataset_of([1])
    whole = join_datasets([parts[0], still, parts[1]])
    assert [image.video for image in whole] == [0, 0, 0, -1, 1, 1, 1]
    assert whole.near(0, 1).tolist() == [1]
    assert whole.near(5, 20).tolist() == [4, 6]
    assert whole.near(3, 20).tolist() == []
    assert whole.elsewhere(0).tolist() == [3, 4, 5, 6]
    assert whole.elsewhere(3).tolist() == [0, 1, 2, 4, 5, 6]


def test_fingerprint_depends_on_annotations_and_image_sizes_only(tmp_path):
    def fingerprint(folder, *labels):
        return open_dataset(datasets.yolo(tmp_path / folder, labels), print).fingerprint()

    label = "1 0.5 0.5 0.25 0.5"
    first = fingerprint("a", label)
    assert fingerprint("b", label) == first
    assert fingerprint("c", "1 0.5 0.5 0.25 0.4") != first
    assert fingerprint("d", label, label) != first
    dataset = open_dataset(tmp_path / "a", print)
    datasets.photo(tmp_path / "a" / "images" / "train" / "b.png", 64, 49)
    assert open_dataset(tmp_path / "a", print).fingerprint() != first
    (tmp_path / "a" / "images" / "train" / "b.png").unlink()
    with pytest.raises(InputError, match="there is no image"):
        dataset.fingerprint()


@pytest.mark.parametrize(
    ("identities", "message"), [([-1, -1], "no identities"), ([3, 3], "one identity only")]
)
def test_identity_loss_with_fewer_than_two_identities_is_refused(identities, message):
    with pytest.raises(InputError, match=f"set has {message}, but cross-entropy needs"):
        dataset_of(identities).identities_for("cross-entropy")
    assert dataset_of([0, 4], [-1]).identities_for("cross-entropy") == 2


def test_dataset_without_people_is_refused():
    with pytest.raises(InputError, match="2 images but no boxes of people"):
        dataset_of([], [])


def test_index_after_the_last_image_is_an_index_error():
    dataset = dataset_of([1], [])
    assert [len(image.boxes) for image in dataset] == [1, 0]
    with pytest.raises(IndexError):
        dataset[2]
