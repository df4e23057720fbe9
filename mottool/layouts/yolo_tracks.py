"""Ultralytics' labels with identities, one text file per frame.

A row is class, centre x y, width, height, as fractions of the image, perhaps the score, and the
identity (`yolo track save_txt=True`, with `save_conf=True` for the score). Detections without a
track have no identity, and are left out. A run on videos writes
`labels/VIDEO_FRAME.txt`, where frames count from 1; a `seqinfo.ini` beside `labels` gives the size
of the images. In a dataset, `labels/SEQUENCE/000001.txt` belongs to `images/SEQUENCE/000001.jpg`. A
`.yaml` or `classes.txt` beside `labels` names the classes; without it class 0 is person.

The labels of a sequence are named by a pattern: `labels/VIDEO_*.txt` or `labels/SEQUENCE/*.txt`.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mottool.errors import InputError, from_os_error
from mottool.files import IMAGE_SUFFIXES
from mottool.layouts.labels import Labels, read_lines, to_float
from mottool.motchallenge.seqinfo import read_seqinfo

__all__ = [
    "class_files",
    "class_names",
    "find",
    "image_folders",
    "images_of",
    "labels_of",
    "name_of",
    "read",
    "recognises",
]

LABELS, IMAGES = "labels", "images"
NAMED = re.compile(r"(.+)_(\d+)")
ANY = "*.txt"
CLASSES = "classes.txt"
TRUTH_COLUMNS, RESULT_COLUMNS = 6, 7
FEW = 50  # files by which labels are recognised
LARGEST = 2.0  # fraction of the image; boxes of people who are cut off extend past it
FIX = "write class, x, y, width, height, perhaps the score, and the identity on every line"


def recognises(path: Path) -> bool:
    """Return whether a path is a pattern of such labels."""
    return path.name.endswith(ANY)


def find(path: Path) -> list[Path]:
    """Return the patterns of the sequences in a folder: of `labels`, or of one below."""
    folders = [path, path / LABELS, *path.glob(f"*/{LABELS}")]
    folders += [folder for depth in ("*", "*/*") for folder in path.glob(f"{LABELS}/{depth}")]
    if path.resolve().name == LABELS or LABELS in path.resolve().parts[:-1]:
        folders += path.glob("*")
    return [pattern for folder in sorted(set(folders)) for pattern in _patterns(folder)]


def _patterns(folder: Path) -> Iterator[Path]:
    """Yield the patterns of the sequences whose labels are directly in a folder."""
    files = _files(folder / ANY) if folder.is_dir() else []
    sample = [*files[:FEW], *files[:: 1 + len(files) // FEW]]
    if not any(map(_has_identities, sample)):
        return
    if _images(images_of(folder / ANY)):
        yield folder / ANY
        return
    matches = [NAMED.fullmatch(file.stem) for file in files]
    for stem in sorted({match[1] for match in matches if match}):
        yield folder / f"{stem}_{ANY}"


def _files(pattern: Path) -> list[Path]:
    """Return the label files of a sequence in the order of their numbers."""
    stem = pattern.name.removesuffix(ANY)
    files = [file for file in pattern.parent.glob(ANY) if file.name != CLASSES]
    if stem:
        files = [file for file in files if re.fullmatch(re.escape(stem) + r"\d+", file.stem)]
    return sorted(files, key=lambda file: (_number(file), file.name))


def _number(file: Path) -> int:
    digits = re.search(r"\d+$", file.stem)
    return int(digits[0]) if digits else 0


def _has_identities(file: Path) -> bool:
    """Return whether the first row of a file ends with an identity; a score may precede it.

    Rows of MOTChallenge, which may be separated by spaces too, have pixels instead of fractions.
    """
    try:
        words = file.read_text(encoding="utf-8").partition("\n")[0].split()
        fractions = all(abs(float(word)) <= LARGEST for word in words[1:5])
    except (OSError, ValueError):  # also of text that is not UTF-8
        return False
    identified = len(words) == RESULT_COLUMNS or (
        len(words) == TRUTH_COLUMNS and words[5].isdecimal()
    )
    return identified and fractions


def name_of(pattern: Path) -> str:
    """Return the name of the sequence of a pattern."""
    folder = pattern.resolve().parent
    folder = folder.parent if folder.name == LABELS else folder
    return pattern.name.removesuffix(f"_{ANY}").removesuffix(ANY) or folder.name


def image_folders(path: Path) -> list[Path]:
    """Return no folders: images are found as in any folder."""
    return []


def images_of(pattern: Path) -> Path:
    """Return the folder of a sequence's images: `labels` in its path is replaced by `images`."""
    parts = list(pattern.resolve().parent.parts)
    for index in reversed(range(len(parts))):
        if parts[index] == LABELS:
            parts[index] = IMAGES
            break
    return Path(*parts)


def labels_of(images: Path) -> Path | None:
    """Return the pattern of the labels of a folder of images; None if it has none."""
    parts = list(images.resolve().parts)
    for index in reversed(range(len(parts))):
        if parts[index] == IMAGES:
            folder = Path(*parts[:index], LABELS, *parts[index + 1 :])
            return next(_patterns(folder), None)
    return None


