"""Augmentation: boxes follow the image, parameters stay within limits and depend on the seed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.data.augmentation import (
    ImageTransform,
    augment,
    crop_frame,
    flip,
    jitter,
    recolour,
    sample_transform,
    sample_transform_near,
    transform_matrix,
    warp,
)
from mottool.errors import SettingError
from mottool.networks.cstrack import CSTRACK
from mottool.networks.learning import Augmentation
from mottool.networks.otrack import OTRACK
from mottool.networks.registry import families
from mottool.networks.tdt import TDT

WIDTH, HEIGHT = 96, 64
exact = settings(derandomize=True, deadline=None, max_examples=60)
seeds = st.integers(0, 2**32 - 1)


def image(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def some_boxes(seed, count=6):
    draw = np.random.default_rng(seed)
    first = draw.uniform(-10, [WIDTH, HEIGHT], (count, 2))
    return np.hstack([first, first + draw.uniform(3, 50, (count, 2))]).astype(np.float32)


@exact
@given(seeds)
def test_flipping_twice_restores_image_and_boxes(seed):
    pixels, boxes = image(seed), some_boxes(seed)
    once, moved = flip(pixels, boxes)
    assert (moved[:, 2] > moved[:, 0]).all()
    twice, back = flip(once, moved)
    np.testing.assert_array_equal(twice, pixels)
    np.testing.assert_allclose(back, boxes, atol=1e-4)


def test_flipped_box_contains_the_flipped_pixels():
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[10:30, 5:20] = 255
    turned, boxes = flip(pixels, np.array([[5, 10, 20, 30]], np.float32))
    x1, y1, x2, y2 = boxes[0].astype(int)
    assert (turned[y1:y2, x1:x2] == 255).all()
    assert turned.sum() == pixels.sum()


@exact
@given(seeds)
def test_warped_box_bounds_the_mapped_corners(seed):
    look = sample_transform(Augmentation(angle=0), np.random.default_rng(seed))
    boxes = some_boxes(seed)
    _, moved, _ = warp(image(), boxes, look)
    mapping = transform_matrix(look, WIDTH, HEIGHT)
    for box, warped in zip(boxes.astype(float), moved, strict=True):
        x1, y1, x2, y2 = box
        corners = mapping @ np.array([[x1, x2, x2, x1], [y1, y1, y2, y2], [1, 1, 1, 1]])
        expected = [*corners[:2].min(axis=1), *corners[:2].max(axis=1)]
        np.testing.assert_allclose(warped, expected, atol=1e-3)


@exact
@given(seeds)
def test_rotated_box_has_the_mapped_centre(seed):
    look = ImageTransform(angle=np.random.default_rng(seed).uniform(-5, 5))
    boxes = some_boxes(seed)
    _, moved, _ = warp(image(), boxes, look)
    points = np.hstack([(boxes[:, :2] + boxes[:, 2:]) / 2, np.ones((len(boxes), 1))])
    expected = (transform_matrix(look, WIDTH, HEIGHT) @ points.T)[:2].T
    np.testing.assert_allclose((moved[:, :2] + moved[:, 2:]) / 2, expected, atol=1e-3)


@exact
@given(seeds)
def test_warped_patch_is_centred_in_the_warped_box(seed):
    look = sample_transform(Augmentation(), np.random.default_rng(seed))
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[20:44, 36:60] = 255
    shown, boxes, keep = augment(pixels, np.array([[36, 20, 60, 44]], np.float32), look)
    assert keep.all()
    ys, xs = np.nonzero((shown > 200).all(axis=2))
    centre = (xs.mean() + 0.5, ys.mean() + 0.5)
    np.testing.assert_allclose((boxes[0, :2] + boxes[0, 2:]) / 2, centre, atol=1.5)


@exact
@given(seeds)
def test_clipped_boxes_stay_in_the_image(seed):
    look = sample_transform(Augmentation(shift=0.5, angle=30), np.random.default_rng(seed))
    _, boxes, keep = augment(image(), some_boxes(seed), look, clip=True)
    assert (boxes >= 0).all()
    assert (boxes <= [WIDTH, HEIGHT, WIDTH, HEIGHT]).all()
    assert (boxes[keep][:, 2:] > boxes[keep][:, :2]).all()


def test_boxes_outside_the_image_or_too_small_are_dropped():
    boxes = np.array([[0, 0, 20, 30], [60, 20, 90, 60], [40, 30, 46, 36], [10, 30, 90, 36]])
    _, _, keep = warp(image(), boxes.astype(np.float32), ImageTransform(scale=0.5))
    assert keep.tolist() == [True, True, False, False]
    _, moved, keep = warp(image(), boxes.astype(np.float32), ImageTransform(shift=(0.5, 0)))
    assert keep.tolist() == [True, False, True, False]
    assert moved[3].tolist() == [58, 30, 138, 36]
    _, _, keep = warp(image(), np.zeros((0, 4), np.float32), ImageTransform(scale=0.5))
    assert keep.shape == (0,)


def test_default_transform_changes_nothing():
    pixels, boxes = image(), some_boxes(1)
    shown, same, keep = augment(jitter(pixels, ImageTransform().gains), boxes, ImageTransform())
    np.testing.assert_array_equal(shown, pixels)
    np.testing.assert_array_equal(same, boxes)
    assert keep.all()


def test_border_is_filled_with_grey_or_the_given_value():
    shown, _, _ = warp(image(), some_boxes(0), ImageTransform(scale=0.5))
    assert (shown[:10] == 128).all()
    shown, _, _ = augment(image(), some_boxes(0), ImageTransform(scale=0.5), border=0)
    assert not shown[:10].any()


def test_colour_gains_multiply_and_saturate():
    pixels = np.full((4, 4, 3), (40, 60, 100), np.uint8)
    np.testing.assert_array_equal(jitter(pixels, (1, 1, 0.5)).max(), 50)
    assert jitter(pixels, (1, 1, 9.0)).max() == 255
    grey = jitter(pixels, (1, 0, 1.0))
    assert (grey == 100).all()
    np.testing.assert_array_equal(pixels[0, 0], (40, 60, 100))


@exact
@given(seeds, st.sampled_from([family.augmentation for family in families()]))
def test_transforms_stay_within_their_limits_and_depend_on_the_seed(seed, limits):
    look = sample_transform(limits, np.random.default_rng(seed))
    assert look == sample_transform(limits, np.random.default_rng(seed))
    for gain, limit in zip(look.gains, (limits.hue, limits.saturation, limits.value), strict=True):
        assert abs(gain - 1) <= limit
    assert limits.shrink <= look.scale <= limits.grow
    assert abs(look.angle) <= limits.angle
    assert max(map(abs, look.shift)) <= limits.shift
    assert max(map(abs, look.shear)) <= limits.shear


@exact
@given(seeds)
def test_second_transform_of_a_pair_is_near_the_first(seed):
    draw, limits = np.random.default_rng(seed), Augmentation()
    first = sample_transform(limits, draw)
    second = sample_transform_near(limits, first, draw)
    assert second.flipped == first.flipped
    assert second.gains != first.gains
    assert abs(second.angle - first.angle) <= 0.2 * limits.angle
    assert abs(second.scale - first.scale) <= 0.2 * (limits.grow - limits.shrink) / 2 + 1e-9
    assert max(abs(np.subtract(second.shift, first.shift))) <= 0.2 * limits.shift


@exact
@given(seeds)
def test_previous_frame_has_the_same_geometry_and_other_colours(seed):
    draw, limits = np.random.default_rng(seed), OTRACK.augmentation
    first = sample_transform(limits, draw)
    second = recolour(limits, first, draw)
    assert second.gains != first.gains
    assert replace(second, gains=first.gains) == first


def test_cstrack_does_not_move_images():
    look = sample_transform(CSTRACK.augmentation, np.random.default_rng(3))
    np.testing.assert_array_equal(transform_matrix(look, 10, 10), np.eye(3))


def test_tdt_flips_and_scales_only():
    """§4.2: "random horizontal flipping and random scaling with scaling ratio from 0.5 to 2.0"."""
    looks = [sample_transform(TDT.augmentation, np.random.default_rng(seed)) for seed in range(200)]
    scales = [look.scale for look in looks]
    assert 0.5 <= min(scales) < 0.55
    assert 1.95 < max(scales) <= 2.0
    assert {look.flipped for look in looks} == {False, True}
    assert {(look.angle, look.shift, look.shear, look.gains) for look in looks} == {
        (0.0, (0.0, 0.0), (0.0, 0.0), (1.0, 1.0, 1.0))
    }


@pytest.mark.parametrize(
    ("scale", "corner", "left", "top"),
    [(1.0, (0.3, 0.9), 0, -10), (0.5, (0.3, 0.9), -40, -30), (2.0, (0.25, 0.5), 40, 30)],
)
def test_a_frame_is_scaled_then_cropped_or_padded(scale, corner, left, top):
    """A frame of 320x160 in an input of 160x100: fitted to 160x80 with margins of 10.

    At half the size 80x40 pixels with margins of 40 and 30; at twice the size 320x160 pixels, whose
    crop starts at 0.25 · (320 - 160) = 40 and 0.5 · (160 - 100) = 30.
    """
    frame = np.zeros((160, 320, 3), np.uint8)
    frame[60:100, 140:180] = 255  # a white square in the middle
    fitted = np.array([[70.0, 30.0, 90.0, 50.0], [0.0, 0.0, 8.0, 8.0]])  # it, and one in the corner
    look = ImageTransform(scale=scale, corner=corner)
    image, boxes, kept = crop_frame(frame, fitted, (160, 100), look, border=7)
    assert image.shape == (100, 160, 3)
    expected = fitted[0] * scale - (left, top, left, top)
    np.testing.assert_allclose(boxes[0], expected)
    rows, columns = np.nonzero(image[..., 0] > 127)
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(seen, expected, atol=1.01)
    # The box in the corner is outside the crop, or too small at half the size.
    assert kept.tolist() == [True, scale == 1.0]
    assert (image[0, 0] == (7 if scale < 2 else 0)).all()


def test_a_crop_clips_boxes_at_its_edges():
    frame = np.zeros((100, 100, 3), np.uint8)
    boxes = np.array([[-10.0, 10.0, 30.0, 60.0]])
    look = ImageTransform(scale=1.0)
    _, clipped, kept = crop_frame(frame, boxes, (100, 100), look)
    assert clipped.tolist() == [[0, 10, 30, 60]]
    assert kept.tolist() == [True]


def test_invalid_limits_are_refused():
    with pytest.raises(SettingError, match="flip cannot be 2"):
        Augmentation(flip=2)
