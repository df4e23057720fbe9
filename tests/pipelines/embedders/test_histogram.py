"""Colour-histogram embeddings of boxes: unit length, independence, and what they tell apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.pipelines.embedders.histogram import Histogram


def figure_image(shirt, trousers, height=96, width=40, noise=0, seed=0):
    """Draw a figure with a shirt above trousers, (height, width, 3) uint8 BGR."""
    picture = np.empty((height, width, 3), np.float64)
    picture[: height // 2], picture[height // 2 :] = shirt, trousers
    picture += np.random.default_rng(seed).normal(0, noise, picture.shape)
    return picture.clip(0, 255).astype(np.uint8)


def whole_image_box(image):
    return np.array([[0, 0, image.shape[1], image.shape[0]]], np.float32)


def describe(image):
    return Histogram().embed([image], [whole_image_box(image)])[0][0]


@given(st.integers(0, 2**32 - 1), st.integers(0, 7))
@settings(derandomize=True, deadline=None, max_examples=30)
def test_embeddings_are_unit_vectors_for_any_box(seed, count):
    draw = np.random.default_rng(seed)
    image = draw.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    boxes = draw.uniform(-50, 130, (count, 4)).astype(np.float32)
    embeddings = Histogram().embed([image], [boxes])[0]
    assert embeddings.shape == (count, Histogram.size)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)


def test_embedding_of_a_box_does_not_depend_on_other_boxes():
    image = np.random.default_rng(1).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    boxes = np.array([[0, 0, 30, 80], [40, 5, 80, 90], [90, 10, 119, 60]], np.float32)
    together = Histogram().embed([image], [boxes])[0]
    alone = [Histogram().embed([image], [box[None]])[0][0] for box in boxes]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_embeddings_change_little_with_size_and_noise_but_much_with_clothing():
    red, blue, grey, black = (40, 40, 200), (190, 90, 30), (120, 120, 120), (30, 30, 30)
    person = describe(figure_image(red, black))
    assert person @ describe(figure_image(red, black, 192, 80)) > 0.99
    assert person @ describe(figure_image(red, black, noise=12)) > 0.8
    assert person @ describe(figure_image(blue, black)) < 0.6
    assert person @ describe(figure_image(black, red)) < 0.6
    assert describe(figure_image(grey, black)) @ describe(figure_image(black, grey)) < 0.9


@pytest.mark.parametrize("box", [(-30, -30, -1, -1), (200, 0, 240, 50), (10, 10, 10, 40)])
def test_box_without_pixels_has_the_embedding_of_black(box):
    image = np.full((50, 50, 3), 200, np.uint8)
    black = describe(np.zeros((50, 50, 3), np.uint8))
    np.testing.assert_array_equal(
        Histogram().embed([image], [np.array([box], np.float32)])[0][0], black
    )