def _images(folder: Path) -> list[Path]:
    """Return the images of a folder in the order of their numbers."""
    if folder.name == LABELS or not folder.is_dir():
        return []
    images = [file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES]
    return sorted(images, key=lambda file: (_number(file), file.name))


def read(pattern: Path) -> Labels:
    """Read the label files of a sequence; raise `InputError` with the line that is malformed."""
    images, files = _images(images_of(pattern)), _files(pattern)
    names = class_names(_top(pattern))[0]
    width, height = _size(pattern, images)
    frames = {image.stem: number for number, image in enumerate(images, 1)}
    offset = 1 if files and _number(files[0]) == 0 else 0
    lines = [
        (file, number, words)
        for file in files
        for number, words in read_lines(file, "Ultralytics' labels")
    ]
    scored = any(len(words) == RESULT_COLUMNS for _, _, words in lines)
    columns = RESULT_COLUMNS if scored else TRUTH_COLUMNS
    table, classes, untracked = [], [], 0
    for file, number, words in lines:
        frame = frames.get(file.stem) if images else _number(file) + offset
        if frame is None:
            fix = f"remove it, or add {file.stem}.jpg to {images_of(pattern)}"
            raise InputError(f"{file} has no image", fix)
        if _is_untracked(words, columns):
            untracked += 1
            continue
        if len(words) != columns:
            raise InputError(f"{file} line {number} has {len(words)} columns", FIX)
        category, x, y, w, h, *more = to_float(file, number, words, FIX)
        if category % 1 or more[-1] % 1:
            raise InputError(f"{file} line {number}: class or id is not an integer", FIX)
        if max(map(abs, (x, y, w, h))) > LARGEST:
            raise InputError(f"{file} line {number} has no fractions of the image", FIX)
        box = [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]
        table.append([frame, more[-1], *box, more[0] if scored else 1.0])
        classes.append(names.get(int(category), _default_name(int(category))))
    none = [False] * len(table)
    labels = Labels.of(table, classes, none, none, length=len(images) or None, scored=scored)
    return replace(labels, untracked=untracked)


def _is_untracked(words: list[str], columns: int) -> bool:
    """Return whether a row is a detection without a track, which lacks the last of the columns."""
    ends_with_identity = columns == RESULT_COLUMNS and words[-1].isdecimal() and int(words[-1]) > 1
    return len(words) == columns - 1 and not ends_with_identity


def _default_name(number: int) -> str:
    return "person" if number == 0 else str(number)


def _top(pattern: Path) -> Path:
    """Return the folder that contains `labels`."""
    folder = pattern.resolve().parent
    tops = (parent.parent for parent in (folder, *folder.parents) if parent.name == LABELS)
    return next(tops, folder)


def _size(pattern: Path, images: list[Path]) -> tuple[int, int]:
    """Return the width and height of the images. Raises `InputError` if they are unknown."""
    if images:
        from PIL import Image

        try:
            with Image.open(images[0]) as image:
                return image.size
        except Exception as error:  # the readers of Pillow raise many kinds
            raise InputError(f"{images[0]} cannot be read as an image", "replace it") from error
    for folder in (pattern.parent, _top(pattern)):
        if (folder / "seqinfo.ini").is_file():
            info = read_seqinfo(folder / "seqinfo.ini")
            if info.width and info.height:
                return info.width, info.height
    problem = f"{pattern} has fractions of the image, whose size is unknown"
    fix = "write imWidth and imHeight in [Sequence] of a seqinfo.ini"
    raise InputError(problem, f"{fix} in {_top(pattern)}, or add the images in its images/")


def class_files(pattern: Path) -> list[Path]:
    """Return the files that may name the classes of the labels of a pattern."""
    return _class_files(_top(pattern))


def _class_files(top: Path) -> list[Path]:
    files = (*sorted(top.glob("*.y*ml")), top / CLASSES, top / LABELS / CLASSES)
    return [file for file in files if file.is_file()]


def class_names(top: Path) -> tuple[dict[int, str], Path]:
    """Return the classes by number that a file in a folder names, and the file; {} for none.

    The file is a `.yaml` with `names`, or `classes.txt` with one name per line. Raises `InputError`
    for a file that cannot be read.
    """
    for file in _class_files(top):
        try:
            text = file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            problem = f"{file} is not a readable list of classes"
            raise InputError(problem, "give a text file") from error
        except OSError as error:
            raise from_os_error(error) from error
        names = dict(enumerate(text.split("\n"))) if file.suffix == ".txt" else _names(file, text)
        if names:
            return names, file
    return {}, top


def _names(file: Path, text: str) -> dict[int, str]:
    """Return the classes under `names` of a YAML file, a list or a mapping; {} if it has none."""
    import yaml  # which takes longer than to look for such labels

    try:
        document: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file} is not YAML: {reason}", "correct it, or remove it") from error
    names = document.get("names") if isinstance(document, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict):
        return {}
    try:
        return {int(number): str(name) for number, name in names.items()}
    except (TypeError, ValueError) as error:
        fix = "write NUMBER: NAME for each class, or a list of names"
        raise InputError(f"{file} does not number its classes", fix) from error
