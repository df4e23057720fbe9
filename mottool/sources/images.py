"""Still images: which files in a folder are some, their natural order, their pixels."""

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
    "natural",
    "read_image",
    "read_mask",
    "write_image",
]

IMAGES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
ORIENTATION = 0x0112  # the EXIF tag
ON_ITS_SIDE = frozenset({5, 6, 7, 8})  # its values that swap width and height


def is_image(path: Path | str) -> bool:
    """Whether the name is that of an image; hidden files are none."""
    path = Path(path)
    return path.suffix.lower() in IMAGES and not path.name.startswith(".")


def natural(path: Path) -> tuple[list[str | int], str]:
    """A sorting key by which frame2 comes before frame10."""
    parts = re.split(r"([0-9]+)", str(path))
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], str(path)


def images_in(folder: Path) -> list[Path]:
    """The images in a folder in natural order; none if it is no folder."""
    if not folder.is_dir():
        return []
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder} cannot be listed", "make it readable") from error
    return sorted(filter(is_image, entries), key=natural)


def read_image(file: Path, upright: bool = True) -> npt.NDArray[np.uint8]:
    """An image as BGR (H, W, 3), `upright` as its EXIF tag asks; an `InputError` if it is none."""
    flags = cv2.IMREAD_COLOR if upright else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.fromfile(file, np.uint8), flags)
    except (cv2.error, OSError):
        image = None
    if image is None:
        raise InputError(f"{file} cannot be read as an image", "replace it or take it away")
    return np.asarray(image, np.uint8)


def read_mask(file: Path) -> npt.NDArray[np.uint8]:
    """Read an image of instance numbers (H, W): a palette's indices or grey values.

    Raises `InputError` if the file is no such image.
    """
    from PIL import Image, UnidentifiedImageError

    fix = "give an 8-bit image with one channel, whose values number the instances"
    try:
        with Image.open(file) as image:
            values = np.asarray(image)
    except (OSError, UnidentifiedImageError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{file} cannot be read as a mask", fix) from error
    if values.ndim != 2 or values.dtype != np.uint8:
        raise InputError(f"{file} is no mask", fix)
    return values


def write_image(file: Path, image: npt.NDArray[np.uint8]) -> None:
    """Write a BGR image (H, W, 3) in the form that the file's suffix names, whole or not at all."""
    with atomic_write(file) as part:
        part.write_bytes(cv2.imencode(file.suffix, image)[1].tobytes())


def image_size(file: Path, upright: bool = True) -> tuple[int, int]:
    """Width and height in pixels, as `read_image` would give them, from the file's header alone."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            width, height = image.size
            turned = upright and image.getexif().get(ORIENTATION) in ON_ITS_SIDE
    except FileNotFoundError as error:
        raise InputError(f"there is no image {file}", "check the path") from error
    except (OSError, UnidentifiedImageError, SyntaxError, Image.DecompressionBombError) as error:
        fix = "replace it or take it away"
        raise InputError(f"{file} cannot be read as an image", fix) from error
    return (height, width) if turned else (width, height)
