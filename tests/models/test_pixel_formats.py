"""Pixel formats: the same values on every device."""

import numpy as np
import pytest
import torch
from goldens import synth_image

from mottool.models.pixel_formats import (
    CENTERTRACK,
    FORMS,
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    normalised,
    planes,
)


@pytest.mark.parametrize("form", [*FORMS, CENTERTRACK])
def test_a_tensor_has_the_bits_of_the_planes(form):
    images = np.stack([synth_image(96, 64), synth_image(96, 64)[::-1]])
    tensor = normalised(torch.from_numpy(images), form)
    assert tensor.is_contiguous()
    for image, of_image in zip(images, tensor.numpy(), strict=True):
        assert planes(image, form).tobytes() == of_image.tobytes()
        assert planes(image, form).flags.c_contiguous


def test_the_values_are_those_of_arithmetic_in_single_precision():
    image = synth_image(64, 64)
    rgb = image[..., ::-1].transpose(2, 0, 1).astype(np.float32)
    np.testing.assert_array_equal(planes(image, "bgr255"), rgb[::-1])
    np.testing.assert_array_equal(planes(image, "rgb255"), rgb)
    np.testing.assert_array_equal(planes(image, "rgb1"), rgb / np.float32(255))
    mean, deviation = IMAGENET_MEAN[:, None, None], IMAGENET_DEVIATION[:, None, None]
    expected = (rgb / np.float32(255) - mean) / deviation
    np.testing.assert_array_equal(planes(image, "imagenet"), expected)
