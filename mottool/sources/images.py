"""Still images: list those of a folder in natural order, read and write their pixels."""

import re
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mottool.errors import InputError
from mottool.files import atomic_write

__all__ = [
    "image_size",
    "images_in",
    "is_image",
    "is_numbered",
    "natural_key",
    "read_image",
    "read_mask",
    "write_image",
]

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
ORIENTATION = 0x0112  # the EXIF tag
TRANSPOSED = frozenset({5, 6, 7, 8})  # its values that swap width and height
UNREADABLE_FIX = "replace or remove it"


def is_image(path: Path | str) -> bool:
    """Return whether a file name is that of an image; hidden files are excluded."""
    path = Path(path)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


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


def is_numbered(files: list[Path]) -> bool:
    """Return whether images are named as frames: at least two, the same text before a number."""
    names = [re.fullmatch("(.*?)([0-9]+)", file.stem) for file in files]
    return len(files) > 1 and len({name and name[1] for name in names}) == 1 and None not in names


def read_image(file: Path, upright: bool = True) -> npt.NDArray[np.uint8]:
    """Read an image as BGR (H, W, 3), rotated by its EXIF tag if `upright`.

    Raises `InputError` if the file is not an image.
    """
    flags = cv2.IMREAD_COLOR if upright else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.fromfile(file, np.uint8), flags)
    except (cv2.error, OSError):
        image = None
    if image is None:
        raise InputError(f"{file} cannot be read as an image", UNREADABLE_FIX)
    return np.asarray(image, np.uint8)


def read_mask(file: Path) -> npt.NDArray[np.uint8]:
    """Read an image of instance numbers (H, W): palette indices or grey values.

    Raises `InputError` if the file is not such an image.
    """
    from PIL import Image, UnidentifiedImageError

    fix = "give an 8-bit image with one channel, whose values number the instances"
    try:
        with Image.open(file) as image:
            values = np.asarray(image)
    except (OSError, UnidentifiedImageError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{file} cannot be read as a mask", fix) from error
    if values.ndim != 2 or values.dtype != np.uint8:
        raise InputError(f"{file} is not a mask", fix)
    return values


def write_image(file: Path, image: npt.NDArray[np.uint8]) -> None:
    """Write a BGR image (H, W, 3) atomically, in the format of the file's suffix."""
    with atomic_write(file) as temporary:
        temporary.write_bytes(cv2.imencode(file.suffix, image)[1].tobytes())


def image_size(file: Path, upright: bool = True) -> tuple[int, int]:
    """Return width and height in pixels, as `read_image` gives them, from the header alone."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            width, height = image.size
            transposed = upright and image.getexif().get(ORIENTATION) in TRANSPOSED
    except FileNotFoundError as error:
        raise InputError(f"there is no image {file}", "check the path") from error
    except (OSError, UnidentifiedImageError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{file} cannot be read as an image", UNREADABLE_FIX) from error
    return (height, width) if transposed else (width, height)
