"""YOLO: a folder `images` and a folder `labels` of the same shape, one text per image.

A line of a text is class, centre x y, width and height, the last four as fractions of the image
(Ultralytics' detection form). A `.yaml` or `classes.txt` near by names the classes.
"""

import re
from collections.abc import Callable
from pathlib import Path

from mottool.data.dataset import Dataset, DatasetBuilder
from mottool.data.readers.parsing import beside, corners, person_class, read_numbers, read_text
from mottool.sources.images import image_size, is_image, natural

__all__ = ["read", "recognises"]

ROW = "class x y width height"
NAMES = re.compile(r"^names:[ \t]*(?:\[(?P<row>[^\]]*)\]|(?P<lines>(?:\n(?:[ \t]+|-).*)+))", re.M)


def recognises(path: Path) -> bool:
    """Whether `path` holds `images` and `labels`, or is a folder of such images itself."""
    if not path.is_dir():
        return False
    top = _top(path.resolve())
    return top is not None and (top / "labels").is_dir() and (top / "images").is_dir()


def read(path: Path, warn: Callable[[str], None], root: Path | None = None) -> Dataset:
    """The people of the folder's images; nobody has an identity. `root` is not needed.

    An image without a label file has nobody in it; `warn` is told how many there are.
    """
    path = path.resolve()
    top = _top(path) or path
    person = _person(top)
    images = sorted(
        filter(is_image, (path if path != top else top / "images").rglob("*")), key=natural
    )
    collector, bare = DatasetBuilder(path.name), 0
    for image in images:
        file = beside(top, str(image.relative_to(top)), "labels")
        if file is not None:
            table, size = read_numbers(file, ROW), image_size(image)
            bare += not file.exists()
            collector.add(image, size, corners(table[table[:, 0] == person, 1:], size))
    if bare:
        warn(f"{path}: {bare} of {len(images)} images have no label file and count as empty")
    return collector.dataset(warn)


def _top(path: Path) -> Path | None:
    """The folder that holds `images`: `path` itself, or the one above the last such folder."""
    if (path / "images").is_dir():
        return path
    return next(
        (folder.parent for folder in (path, *path.parents) if folder.name == "images"), None
    )


def _person(top: Path) -> int:
    """The class that is a person, 0 where no file names the classes."""
    files = [*sorted(top.glob("*.y*ml")), top / "classes.txt", top / "labels" / "classes.txt"]
    for file in filter(Path.is_file, files):
        text = read_text(file, "list of classes")
        names = dict(enumerate(text.split("\n"))) if file.suffix == ".txt" else _names(text)
        if names:
            return person_class(names, file)
    return 0


def _names(text: str) -> dict[int, str]:
    """The classes under `names:` of a YAML text, written as a row, as a list or as a mapping."""
    found = NAMES.search(text)
    if not found:
        return {}
    if found["row"] is not None:
        return dict(enumerate(found["row"].split(",")))
    lines = [line.strip().lstrip("- ") for line in found["lines"].split("\n") if line.strip()]
    pairs = [re.fullmatch(r"(\d+)\s*:\s*(.+)", line) for line in lines]
    if all(pairs):
        return {int(pair[1]): pair[2] for pair in pairs if pair}
    return dict(enumerate(lines))
