"""Penn-Fudan: a folder with `PNGImages/` and one text file per image in `Annotation/`.

Masks, if present, are `PedMasks/NAME_mask.png`: the pixels of the box numbered i have the value i.

Wang, Shi, Song & Shen, "Object detection combining recognition and segmentation", ACCV 2007.
"""

import re
from collections.abc import Callable
from pathlib import Path

from mottool.data.dataset import Dataset, DatasetBuilder
from mottool.data.readers.parsing import read_text
from mottool.errors import InputError
from mottool.sources.images import image_size, images_in

__all__ = ["read", "recognises"]

BOX = re.compile(
    r"Bounding box for object \d+ .*:\s*\(\s*(-?\d+)\s*,\s*(-?\d+)\s*\)"
    r"\s*-\s*\(\s*(-?\d+)\s*,\s*(-?\d+)\s*\)\s*$"
)


def recognises(path: Path) -> bool:
    """Return whether `path` is a folder in this format."""
    return (path / "PNGImages").is_dir() and (path / "Annotation").is_dir()


def read(path: Path, warn: Callable[[str], None], root: Path | None = None) -> Dataset:
    """Read every image of the folder, with its mask and without identities. `root` is not used."""
    builder = DatasetBuilder(path.resolve().name)
    for image in images_in(path / "PNGImages"):
        boxes = _boxes(path / "Annotation" / f"{image.stem}.txt")
        mask = path / "PedMasks" / f"{image.stem}_mask.png"
        builder.add(image, image_size(image), boxes, mask=mask if mask.is_file() else None)
    return builder.dataset(warn)


def _boxes(file: Path) -> list[list[int]]:
    """Read the boxes x1 y1 x2 y2 of an annotation, whose pixels count from 1 and are inclusive."""
    boxes = []
    for number, line in enumerate(read_text(file, "annotation").splitlines(), 1):
        if not line.startswith("Bounding box"):
            continue
        match = BOX.match(line)
        if not match:
            problem = f"{file} line {number} is not a bounding box: {line[:60]!r}"
            raise InputError(problem, "write (Xmin, Ymin) - (Xmax, Ymax) : (1, 2) - (3, 4)")
        x1, y1, x2, y2 = map(int, match.groups())
        boxes.append([x1 - 1, y1 - 1, x2, y2])
    return boxes
