"""YOLO folders: the class of people, rotated images, and invalid labels or class lists."""

import datasets
import numpy as np
import pytest
from datasets import load, refusal
from PIL import Image


@pytest.mark.parametrize(
    "names",
    [
        "names: [car, person]",
        "names: [car,\n  person]  # two classes",
        "names: {0: car, 1: person}",
        "names:\n- car\n- person",
        "names:\n  1: person  # class of people\n  0: car",
        None,
    ],
)
def test_class_of_people_is_found_by_its_name(tmp_path, names):
    folder = datasets.yolo(tmp_path)
    (folder / "data.yaml").unlink()
    if names is None:
        (folder / "classes.txt").write_text("car\npedestrian\n")
    else:
        (folder / "data.yaml").write_text(f"nc: 2\n{names}\ntrain: images\n")
    boxes = load(folder / "images" / "train")[0].boxes
    np.testing.assert_allclose(boxes, [[10, 8, 30, 38]], atol=1e-4)


def test_annotations_of_a_rotated_image_are_relative_to_the_upright_one(tmp_path):
    folder = datasets.yolo(tmp_path, ["1 0.5 0.5 1 1"])
    tag = Image.Exif()
    tag[0x0112] = 6
    Image.new("RGB", (64, 48)).save(folder / "images" / "train" / "a.jpg", exif=tag)
    (folder / "images" / "train" / "a.png").unlink()
    image = load(folder)[0][0]
    assert image.boxes.tolist() == [[0, 0, 48, 64]]
    assert image.pixels().shape == (64, 48, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: [car, person", "data.yaml is not YAML: "),
        ("names: {a: person}", "data.yaml does not number its classes"),
        ("names: [car]", "data.yaml has no class of people among car"),
    ],
)
def test_invalid_list_of_classes_is_refused(tmp_path, text, message):
    folder = datasets.yolo(tmp_path)
    (folder / "data.yaml").write_text(text)
    assert message in refusal(folder)


def test_file_that_is_not_an_image_is_refused(tmp_path):
    folder = datasets.yolo(tmp_path)
    (folder / "images" / "train" / "a.png").write_text("words")
    assert "a.png cannot be read as an image" in refusal(folder)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda at: datasets.yolo(at, ["0 0.5 0.5 0.1"]), "a.txt line 1 has 4 columns"),
        (lambda at: datasets.yolo(at, ["0 0.5 0.5 0.1 0.1"]), "but no boxes of people"),
    ],
)
def test_invalid_labels_are_refused_with_file_and_line(tmp_path, make, message):
    assert message in refusal(make(tmp_path))
