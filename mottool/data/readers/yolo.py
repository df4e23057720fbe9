"""YOLO: folders `images` and `labels` with the same structure, one text file per image.

A line of a label file is class, centre x y, width and height, the last four as fractions of the
image (Ultralytics' detection format). A `.yaml` or `classes.txt` beside them names the classes.
"""

from collections.abc import Callable
from pathlib import Path

from mottool.data.dataset import Dataset, DatasetBuilder
from mottool.data.readers.parsing import (
    label_file,
    person_class,
    read_label_rows,
    xyxy_from_relative,
)
from mottool.layouts.yolo_tracks import class_names
from mottool.sources.images import image_size, is_image, natural_key

__all__ = ["read", "recognises"]

COLUMNS = "class x y width height"


def recognises(path: Path) -> bool:
    """Return whether `path` contains `images` and `labels`, or is inside such an `images`."""
    if not path.is_dir():
        return False
    top = _top(path.resolve())
    return top is not None and (top / "labels").is_dir() and (top / "images").is_dir()


def read(path: Path, warn: Callable[[str], None], root: Path | None = None) -> Dataset:
    """Read the boxes of people, without identities. `root` is not used.

    An image without a label file counts as empty; `warn` receives the number of such images.
    """
    path = path.resolve()
    top = _top(path) or path
    person = _person(top)
    images = sorted(
        filter(is_image, (path if path != top else top / "images").rglob("*")), key=natural_key
    )
    builder, unlabelled = DatasetBuilder(path.name), 0
    for image in images:
        file = label_file(top, str(image.relative_to(top)), "labels")
        if file is not None:
            rows, size = read_label_rows(file, COLUMNS), image_size(image)
            unlabelled += not file.exists()
            builder.add(image, size, xyxy_from_relative(rows[rows[:, 0] == person, 1:], size))
    if unlabelled:
        warn(f"{path}: {unlabelled} of {len(images)} images have no label file and count as empty")
    return builder.dataset(warn)


def _top(path: Path) -> Path | None:
    """Return the folder that contains `images`: `path`, or the one above the last such folder."""
    if (path / "images").is_dir():
        return path
    return next(
        (folder.parent for folder in (path, *path.parents) if folder.name == "images"), None
    )


def _person(top: Path) -> int:
    """Return the class of people; 0 if no file names the classes."""
    names, file = class_names(top)
    return person_class(names, file) if names else 0
