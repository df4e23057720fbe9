"""Still images: list those of a folder in natural order, read and write their pixels."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mottool.errors import InputError
from mottool.files import IMAGE_SUFFIXES, UNPACK_FIX, atomic_write, unpack_factor
from mottool.sources.jpeg import decode_jpeg

__all__ = [
    "frame_numbers",
    "image_size",
    "images_in",
    "is_image",
    "natural_key",
    "read_image",
    "read_mask",
    "read_raw",
    "unnumbered",
    "without_links",
    "write_image",
]

ORIENTATION = 0x0112  # the EXIF tag
FLOATS = "F"  # Pillow's mode of floating-point values, as of thermal cameras
UPRIGHT = 1  # its value for an image that is stored upright
TRANSPOSED = frozenset({5, 6, 7, 8})  # its values that swap width and height
MOST_PIXELS, PIXELS_PER_BYTE = 1 << 27, 256  # of an image; photographs have 1 to 20 per byte
UNREADABLE_FIX = "replace or remove it"


def is_image(path: Path | str) -> bool:
    """Return whether a file name is that of an image; hidden files are excluded."""
    path = Path(path)
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def natural_key(path: Path) -> tuple[list[str | int], str]:
    """Return a sort key that puts frame2 before frame10."""
    parts = re.split(r"([0-9]+)", str(path))
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], str(path)


def images_in(folder: Path) -> list[Path]:
    """Return the images in a folder in natural order; [] if it is not a folder."""
    if not folder.is_dir():
        return []
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be read", "make it readable") from error
    return sorted(filter(is_image, entries), key=natural_key)


def frame_numbers(files: list[Path]) -> list[int]:
    """Return the numbers of images that are named as frames: the same text around a number.

    The list is empty if a name is another, or if there are less than two images.
    """
    names = [re.split("([0-9]+)", file.stem) for file in files]  # every other part is a number
    if len(files) < 2 or len({tuple(name[::2]) for name in names}) > 1:
        return []
    varying = [place for place, parts in enumerate(zip(*names, strict=True)) if len({*parts}) > 1]
    return [int(name[varying[0]]) for name in names] if len(varying) == 1 else []


def unnumbered(files: list[Path]) -> list[Path]:
    """Return the images whose names are not like those of at least half, which are numbered."""
    if not files or frame_numbers(files):
        return []
    texts = [tuple(re.split("[0-9]+", file.stem)) for file in files]
    ((usual, _),) = Counter(texts).most_common(1)
    numbered = [file for file, text in zip(files, texts, strict=True) if text == usual]
    if 2 * len(numbered) < len(files) or not frame_numbers(numbered):
        return []
    return [file for file, text in zip(files, texts, strict=True) if text != usual]


def read_image(file: Path, upright: bool = True) -> npt.NDArray[np.uint8]:
    """Read an image as BGR (H, W, 3), rotated by its EXIF tag if `upright`.

    Of values with 16 bits the upper 8 are kept. Raises `InputError` if the file is not an image,
    or if it has far more pixels than its size on the disk can describe.
    """
    return np.asarray(_decode(file, cv2.IMREAD_COLOR, upright), np.uint8)


def read_raw(file: Path, upright: bool = True) -> npt.NDArray[np.generic]:
    """Read an image as BGR (H, W, 3) with the type of its values; otherwise as `read_image`."""
    return _decode(file, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH, upright)


def _decode(file: Path, flags: int, upright: bool) -> npt.NDArray[np.generic]:
    """Read an image with OpenCV's flags."""
    _, _, orientation, mode = _header(file)
    if mode == FLOATS and flags & cv2.IMREAD_ANYDEPTH:
        flags = cv2.IMREAD_ANYDEPTH  # OpenCV does not convert them to three channels
    if not upright:
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    try:
        content = np.fromfile(file, np.uint8)
        stored = None if upright and orientation != UPRIGHT else decode_jpeg(content)
        image = cv2.imdecode(content, flags) if stored is None else stored
    except (cv2.error, OSError):
        image = None
    if image is None:
        raise InputError(f"{file} cannot be read as an image", UNREADABLE_FIX)
    return np.asarray(image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2))


def read_mask(file: Path) -> npt.NDArray[np.uint8]:
    """Read an image of instance numbers (H, W): palette indices or grey values.

    Raises `InputError` if the file is not such an image.
    """
    from PIL import Image

    image_size(file)
    fix = "give an 8-bit image with one channel, whose values number the instances"
    try:
        with Image.open(file) as image:
            values = np.asarray(image)
    except Exception as error:  # the readers of Pillow raise many kinds
        raise InputError(f"{file} cannot be read as a mask", fix) from error
    if values.ndim != 2 or values.dtype != np.uint8:
        raise InputError(f"{file} is not a mask", fix)
    return values


def write_image(file: Path, image: npt.NDArray[np.uint8]) -> None:
    """Write a BGR image (H, W, 3) atomically, in the format of the file's suffix."""
    with atomic_write(file) as temporary:
        temporary.write_bytes(cv2.imencode(file.suffix, image)[1].tobytes())


def image_size(file: Path, upright: bool = True) -> tuple[int, int]:
    """Return width and height in pixels, as `read_image` gives them, from the header alone.

    Raises `InputError` as `read_image`.
    """
    width, height, orientation, _ = _header(file)
    return (height, width) if upright and orientation in TRANSPOSED else (width, height)


def _header(file: Path) -> tuple[int, int, Any, str]:
    """Return width and height as stored, the EXIF orientation, and Pillow's mode of the pixels.

    The file may falsify them.

    Raises `InputError` as `read_image`.
    """
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # the limit below allows more to larger files
    try:
        with Image.open(file) as image:
            (width, height), mode = image.size, image.mode
            orientation = image.getexif().get(ORIENTATION, UPRIGHT)
    except FileNotFoundError as error:
        raise InputError(f"there is no image {file}", "check the path") from error
    except Exception as error:  # the readers of Pillow raise many kinds
        raise InputError(f"{file} cannot be read as an image", UNREADABLE_FIX) from error
    size = file.stat().st_size
    if width * height > unpack_factor() * max(MOST_PIXELS, PIXELS_PER_BYTE * size):
        problem = f"{file} is {width}x{height} but only {size} bytes long"
        raise InputError(problem, UNPACK_FIX)
    return width, height, orientation, mode


def without_links(paths: Iterable[Path]) -> list[str]:
    """Return paths whose folders are resolved; links to single images are kept."""
    folders: dict[Path, Path] = {}
    for path in (paths := list(paths)):
        if path.parent not in folders:
            folders[path.parent] = path.parent.resolve()
    return [str(folders[path.parent] / path.name) for path in paths]
