"""Parse what dataset formats share: label files, relative boxes, image paths, class names."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.errors import InputError

__all__ = [
    "find_folder",
    "first_line",
    "label_file",
    "person_class",
    "read_label_rows",
    "read_text",
    "xyxy_from_relative",
]

Floats = npt.NDArray[np.floating[Any]]

# A box may extend past the image, but not by this many times its side: those are pixels.
MAX_FRACTION = 4.0
HEAD_BYTES = 65536  # read to identify a format


# The last one is the spelling of CenterTrack's converter of MOTChallenge.
PERSON_NAMES = ("person", "pedestrian", "people", "human", "pedestrain")


def read_text(path: Path, kind: str) -> str:
    """Read a text file. Raises `InputError`, which calls it a `kind`, if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"there is no {kind} {path}", "check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a readable {kind}", "give a text file") from error


def first_line(path: Path) -> str:
    """Return the first line of a file that is not blank, stripped; "" if the file is not text."""
    try:
        with path.open("rb") as file:
            lines = file.read(HEAD_BYTES).decode("utf-8-sig", errors="strict").splitlines()
    except UnicodeDecodeError as error:
        # The last character may be cut in two; an error anywhere else means that it is not text.
        lines = [] if error.start < HEAD_BYTES - 4 else [error.object[: error.start].decode()]
    except OSError:
        return ""
    return next((line.strip() for line in lines if line.strip()), "")


def read_label_rows(path: Path, columns: str, integer: str = "") -> Floats:
    """Read the rows of a label file, (n, c) float64; `columns` holds the names of its c columns.

    The last four columns are fractions of the image's sides. Blank lines are skipped; a missing
    file has no rows. Raises `InputError` with the line that has another number of columns, or holds
    a value that is not finite, not a fraction, or not an integer in the column `integer`.
    """
    names = columns.split()
    integer_column = names.index(integer) if integer else None
    rows = []
    lines = read_text(path, "label file").splitlines() if path.exists() else []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        fix = f"write {columns!r} on every line"
        if len(words) != len(names):
            raise InputError(f"{path} line {number} has {len(words)} columns", fix)
        try:
            row = [float(word) for word in words]
        except ValueError:
            problem = f"{path} line {number}: {line.strip()[:60]!r} is not {len(names)} numbers"
            raise InputError(problem, fix) from None
        if not np.isfinite(row).all():
            raise InputError(f"{path} line {number} contains NaN or infinity", fix)
        largest = max(row[-4:], key=abs)
        if abs(largest) > MAX_FRACTION:
            problem = f"{path} line {number} has {largest:g} as a fraction"
            raise InputError(problem, "divide pixels by the width or height of the image")
        if integer_column is not None and row[integer_column] % 1:
            text = words[integer_column]
            problem = f"{path} line {number}: {integer} {text} is not an integer"
            raise InputError(problem, "give its number, or -1")
        rows.append(row)
    return np.array(rows, np.float64).reshape(-1, len(names))


def xyxy_from_relative(boxes: Floats, size: tuple[int, int]) -> Floats:
    """Convert boxes (n, 4) from centre x y, width, height, in fractions of `size`, to x1 y1 x2 y2.

    The result is in pixels.
    """
    centre, half = boxes[:, :2], boxes[:, 2:] / 2  # (n, 2)
    pixels: Floats = np.hstack([centre - half, centre + half]) * [*size, *size]  # (n, 4)
    return pixels


def find_folder(name: str, folders: Iterable[Path], source: Path) -> Path:
    """Return the first of some folders that contains the file `name`, which `source` mentions.

    Raises `InputError` if none does.
    """
    folders = list(folders)
    for folder in folders:
        if (folder / name).is_file():
            return folder
    searched = ", ".join(dict.fromkeys(map(str, folders)))
    problem = f"{source} names {name}, which is in none of {searched}"
    raise InputError(problem, "move the images there, or give their folder with --root")


def label_file(base: Path, image: str, labels: str) -> Path | None:
    """Return the label file of an image, whose path `image` is relative to `base`.

    The last folder called `images` is replaced by `labels`; None if there is no such folder.
    """
    parts = list(Path(image).with_suffix(".txt").parts)
    indices = [index for index, part in enumerate(parts[:-1]) if part == "images"]
    if not indices:
        return None
    parts[indices[-1]] = labels
    return base.joinpath(*parts)


def person_class(names: Mapping[int, str], source: Path) -> int:
    """Return the number of the class of people by its name.

    Raises `InputError`, which lists the names, if there is no such class.
    """
    plain = {number: name.strip().strip("'\"").strip().lower() for number, name in names.items()}
    for person in PERSON_NAMES:
        for number, name in plain.items():
            if name == person:
                return number
    listed = ", ".join(list(plain.values())[:8]) or "nothing"
    problem = f"{source} has no class of people among {listed}"
    raise InputError(problem, f"call one of them {PERSON_NAMES[0]} or {PERSON_NAMES[1]}")
