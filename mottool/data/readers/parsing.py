"""Parse what dataset formats share: lines of numbers, relative boxes, image paths, classes."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.errors import InputError

__all__ = [
    "beside",
    "corners",
    "first_line",
    "folder_of",
    "person_class",
    "read_numbers",
    "read_text",
]

Floats = npt.NDArray[np.floating[Any]]

# A person may reach out of the image, but not this many times its side: that would be pixels.
MOST = 4.0
GLANCE = 65536  # bytes that tell a format


# The last is how CenterTrack's converter of MOTChallenge spells it.
PEOPLE = ("person", "pedestrian", "people", "human", "pedestrain")


def read_text(path: Path, what: str) -> str:
    """A text file; an `InputError` if it cannot be read, `what` naming its kind."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"there is no {what} {path}", "check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a readable {what}", "give a text file") from error


def first_line(path: Path) -> str:
    """The beginning of a file's first line with something on it, empty if it is no text."""
    try:
        with path.open("rb") as file:
            lines = file.read(GLANCE).decode("utf-8-sig", errors="strict").splitlines()
    except UnicodeDecodeError as error:
        # The glance may have cut a character in two; anything else is no text.
        lines = [] if error.start < GLANCE - 4 else [error.object[: error.start].decode()]
    except OSError:
        return ""
    return next((line.strip() for line in lines if line.strip()), "")


def read_numbers(path: Path, row: str, whole: str = "") -> Floats:
    """The lines of a label file, (n, columns) float64, where `row` names the columns.

    Blank lines are passed over; a file that is not there has no lines. An `InputError` names the
    line that has another number of columns, or holds no finite number, no fraction, or no whole
    number in the column `whole`.
    """
    columns = len(row.split())
    counted = row.split().index(whole) if whole else None
    table = []
    lines = read_text(path, "label file").splitlines() if path.exists() else []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        fix = f"write {row!r} on every line"
        if len(words) != columns:
            raise InputError(f"{path} line {number} has {len(words)} columns", fix)
        try:
            table.append([float(word) for word in words])
        except ValueError:
            problem = f"{path} line {number}: {line.strip()[:60]!r} is not {columns} numbers"
            raise InputError(problem, fix) from None
        if not np.isfinite(table[-1]).all():
            raise InputError(f"{path} line {number} holds NaN or infinity", fix)
        most = max(table[-1][-4:], key=abs)
        if abs(most) > MOST:
            problem = f"{path} line {number} holds {most:g} as a fraction"
            raise InputError(problem, "divide pixels by the width or height of the image")
        if counted is not None and table[-1][counted] % 1:
            problem = f"{path} line {number}: {whole} {words[counted]} is no whole number"
            raise InputError(problem, "give its number, or -1")
    return np.array(table, np.float64).reshape(-1, columns)


def corners(fractions: Floats, size: tuple[int, int]) -> Floats:
    """Boxes x1 y1 x2 y2 in pixels of centre x y, width, height in fractions of `size`, (n, 4)."""
    centre, half = fractions[:, :2], fractions[:, 2:] / 2  # (n, 2)
    pixels: Floats = np.hstack([centre - half, centre + half]) * [*size, *size]  # (n, 4)
    return pixels


def folder_of(name: str, folders: Iterable[Path], of: Path) -> Path:
    """The first of some folders that holds the file `name`; else an `InputError` about `of`."""
    places = list(folders)
    for folder in places:
        if (folder / name).is_file():
            return folder
    where = ", ".join(dict.fromkeys(map(str, places)))
    raise InputError(f"{of} names {name}, which is in none of {where}", "put the images there")


def beside(base: Path, image: str, labels: str) -> Path | None:
    """The label file of an image, named below `base`: its folder `images` swapped for `labels`.

    The last folder of that name counts. None if there is none.
    """
    parts = list(Path(image).with_suffix(".txt").parts)
    places = [place for place, part in enumerate(parts[:-1]) if part == "images"]
    if not places:
        return None
    parts[places[-1]] = labels
    return base.joinpath(*parts)


def person_class(names: Mapping[int, str], source: Path) -> int:
    """The class whose name means people; an `InputError` that lists the names if there is none."""
    plain = {number: name.strip().strip("'\"").strip().lower() for number, name in names.items()}
    for word in PEOPLE:
        for number, name in plain.items():
            if name == word:
                return number
    told = ", ".join(list(plain.values())[:8]) or "nothing"
    problem = f"{source} has no class of people among {told}"
    raise InputError(problem, f"name one of them {PEOPLE[0]} or {PEOPLE[1]}")
