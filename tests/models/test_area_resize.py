"""Averages of areas on a device have the bytes of OpenCV on the CPU."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.models.area_resize import area_resized

NOISE = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
SIZES = [  # of frames and of what letterboxes make of them
    ((1920, 1080), (1081, 608)),
    ((1920, 1080), (1024, 576)),
    ((1280, 720), (1081, 608)),
    ((1920, 1080), (640, 360)),
    ((640, 480), (512, 384)),
    ((1920, 1080), (1920, 1080)),
    ((1600, 1000), (1600, 250)),
]


def check(width, height, new_width, new_height):
    images = np.stack((NOISE[:height, :width], NOISE[-height:, -width:]))
    resized = area_resized(torch.from_numpy(images), new_width, new_height)
    assert resized.dtype is torch.uint8
    for image, ours in zip(images, resized.numpy(), strict=True):
        theirs = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("size", "new_size"), SIZES)
def test_frames_of_common_sizes(size, new_size):
    check(*size, *new_size)


@given(st.data())
@settings(derandomize=True, deadline=None, max_examples=80)
def test_any_sizes(data):
    width, height = data.draw(st.integers(1, 500)), data.draw(st.integers(1, 400))
    check(width, height, data.draw(st.integers(1, width)), data.draw(st.integers(1, height)))


@given(*(st.integers(1, 60) for _ in range(2)), *(st.integers(1, 6) for _ in range(2)))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_sides_that_shrink_by_whole_numbers(width, height, across, down):
    check(width * across, height * down, width, height)
