"""Still images: their order, their size from the header, and their EXIF orientation."""

import threading
from pathlib import Path

import datasets
import numpy as np
import pytest
from footage import grey, images
from PIL import Image

from mottool.errors import InputError
from mottool.sources.discovery import find_sequences
from mottool.sources.images import frame_numbers, image_size, images_in, read_image, unnumbered
from mottool.sources.sequence import check_numbers


def test_images_are_in_natural_order_without_hidden_files(tmp_path):
    for name in ("f10.png", "f2.png", "f1.JPG"):
        datasets.photo(tmp_path / name)
    (tmp_path / "._f1.png").touch()
    (tmp_path / "f1.txt").touch()
    assert [path.name for path in images_in(tmp_path)] == ["f1.JPG", "f2.png", "f10.png"]
    assert images_in(tmp_path / "f1.txt") == []


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("upright", [True, False])
def test_image_size_from_the_header_equals_that_of_the_pixels(tmp_path, orientation, upright):
    tag = Image.Exif()
    tag[0x0112] = orientation
    path = tmp_path / "a.jpg"
    Image.new("RGB", (64, 48), (200, 0, 0)).save(path, exif=tag)
    pixels = read_image(path, upright)
    width, height = image_size(path, upright)
    assert pixels.shape == (height, width, 3)
    assert (width < height) == (upright and orientation > 4)
    assert np.argmax(pixels[0, 0]) == 2  # red is the last of BGR


@pytest.mark.parametrize("content", [b"", b"words", b"\x89PNG\r\n\x1a\n"])
def test_file_that_is_not_an_image_is_refused_with_its_path(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    for read in (image_size, read_image):
        with pytest.raises(InputError, match=r"a\.png cannot be read as an image"):
            read(path)
    with pytest.raises(InputError, match="there is no image"):
        image_size(tmp_path / "b.png")


def test_an_image_with_far_more_pixels_than_its_file_can_describe_is_refused(tmp_path):
    path = tmp_path / "a.png"
    Image.new("1", (14000, 14000)).save(path)
    message = r"a\.png is 14000x14000 but only \d+ bytes long"
    with pytest.raises(InputError, match=message):
        read_image(path)


def test_images_are_read_ahead_in_order_and_threads_end_with_the_frames(tmp_path):
    folder = images(tmp_path / "seq", 12)
    (sequence,) = find_sequences([folder])
    frames = sequence.frames(start=3)
    for number in range(3, 8):
        frame = next(frames)
        assert (frame.number, frame.image[-1, -1, 0]) == (number, grey(number - 1))
    assert any(thread.name.startswith("overlap") for thread in threading.enumerate())
    frames.close()
    assert not any(thread.name.startswith("overlap") for thread in threading.enumerate())


def test_the_first_of_several_errors_in_a_folder_is_reported(tmp_path):
    folder = images(tmp_path / "seq", 6)
    (sequence,) = find_sequences([folder])
    images(tmp_path / "other", 6, size=(32, 32))
    (tmp_path / "other/000003.png").replace(folder / "000003.png")
    (folder / "000004.png").write_bytes(b"no image")
    frames = sequence.frames()
    assert [next(frames).number, next(frames).number] == [1, 2]
    with pytest.raises(InputError, match=r"000003\.png is 32x32 but .*000001\.png is 64x48"):
        next(frames)


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        ("000001 000002 000004", [1, 2, 4]),
        ("000001_left 000002_left 000004_left", [1, 2, 4]),
        ("cam1_09_rgb cam1_10_rgb", [9, 10]),
        ("cam1_09 cam2_10", []),
        ("000001 thumb", []),
        ("000001", []),
    ],
)
def test_frames_are_numbered_by_the_only_number_that_varies(names, numbers):
    files = [Path(f"{name}.jpg") for name in names.split()]
    assert frame_numbers(files) == numbers
    assert unnumbered(files) == []


def test_a_copy_among_numbered_images_is_refused_where_rows_belong_to_them(tmp_path):
    files = [tmp_path / f"{name}.jpg" for name in ("000001", "000002", "000002 (1)", "000003")]
    with pytest.raises(InputError, match=r"000002 \(1\).jpg among numbered images"):
        check_numbers(files)
    masks = [tmp_path / f"{name}.png" for name in ("1", "1_mask", "2", "2_mask")]
    with pytest.raises(InputError, match=r"1_mask.png among numbered images"):
        check_numbers(masks)
    with pytest.raises(InputError, match=r"jumps from a1_x.jpg to a3_x.jpg"):
        check_numbers([tmp_path / "a1_x.jpg", tmp_path / "a3_x.jpg"])
