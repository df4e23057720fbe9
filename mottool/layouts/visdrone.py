"""VisDrone-MOT: `annotations/SEQUENCE.txt`, with the images in `sequences/SEQUENCE/0000001.jpg`.

Zhu et al., "Detection and tracking meet drones challenge", TPAMI 2021; the README of the toolkit
of VisDrone2018-MOT. A row is frame, identity, left, top, width, height, score (0: not scored),
category, truncation, occlusion, separated by commas. Categories 0 (ignored regions) and 11 (others)
are regions in which results are not scored.
"""

from operator import contains
from pathlib import Path

from mottool.errors import InputError
from mottool.layouts.labels import Labels, read_lines, to_float
from mottool.layouts.registry import LAYOUTS

__all__ = ["find", "image_folders", "images_of", "labels_of", "read", "recognises"]

LABELS, IMAGES = "annotations", "sequences"
CLASSES = LAYOUTS["visdrone"].classes
REGIONS = (0, 11)
COLUMNS = 10
START = 1 << 14  # characters by which rows are recognised
VISIBLE = (1.0, 0.75, 0.25)  # about the middle of the ranges of occlusion 0, 1 and 2
FIX = "write frame, id, left, top, width, height, score, category, truncation, occlusion"


def recognises(file: Path) -> bool:
    """Return whether a file is in a folder of such labels, or begins with such rows."""
    if file.suffix != ".txt" or not file.is_file():
        return False
    return file.resolve().parent.name == LABELS or _begins_with_rows(file)


def _begins_with_rows(file: Path) -> bool:
    """Return whether the last three columns are a category, a truncation and an occlusion."""
    try:
        with file.open(encoding="utf-8-sig") as text:
            categories = {_category(line) for line in text.read(START).splitlines()[:-1]}
    except (OSError, ValueError):  # also of text that is not UTF-8
        return False
    return len(categories) > 1


def _category(line: str) -> float:
    """Return the category of a row; raise `ValueError` if it is none of VisDrone's."""
    row = [float(cell) for cell in line.split(",")]
    allowed = range(2), range(len(CLASSES)), range(2), range(3)
    if len(row) != COLUMNS or not all(map(contains, allowed, row[6:])):
        raise ValueError(line)
    return row[7]


def find(path: Path) -> list[Path]:
    """Return the label files of a folder that holds `annotations`, or is one.

    Without `sequences` beside it, a file must begin with rows of several categories.
    """
    for folder in (path.resolve(), path / LABELS, *sorted(path.glob(f"*/{LABELS}"))):
        files = sorted(folder.glob("*.txt")) if folder.name == LABELS else []
        if files and ((folder.parent / IMAGES).is_dir() or any(map(_begins_with_rows, files))):
            return files
    return []


def image_folders(path: Path) -> list[Path]:
    """Return the folders of images of a split."""
    folders = sorted(folder for folder in path.glob(f"{IMAGES}/*") if folder.is_dir())
    return folders if (path / LABELS).is_dir() else []


def images_of(labels: Path) -> Path:
    """Return the folder of a sequence's images."""
    return labels.parent.parent / IMAGES / labels.stem


def labels_of(images: Path) -> Path | None:
    """Return the label file of a folder of images; None if it is in another layout."""
    folder = images.parent
    return folder.parent / LABELS / f"{images.name}.txt" if folder.name == IMAGES else None


def read(file: Path) -> Labels:
    """Read a label file; raise `InputError` with the line that is malformed."""
    table, numbers, ignored = [], [], []
    for number, words in read_lines(file, "VisDrone's labels"):
        if len(words) != COLUMNS:
            raise InputError(f"{file} line {number} has {len(words)} columns", FIX)
        *row, score, category, _, occlusion = to_float(file, number, words, FIX)
        if category not in range(len(CLASSES)) or row[0] < 1 or row[0] % 1 or row[1] % 1:
            raise InputError(f"{file} line {number} has a wrong frame, id or category", FIX)
        visibility = VISIBLE[int(occlusion)] if occlusion in range(3) else 1.0
        table.append([*row, visibility])
        numbers.append(int(category))
        ignored.append(score == 0)
    regions = [number in REGIONS for number in numbers]
    return Labels.of(table, [CLASSES[number] for number in numbers], ignored, regions)
