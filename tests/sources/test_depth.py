"""Images of more than 8 bits are scaled by the range of their sequence."""

import cv2
import numpy as np
import pytest

from mottool.sources.discovery import find_sequences


@pytest.mark.parametrize(("low", "high"), [(0, 4095), (29000, 32000)])
def test_the_range_of_the_sequence_becomes_0_to_255(tmp_path, low, high):
    folder = tmp_path / "thermal"
    folder.mkdir()
    for number in range(1, 4):
        image = np.linspace(low, high, 48 * 64).reshape(48, 64).astype(np.uint16)
        cv2.imwrite(str(folder / f"{number:06d}.png"), image)
    warnings = []
    (sequence,) = find_sequences([folder])
    frames = [frame.image for frame in sequence.frames(warn=warnings.append)]
    assert frames[0].dtype == np.uint8
    assert frames[0].shape == (48, 64, 3)
    expected = np.linspace(0, 255, 48 * 64).reshape(48, 64, 1)
    np.testing.assert_allclose(frames[2], np.repeat(expected, 3, 2), atol=1)
    assert len(warnings) == 1
    assert "images of more than 8 bits, scaled from " in warnings[0]


def test_images_of_8_bits_are_kept_as_they_are(tmp_path):
    folder = tmp_path / "dark"
    folder.mkdir()
    image = np.full((48, 64, 3), 20, np.uint8)
    cv2.imwrite(str(folder / "000001.png"), image)
    warnings = []
    (sequence,) = find_sequences([folder])
    np.testing.assert_array_equal(next(sequence.frames(warn=warnings.append)).image, image)
    assert warnings == []
