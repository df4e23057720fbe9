"""The letterbox byte for byte, and the way back."""

import hashlib

import numpy as np
import pytest
from goldens import HERE, synth_image
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.models.preprocessing import ClampedLetterbox, Letterbox

UNITS = np.load(HERE / "preprocessing" / "units.npz")
sides = st.integers(8, 400)


@pytest.mark.parametrize("row", UNITS["letterbox"], ids=lambda row: "-".join(map(str, row[:4])))
def test_letterbox_equals_the_authors_byte_for_byte(row):
    w, h, width, height = map(int, row[:4])
    fitted = Letterbox(width, height).fitted(synth_image(w, h))
    assert fitted.shape == (height, width, 3)
    assert int(hashlib.sha256(fitted.tobytes()).hexdigest()[:8], 16) == row[7]


@pytest.mark.parametrize("row", UNITS["affine"], ids=lambda row: "-".join(map(str, row[:4])))
def test_points_come_back_as_by_the_authors_affine_map(row):
    w, h, width, height = map(int, row[:4])
    cells, expected = row[4:12].reshape(4, 2), row[12:].reshape(4, 2)
    found = Letterbox(width, height).to_frame(cells * 4, w, h)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["synth_320x192", "synth_1088x608"])
def test_the_network_input_is_rgb_planes_between_0_and_1(name):
    width, height = map(int, name.partition("_")[2].split("x"))
    box, frame = Letterbox(width, height), synth_image()
    planes = box.image(frame)
    assert planes.shape == (3, height, width)
    assert planes.dtype == np.float32
    assert planes.flags.c_contiguous
    blue = box.fitted(frame)[..., 0]
    np.testing.assert_array_equal(planes[2], blue.astype(np.float32) / 255)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(w=sides, h=sides, width=sides, height=sides)
def test_the_frame_s_corners_lie_on_the_picture_s_and_go_back(w, h, width, height):
    white = np.full((h, w, 3), 255, np.uint8)
    box = Letterbox(width, height)
    ys, xs = np.nonzero((box.fitted(white) == 255).all(2))
    picture = np.array([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]], np.float32)
    frame = box.to_frame(picture, w, h)
    # The picture's size and margins are rounded to whole network pixels: 1 of them at most.
    pixel = 1 / min(width / w, height / h)
    np.testing.assert_allclose(frame, [[0, 0, w, h]], atol=1.01 * pixel)


def test_boxes_points_and_nothing_go_back_alike():
    box = Letterbox(320, 192)
    boxes = np.array([[10, 20, 30, 40], [0, 0, 320, 192]], np.float32)
    back = box.to_frame(boxes, 1920, 1080)
    np.testing.assert_array_equal(back[:, 2:], box.to_frame(boxes[:, 2:], 1920, 1080))
    assert back.dtype == np.float32
    assert box.to_frame(boxes[:0], 1920, 1080).shape == (0, 4)


def test_only_the_clamped_letterbox_cuts_at_zero():
    boxes = np.array([[-10, 2, 330, 250]], np.float32)
    free = Letterbox(320, 192).to_frame(boxes, 320, 192)
    clamped = ClampedLetterbox(320, 192).to_frame(boxes, 320, 192)
    np.testing.assert_array_equal(free, boxes)
    np.testing.assert_array_equal(clamped, [[0, 2, 330, 250]])


def test_a_line_of_pixels_is_still_a_picture():
    assert Letterbox(64, 64).image(np.zeros((1, 1000, 3), np.uint8)).shape == (3, 64, 64)
