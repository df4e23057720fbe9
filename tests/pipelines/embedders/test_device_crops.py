"""Crops that a device resizes: the bytes of Pillow, and the embeddings of `embed_crops`."""

import numpy as np
import pytest
import torch
from goldens import synth_image
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.models.device import Compute
from mottool.pipelines.embedders import osnet
from mottool.pipelines.embedders.crops import crop, embed_crops
from mottool.pipelines.embedders.device_crops import DeviceCrops, embed_device_crops

CPU = Compute(torch.device("cpu"))
DRAW = np.random.default_rng(0)
NOISE = DRAW.integers(0, 256, (1080, 1920, 3), np.uint8)
SIDES = st.integers(1, 700)
SHAPE = 4, 256, 128


def boxes_of(*boxes):
    return np.array(boxes, np.float32).reshape(-1, 4)


def resized(images, boxes, count):
    """Return the distinct crops in the order of the device, RGB, and how many there are."""
    crops = DeviceCrops(images, boxes, CPU)
    return crops.resized(0, count, 128, 256).flip(3).numpy(), len(crops)


@given(SIDES, SIDES, st.integers(0, 1200), st.integers(0, 350))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_bytes_are_those_of_pillow(width, height, left, top):
    box = boxes_of((left, top, left + width, top + height))
    crops, count = resized([NOISE], [box], 1)
    assert count == 1
    np.testing.assert_array_equal(crops[0], osnet._resize(crop(NOISE, box[0])))


@pytest.mark.parametrize("value", [0, 1, 254, 255])
def test_a_plain_crop_keeps_its_value(value):
    image = np.full((90, 70, 3), value, np.uint8)
    crops, _ = resized([image], [boxes_of((3, 4, 60, 80), (0, 0, 70, 90))], 2)
    assert (crops == value).all()


def test_crops_of_several_frames_of_different_sizes_and_outside_of_them():
    images = [synth_image(), synth_image(300, 200)[:, ::-1], synth_image(), synth_image(64, 48)]
    boxes = [
        boxes_of((200, 10, 260, 100), (0, 0, 100, 250), (900, 900, 990, 990)),
        boxes_of((-20, -10, 31, 90), (100, 50, 4000, 3000)),
        boxes_of(),
        boxes_of((60, 40, 64, 48)),
    ]
    crops, count = resized(images, boxes, 8)
    rows = DeviceCrops(images, boxes, CPU).rows
    assert count == 6
    for image, of_image, row in zip(images, boxes, rows, strict=True):
        for box, index in zip(of_image, row, strict=True):
            np.testing.assert_array_equal(crops[index], osnet._resize(crop(image, box)))
    assert not crops[count:].any()


def test_embeddings_are_those_of_crops_on_the_cpu():
    corners = DRAW.integers(0, 300, (11, 2))
    boxes = np.c_[corners, corners + DRAW.integers(5, 200, (11, 2))].astype(np.float32)
    images, given = [NOISE, NOISE[:500, :900]], [boxes[[0, 3, 3, 1]], boxes[4:]]
    shapes = []

    def features(crops):  # RGB
        return crops.reshape(len(crops), -1, 3).astype(np.float32).mean(1)

    def network(crops):
        shapes.append(tuple(crops.shape))
        return torch.from_numpy(features(crops.flip(3).numpy()))

    embedded = embed_device_crops(images, given, network, 3, SHAPE, CPU)
    assert shapes == [(*SHAPE, 3)] * 3  # 3 + 7 different crops
    expected = embed_crops(images, given, osnet._resize, features, 3, 4)
    for ours, theirs in zip(embedded, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_frames_without_boxes_are_neither_copied_nor_embedded(monkeypatch):
    copied = []
    upload = Compute.upload

    def watched(compute, arrays):
        copied.extend(array.size for array in arrays)
        return upload(compute, arrays)

    monkeypatch.setattr(Compute, "upload", watched)
    images, boxes = [NOISE, NOISE], [boxes_of(), boxes_of()]
    embedded = embed_device_crops(images, boxes, pytest.fail, 5, SHAPE, CPU)
    assert [part.shape for part in embedded] == [(0, 5), (0, 5)]
    assert max(copied) < NOISE.size
    assert embed_device_crops([], [], pytest.fail, 5, SHAPE, CPU) == []
