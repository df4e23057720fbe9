"""Cutting boxes out of frames, and embedding them in batches of one shape."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.pipelines.embedders.crops import crop, embed_crops, pixels_of_boxes

SIDES = st.floats(-200, 400, width=32)


@given(st.lists(st.tuples(SIDES, SIDES, SIDES, SIDES), max_size=6))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_pixels_of_boxes_are_the_whole_pixels_that_they_touch(boxes):
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    for box, pixels in zip(rows, pixels_of_boxes(rows, 150, 90).tolist(), strict=True):
        left, top = (max(int(np.floor(side)), 0) for side in box[:2])
        right, bottom = (
            min(int(np.ceil(s)), most) for s, most in zip(box[2:], (150, 90), strict=True)
        )
        inside = left < min(right, 150) and top < min(bottom, 90)
        assert pixels == ([left, top, right, bottom] if inside else [0, 0, 0, 0])


def test_box_outside_the_image_is_one_black_pixel():
    image = np.full((20, 30, 3), 7, np.uint8)
    assert crop(image, np.array([40, 0, 50, 10], np.float32)).tolist() == [[[0, 0, 0]]]
    assert crop(image, np.array([25, 15, 50, 40], np.float32)).shape == (5, 5, 3)


@pytest.mark.parametrize("threads", [1, 3])
def test_stacks_have_one_shape_and_equal_boxes_are_embedded_once(threads):
    """The features of a crop are its mean colour, so the embeddings are known."""
    draw = np.random.default_rng(0)
    images = [draw.integers(1, 256, (40, 50, 3), np.uint8) for _ in range(3)]
    corner = draw.integers(0, 20, (9, 2))
    boxes = np.c_[corner, corner + (10, 20)].astype(np.float32)
    given = [boxes[[0, 1, 0, 2, 1]], boxes[:0], boxes[3:] + np.float32(0.25)]
    shapes = []

    def prepare(part):
        return part.mean((0, 1)).astype(np.float32)

    def network(stack):
        shapes.append(stack.shape)
        return stack

    embedded = embed_crops(images, given, prepare, network, 3, 4, threads)
    assert shapes == [(4, 3)] * 3  # 3 + 6 different crops
    for image, rows, result in zip(images, given, embedded, strict=True):
        means = np.array([prepare(crop(image, box)) for box in rows]).reshape(-1, 3)
        expected = means / np.linalg.norm(means, axis=1, keepdims=True)
        np.testing.assert_allclose(result, expected, rtol=1e-6)
    assert embed_crops([], [], prepare, network, 3) == []


def test_error_of_a_crop_is_raised():
    def prepare(part):
        raise ValueError("no crop")

    with pytest.raises(ValueError, match="no crop"):
        embed_crops(
            [np.zeros((9, 9, 3), np.uint8)], [np.ones((2, 4), np.float32)], prepare, np.array, 3
        )
