"""Camera motion that is estimated from images equals the motion that they were made with."""

import cv2
import numpy as np
import pytest

from mottool.sources.camera_motion import (
    METHODS,
    CorrelationMotion,
    ORBMotion,
    SIFTMotion,
    SparseFlowMotion,
)

SIZE = 320, 240


def panorama():
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    return cv2.resize(noise, SIZE, interpolation=cv2.INTER_CUBIC)


def moved(image, degrees, scale, shift):
    """Return an image whose content has moved, and its motion (2, 3)."""
    warp = cv2.getRotationMatrix2D((SIZE[0] / 2, SIZE[1] / 2), degrees, scale)
    warp[:, 2] += shift
    return cv2.warpAffine(image, warp, SIZE, borderMode=cv2.BORDER_REFLECT), warp


@pytest.mark.parametrize(
    ("estimate", "scale", "tolerance"),
    [
        (SparseFlowMotion(), 1.01, 0.3),
        (ORBMotion(1), 1.01, 1.0),
        (SIFTMotion(1), 1.01, 0.5),
        (CorrelationMotion(4), 1.0, 0.5),
    ],
)
def test_motion_of_the_background_is_found(estimate, scale, tolerance):
    first = panorama()
    second, warp = moved(first, 0.5, scale, (6, -3))
    np.testing.assert_array_equal(estimate(first), np.eye(2, 3))
    corners = np.array([[0, 0, 1], [SIZE[0], 0, 1], [0, SIZE[1], 1]]).T
    error = (estimate(second) - warp) @ corners  # pixels
    assert abs(error).max() < tolerance


@pytest.mark.parametrize("method", METHODS.values())
@pytest.mark.parametrize("size", [(1, 1), (48, 64)])
def test_images_without_texture_do_not_move(method, size):
    estimate = method()
    for grey in (0, 0, 255, 90):
        image = np.full((*size, 3), grey, np.uint8)
        np.testing.assert_allclose(estimate(image), np.eye(2, 3), atol=1e-6)
