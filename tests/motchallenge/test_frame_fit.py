"""Boxes that do not fit the frames of their sequence are described."""

import numpy as np

from mottool.motchallenge.frame_fit import describe_misfit

STEPS = np.arange(60.0)[:, None]
BOXES = np.array([60.0, 40, 80, 100]) + STEPS * [9, 6, 9, 6]  # (60, 4), up to (611, 454)


def test_boxes_that_fit_have_no_description():
    assert describe_misfit(BOXES, 640, 480) == ""
    assert describe_misfit(BOXES[:0], 640, 480) == ""


def test_boxes_outside_every_frame_are_described():
    assert "no box is inside the picture of 30x30" in describe_misfit(BOXES, 30, 30)


def test_boxes_of_other_columns_are_described():
    wide = BOXES + [0, 0, 400, 400]
    assert "boxes extend far past the picture of 640x480" in describe_misfit(wide, 640, 480)


def test_boxes_of_a_smaller_video_are_described_if_there_are_many():
    assert "upper left 306x227 pixels" in describe_misfit(BOXES / 2, 640, 480)
    assert describe_misfit(BOXES[:9] / 2, 640, 480) == ""


def test_boxes_of_at_most_a_pixel_are_described():
    flat = BOXES.copy()
    flat[:, 3] = flat[:, 1] + 0.9  # a score that was read as the height
    assert describe_misfit(flat, 640, 480) == "no box is more than 1 pixel high; check the columns"
