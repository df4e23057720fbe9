"""Lists of images with labels beside them: images, identities, videos and invalid lines."""

import datasets
import numpy as np
import pytest
from datasets import load, refusal


def test_list_gives_identities_and_images_without_people(tmp_path):
    dataset, warnings = load(datasets.train_list(tmp_path))
    assert [len(image.boxes) for image in dataset] == [1, 0]
    np.testing.assert_allclose(dataset[0].boxes, [[24, 12, 40, 36]], atol=1e-4)
    assert dataset[0].identities.tolist() == [0]
    assert dataset.video_count == 0
    (tmp_path / "Town" / "labels_with_ids" / "train" / "b.txt").unlink()
    dataset, warnings = load(tmp_path / "lists" / "town.train")
    assert len(dataset) == 2
    assert "1 of 2 images have no label file" in warnings[0]


def test_relative_paths_are_found_below_the_given_root(tmp_path):
    listed = datasets.train_list(tmp_path / "data")
    moved = tmp_path / "elsewhere" / "town.train"
    moved.parent.mkdir()
    listed.rename(moved)
    assert "Town/images/train/a.png, which is in none of" in refusal(moved)
    assert len(load(moved, tmp_path / "data")[0]) == 2


def test_images_in_a_folder_img1_are_frames_of_a_video(tmp_path):
    for number in (1, 2, 5):
        datasets.photo(tmp_path / "MOT17" / "images" / "02" / "img1" / f"{number:06d}.png")
        file = tmp_path / "MOT17" / "labels_with_ids" / "02" / "img1" / f"{number:06d}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("0 3 0.5 0.5 0.2 0.2\n")
    listed = tmp_path / "mot17.train"
    names = [f"MOT17/images/02/img1/{number:06d}.png" for number in (5, 1, 2)]
    listed.write_text("\n".join(names))
    dataset, _ = load(listed)
    assert [(image.video, image.frame) for image in dataset] == [(0, 5), (0, 1), (0, 2)]
    assert dataset.near(1, 1).tolist() == [2]


BAD_LABELS = [
    (["0 5 0.5 0.5 0.25"], "line 1 has 5 columns"),
    (["0 5 0.5 0.5 0.25 0.5", "", "0 5 0.5 x 0.25 0.5"], "line 3: '0 5 0.5 x 0.25 0.5'"),
    (["0 5 0.5 0.5 0.25 nan"], "line 1 contains NaN"),
    (["0 5 320 240 64 128"], "line 1 has 320 as a fraction"),
    (["0 5 -320 0.5 0.1 0.1"], "line 1 has -320 as a fraction"),
    (["", "0 5.5 0.5 0.5 0.1 0.1"], "line 2: identity 5.5 is not an integer"),
]


@pytest.mark.parametrize(("labels", "expected"), BAD_LABELS, ids=[text for _, text in BAD_LABELS])
def test_invalid_label_is_refused_with_file_and_line(tmp_path, labels, expected):
    message = refusal(datasets.train_list(tmp_path, labels))
    assert expected in message
    assert "labels_with_ids/train/a.txt" in message


def test_missing_image_is_refused_with_its_line(tmp_path):
    listed = datasets.train_list(tmp_path)
    listed.write_text(listed.read_text() + "Town/images/train/c.png\n")
    assert "town.train line 3: there is no image" in refusal(listed)
    listed.write_text("Town/images/train/a.png\nnot an image\n")
    assert "line 2: 'not an image' is not the name of an image" in refusal(listed)
    datasets.photo(tmp_path / "Town" / "a.png")
    listed.write_text("Town/a.png\n")
    assert "line 1: no folder of Town/a.png is called images" in refusal(listed)
