"""Images of more than 8 bits are scaled by the range of their sequence."""

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from figures import street

from mottool.cache.reader import Cache
from mottool.cli.main import cli
from mottool.data.formats import open_datasets
from mottool.errors import CacheError, InputError, SettingError
from mottool.pixel_range import PixelRange, parse_pixel_range, recorded_range
from mottool.sources.discovery import find_sequences


def test_floating_point_values_are_scaled(tmp_path):
    for number in range(1, 4):
        image = np.linspace(-3.5, 40, 48 * 64).reshape(48, 64).astype(np.float32)
        cv2.imwrite(str(tmp_path / f"{number:06d}.tiff"), image)
    warnings = []
    (sequence,) = find_sequences([tmp_path])
    frames = [frame.image for frame in sequence.frames(warn=warnings.append)]
    expected = np.linspace(0, 255, 48 * 64).reshape(48, 64, 1)
    np.testing.assert_allclose(frames[2], np.repeat(expected, 3, 2), atol=1)
    assert "images of more than 8 bits, scaled from " in warnings[0]


def test_one_image_of_more_bits_than_the_first_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "000001.png"), np.full((48, 64), 99, np.uint8))
    cv2.imwrite(str(tmp_path / "000002.png"), np.full((48, 64), 999, np.uint16))
    (sequence,) = find_sequences([tmp_path])
    with pytest.raises(InputError, match=r"000002.png has more than 8 bits, but .*000001.png has"):
        list(sequence.frames())


def deepen(folder, factor):
    """Replace the images of a sequence by those of 16 bits, with values `factor` times as large."""
    for file in sorted((folder / "img1").iterdir()):
        image = cv2.imread(str(file)).astype(np.uint16) * factor
        cv2.imwrite(str(file), image)
    return folder


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


@pytest.mark.parametrize(
    ("text", "expected"), [("0-4095", (0, 4095)), ("-5.5-10", (-5.5, 10)), ("-10--2", (-10, -2))]
)
def test_a_pixel_range_is_two_rising_numbers(text, expected):
    assert parse_pixel_range(text) == PixelRange(*expected)


@pytest.mark.parametrize(
    "text", ["", "5", "9-3", "1-1", "nan-3", "a-b", "0-4095-2", "1-" + "9" * 400]
)
def test_other_pixel_ranges_are_refused(text):
    with pytest.raises(SettingError, match="write LOW-HIGH, such as 0-4095"):
        parse_pixel_range(text)


@pytest.mark.parametrize("values", [5, [1], [1, 2, 3], ["0", "9"], [9, 3], [0, float("nan")], {}])
def test_a_damaged_recorded_range_is_refused(values):
    with pytest.raises(CacheError, match="its recorded pixel range is not a range"):
        recorded_range({"pixel_range": values})


def test_a_given_range_is_used_without_a_message_and_recorded_in_the_cache(tmp_path):
    folder, work = deepen(street(tmp_path / "street", frames=2), 10), tmp_path / "work"
    (folder / "det").mkdir()
    (folder / "det/det.txt").write_text("1,-1,10,8,20,30,0.9\n")
    arguments = ["detect-embed", str(folder), "--pipeline", "public", "--work", str(work)]
    whole = cv2.imread(str(street(tmp_path / "eight", frames=2) / "img1/000001.png"))
    (sequence,) = find_sequences([folder], pixel_range=PixelRange(0, 2550))
    warnings = []
    np.testing.assert_array_equal(next(sequence.frames(warn=warnings.append)).image, whole)
    assert warnings == []
    result = CliRunner().invoke(cli, [*arguments, "--pixel-range", "0-2550"])
    assert (result.exit_code, result.stderr) == (0, "")
    with Cache(work / "caches/public+histogram/street.h5") as cache:
        assert cache.header.settings["pixel_range"] == [0.0, 2550.0]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 1
    assert "made with other pixel_range ([0.0, 2550.0], now None)" in result.stderr


@pytest.mark.parametrize("given", [(0, 1), (5000, 6000), (0, 65535), (-9, -1)])
def test_a_range_that_leaves_hardly_any_contrast_is_reported(tmp_path, given):
    folder = deepen(street(tmp_path / "a", frames=2), 10)
    (sequence,) = find_sequences([folder], pixel_range=PixelRange(*given))
    warnings = []
    assert len(list(sequence.frames(warn=warnings.append))) == 2
    assert len(warnings) == 1
    assert f"{folder}: with --pixel-range {PixelRange(*given)} its values, " in warnings[0]
    assert "of 256 levels of grey" in warnings[0]
    open_datasets([folder], warnings.append, None, PixelRange(*given))
    assert "of 256 levels of grey" in warnings[1]


def test_a_range_for_images_of_8_bits_is_reported(tmp_path):
    (sequence,) = find_sequences([street(tmp_path / "a", frames=2)], pixel_range=PixelRange(0, 9))
    warnings = []
    assert len(list(sequence.frames(warn=warnings.append))) == 2
    assert warnings == [
        f"{tmp_path / 'a'} has images of 8 bits, to which --pixel-range does not apply"
    ]


def test_training_images_of_16_bits_are_scaled_by_their_dataset_or_the_given_range(tmp_path):
    eight, deep = street(tmp_path / "eight"), deepen(street(tmp_path / "deep"), 16)
    warnings = []
    plain = open_datasets([eight], print)[0]
    given = open_datasets([deep], warnings.append, None, PixelRange(0, 4080))[0]
    assert warnings == []
    np.testing.assert_array_equal(given[3].pixels(), plain[3].pixels())
    scaled = open_datasets([deep], warnings.append)[0]
    assert warnings == ["deep: images of more than 8 bits, scaled from 480 to 3680 to 0 to 255"]
    assert scaled[3].pixels().max() == 255
    assert len({each.fingerprint() for each in (given, scaled)}) == 2
