"""COCO files: track identities, invalid entries, and images that changed."""

import json

import cv2
import datasets
import numpy as np
import pytest
from datasets import load, refusal

from mottool.errors import InputError


def test_track_numbers_are_identities_within_their_video(tmp_path):
    file = datasets.coco(tmp_path)
    document = json.loads(file.read_text())
    image = document["images"][0]
    document["images"] = [
        {**image, "video_id": 1, "frame_id": 1},
        {**image, "id": 8, "video_id": 2, "frame_id": 1},
    ]
    row = document["annotations"][0]
    document["annotations"] = [
        {**row, "track_id": 3},
        {**row, "track_id": -1},
        {**row, "image_id": 8, "track_id": 3},
    ]
    file.write_text(json.dumps(document))
    dataset, _ = load(file)
    assert dataset.identities.tolist() == [0, -1, 1]
    assert [image.video for image in dataset] == [0, 1]


def test_image_of_another_size_than_annotated_is_refused(tmp_path):
    file = datasets.coco(tmp_path)
    dataset, _ = load(file)
    cv2.imwrite(str(tmp_path / "val2017" / "a.jpg"), np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(InputError, match="is 30x20 but annotated as 64x48"):
        dataset[0].pixels()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda at: datasets.coco(at, annotations=[{"image_id": 7}]), "entry 0 of annotations"),
        (
            lambda at: datasets.coco(at, images=[{"id": 7, "file_name": "a.jpg"}]),
            "entry 0 of images",
        ),
        (
            lambda at: datasets.coco(
                at, images=[{"id": 7, "file_name": "a.jpg", "width": 64, "height": 1 << 40}]
            ),
            "entry 0 of images",
        ),
        (
            lambda at: datasets.coco(
                at,
                images=[{"id": 7, "file_name": "a.jpg", "width": 64, "height": 48}] * 2,
            ),
            "two images have the id 7",
        ),
        (lambda at: datasets.coco(at, images=[]), "has an empty list of images"),
        (lambda at: datasets.coco(at, annotations={}), "has no list of annotations"),
        (lambda at: datasets.coco(at, categories=[{"id": 1, "name": "cat"}]), "no class of people"),
        (
            lambda at: datasets.coco(
                at, annotations=[{"image_id": 8, "category_id": 1, "bbox": [1, 1, 1, 1]}]
            ),
            "image 8, which is not in the file",
        ),
    ],
)
def test_invalid_file_is_refused_with_the_entry(tmp_path, make, message):
    assert message in refusal(make(tmp_path))
