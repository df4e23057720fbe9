"""The letterbox byte for byte, and the way back."""

import hashlib
from functools import partial

import numpy as np
import pytest
from goldens import HERE, read_npz, synth_image
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.models.preprocessing import CenterWarp, ClampedLetterbox, Letterbox

UNITS = read_npz(HERE / "preprocessing" / "units.npz")
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
    decoded = Letterbox(width, height).to_frame(cells * 4, w, h)
    np.testing.assert_allclose(decoded, expected, atol=1e-4)


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


@settings(derandomize=True, deadline=None, max_examples=60)
@given(w=sides, h=sides, width=sides, height=sides)
def test_the_whole_frame_is_warped_about_its_centre_and_goes_back(w, h, width, height):
    warp = CenterWarp(width, height)
    corners = np.array([[0, 0, w, h], [w / 2, h / 2, w / 2, h / 2]])
    scale = min(width / w, height / h)
    inside = [(width - w * scale) / 2, (height - h * scale) / 2]
    inside += [width - inside[0], height - inside[1]]
    picture = np.array([inside, [width / 2, height / 2] * 2], np.float32)
    np.testing.assert_allclose(warp.to_frame(picture, w, h), corners, atol=1e-3 / scale)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    w=sides,
    h=sides,
    width=sides,
    height=sides,
    view=st.sampled_from([Letterbox, CenterWarp, partial(CenterWarp, crop=True)]),
    seed=st.integers(0, 99),
)
def test_boxes_go_to_the_network_and_back(w, h, width, height, view, seed):
    boxes = np.random.default_rng(seed).uniform(-50, 450, (5, 4)).astype(np.float32)
    there = view(width, height).from_frame(boxes, w, h)
    assert there.dtype == np.float32
    tolerance = 1e-3 * max(1, w / width, h / height, max(w, h) / width)
    np.testing.assert_allclose(view(width, height).to_frame(there, w, h), boxes, atol=tolerance)
    np.testing.assert_array_equal(there[:, 2:], view(width, height).from_frame(boxes[:, 2:], w, h))


@pytest.mark.parametrize("view", [Letterbox(160, 96), CenterWarp(160, 96)])
def test_what_is_fitted_stays_in_its_place(view):
    frame = synth_image(120, 90)
    fitted = view.fitted(frame)
    assert fitted.shape == (96, 160, 3)
    np.testing.assert_array_equal(view.image(fitted), view.image(frame))
    assert (fitted[:, :15] == view.border).all()


@pytest.mark.parametrize("view", [Letterbox(160, 160), CenterWarp(160, 160)])
def test_a_box_lies_on_what_it_lay_on(view):
    frame = np.zeros((60, 80, 3), np.uint8)
    frame[24:48, 12:36] = 255
    x1, y1, x2, y2 = view.from_frame(np.array([[12, 24, 36, 48]], np.float32), 80, 60)[0]
    ys, xs = np.nonzero(view.fitted(frame)[..., 0] > 200)
    # A warp puts pixels' centres where a letterbox puts their corners: half a frame's pixel.
    np.testing.assert_allclose([xs.min(), ys.min(), xs.max(), ys.max()], [x1, y1, x2, y2], atol=2.1)


def test_the_warp_shows_a_pixel_where_it_says():
    frame = np.zeros((60, 80, 3), np.uint8)
    frame[40:44, 16:20] = 255
    warped = CenterWarp(160, 160).fitted(frame)
    y, x = (axis.mean() for axis in np.nonzero(warped[..., 0] > 127))
    place = CenterWarp(160, 160).to_frame(np.array([[x, y]], np.float32), 80, 60)
    np.testing.assert_allclose(place, [[17.5, 41.5]], atol=0.5)
    assert not warped[:20].any()  # black above the picture
    assert not warped[140:].any()


def test_only_the_crop_leaves_parts_of_a_tall_frame_out():
    whole, cropped = CenterWarp(960, 544), CenterWarp(960, 544, crop=True)
    frame = np.full((480, 640, 3), 255, np.uint8)
    assert whole.fitted(frame)[:, 200:-200].all()
    assert not whole.fitted(frame)[:, :100].any()
    assert cropped.fitted(frame).all()
    seen = cropped.to_frame(np.array([[0, 0, 960, 544]], np.float32), 640, 480)
    np.testing.assert_allclose(seen, [[0, 176 / 3, 640, 480 - 176 / 3]], atol=1e-3)
    wide = synth_image(480, 270)
    np.testing.assert_array_equal(cropped.image(wide), whole.image(wide))


def test_centertrack_sees_normalised_bgr():
    frame = np.empty((192, 320, 3), np.uint8)
    frame[:] = 10, 100, 200
    planes = CenterWarp(320, 192).image(frame)
    assert planes.shape == (3, 192, 320)
    assert planes.dtype == np.float32
    assert planes.flags.c_contiguous
    mean, deviation = [0.40789654, 0.44719302, 0.47026115], [0.28863828, 0.27408164, 0.27809835]
    expected = (np.array([10, 100, 200]) / 255 - mean) / deviation
    np.testing.assert_allclose(planes[:, 100, 100], expected, rtol=1e-6)
