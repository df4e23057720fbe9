"""The fast JPEG decoder: OpenCV's pixels, or none at all."""

import io

import cv2
import numpy as np
import pytest
from goldens import synth_image
from PIL import Image

from mottool.sources.images import ORIENTATION, read_image
from mottool.sources.jpeg import decode_jpeg


def jpeg(size=(161, 95), mode="RGB", **options):
    image = Image.fromarray(synth_image(*size)[..., ::-1]).convert(mode)
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return np.frombuffer(file.getvalue(), np.uint8)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(161, 95), (64, 48), (1, 1), (7, 200)])
@pytest.mark.parametrize("subsampling", [0, 1, 2, None])
def test_pixels_equal_those_of_opencv(size, subsampling, progressive):
    mode = {"mode": "L"} if subsampling is None else {"subsampling": subsampling}
    for quality in (20, 75, 95):
        content = jpeg(size, quality=quality, progressive=progressive, **mode)
        decoded = decode_jpeg(content)
        assert decoded.shape == (size[1], size[0], 3)
        assert decoded.flags.writeable
        np.testing.assert_array_equal(decoded, cv2.imdecode(content, cv2.IMREAD_COLOR))


def test_other_files_are_left_to_opencv():
    assert decode_jpeg(cv2.imencode(".png", synth_image(64, 48))[1]) is None
    assert decode_jpeg(jpeg(mode="CMYK")) is None
    assert decode_jpeg(jpeg()[:1500]) is None
    assert decode_jpeg(np.zeros(0, np.uint8)) is None
    content = jpeg().copy()
    content[20:] = 0
    assert decode_jpeg(content) is None


@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_rotated_photograph_is_upright_if_asked_for(tmp_path, orientation, upright):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    content = jpeg(exif=exif)
    (tmp_path / "a.jpg").write_bytes(content.tobytes())
    flags = cv2.IMREAD_COLOR | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    expected = cv2.imdecode(content, flags)
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg", upright), expected)
