"""Penn-Fudan: a folder with `PNGImages/` and one text per image in `Annotation/`.

Masks, if there are any, are `PedMasks/NAME_mask.png`: the pixels of the box numbered i are i.

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

BOX = re.compile(r"Bounding box for object \d+ .*:\s*\((.+?)\)\s*-\s*\((.+?)\)\s*$")


def recognises(path: Path) -> bool:
    """Whether `path` is a folder of this form."""
    return (path / "PNGImages").is_dir() and (path / "Annotation").is_dir()


def read(path: Path, warn: Callable[[str], None], root: Path | None = None) -> Dataset:
    """Every image of the folder, with its mask; nobody has an identity. `root` is not needed."""
    collector = DatasetBuilder(path.resolve().name)
    for image in images_in(path / "PNGImages"):
        boxes = _boxes(path / "Annotation" / f"{image.stem}.txt")
        mask = path / "PedMasks" / f"{image.stem}_mask.png"
        collector.add(image, image_size(image), boxes, mask=mask if mask.is_file() else None)
    return collector.dataset(warn)


def _boxes(file: Path) -> list[list[int]]:
    """The boxes x1 y1 x2 y2 of one annotation, whose pixels count from 1 and are inclusive."""
    boxes = []
    for number, line in enumerate(read_text(file, "annotation").splitlines(), 1):
        if not line.startswith("Bounding box"):
            continue
        found = BOX.match(line)
        try:
            left, top, right, bottom = map(
                int, ",".join(found.groups() if found else ()).split(",")
            )
        except ValueError:
            problem = f"{file} line {number} is no bounding box: {line[:60]!r}"
            raise InputError(
                problem, "write (Xmin, Ymin) - (Xmax, Ymax) : (1, 2) - (3, 4)"
            ) from None
        boxes.append([left - 1, top - 1, right, bottom])
    return boxes
