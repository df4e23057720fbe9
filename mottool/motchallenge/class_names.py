"""Names of classes: MOTChallenge's numbers of them, and those that a `labels.txt` numbers.

CVAT and Datumaro write `labels.txt` beside `gt.txt`: line k names class k.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mottool.errors import InputError, did_you_mean
from mottool.motchallenge.rows import Rows, read_rows
from mottool.motchallenge.rules import CLASS_COLUMNS, CLASS_FILE, CLASS_NAMES, PEDESTRIAN

__all__ = [
    "class_column",
    "class_key",
    "class_number",
    "number_classes",
    "read_named_rows",
    "select_classes",
    "with_class_numbers",
]

PEDESTRIANS = ("person", "people", "human", "pedestrain")  # the last is CenterTrack's spelling


def class_column(rows: Rows) -> npt.NDArray[np.float64]:
    """Return the classes (n,) in column 8 of results or detections.

    It is empty if all are 0 or all are 1, which is people, or if the column has other numbers.
    """
    values = rows.rest[:, 1] if rows.rest.shape[1] > 1 else np.zeros(0)
    whole = bool((values >= 0).all() and (values % 1 == 0).all())
    others = len(np.unique(values)) > 1 or values.max(initial=0) > PEDESTRIAN
    return values if whole and others else np.zeros(0)


def class_key(name: str) -> str:
    """Return the name of a class in lower case, with spaces for hyphens and underscores."""
    return " ".join(name.strip().strip("'\"").lower().replace("-", " ").replace("_", " ").split())


def class_number(label: str) -> int | None:
    """Return the number that MOTChallenge gives a class, or None for other classes."""
    plain = class_key(label)
    if plain in PEDESTRIANS:
        return PEDESTRIAN
    return CLASS_NAMES.index(plain) + 1 if plain in CLASS_NAMES else None


def number_classes(labels: Iterable[str]) -> tuple[list[int], tuple[str, ...]]:
    """Return the number of each class label, and the classes that MOTChallenge does not have.

    The latter are numbered from 14 on, in the order in which they occur.
    """
    extra: dict[str, int] = {}
    numbers = [
        class_number(label) or extra.setdefault(label, len(CLASS_NAMES) + len(extra) + 1)
        for label in labels
    ]
    return numbers, tuple(extra)


def with_class_numbers(rows: Rows, labels_text: str, source: Path) -> tuple[Rows, tuple[str, ...]]:
    """Replace classes, which are lines of `labels_text`, by numbers as `number_classes` gives them.

    Returns the rows and the classes that MOTChallenge does not have. Raises `InputError` for a row
    whose class has no name.
    """
    labels = [line.strip() for line in labels_text.splitlines() if line.strip()]
    classes = rows.rest[:, 1].astype(np.int64)
    if len(classes) and not 1 <= classes.min() <= classes.max() <= len(labels):
        unnamed = classes[(classes < 1) | (classes > len(labels))][0]
        problem = f"{source} has a box of class {unnamed}, but names {len(labels)} classes"
        raise InputError(problem, f"add it to gt/{CLASS_FILE}, one name per line")
    numbers, extra = number_classes(labels)
    rest = rows.rest.copy()
    rest[:, 1] = np.array([0, *numbers])[classes]
    return replace(rows, rest=rest), extra


def read_named_rows(path: Path) -> tuple[Rows, tuple[str, ...]]:
    """Read ground truth with the class names of a `labels.txt` beside it, if there is one.

    Returns the rows and the classes that MOTChallenge does not have, as `number_classes`.
    """
    rows, labels = read_rows(path, "ground truth"), path.parent / CLASS_FILE
    if rows.rest.shape[1] not in CLASS_COLUMNS or not labels.is_file():
        return rows, ()
    try:
        text = labels.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{labels} cannot be read", "write the name of a class a line") from error
    return with_class_numbers(rows, text, path)


def select_classes(rows: Rows, names: Sequence[str], known: Sequence[str], path: Path) -> Rows:
    """Select the rows of some of the `known` classes, and score them as pedestrians.

    Raises `InputError`, which names `path`, for rows without classes and for another class.
    """
    if rows.rest.shape[1] not in CLASS_COLUMNS:
        fix = "leave the classes out, or put their numbers in column 8"
        raise InputError(f"{path} has no classes", fix)
    keys = [class_key(name) for name in known]
    numbers = []
    for name in map(class_key, names):
        number = class_number(name) or (keys.index(name) + 1 if name in keys else None)
        if number is None:
            raise InputError(f"{path}: there is no class {name!r}", did_you_mean(name, keys))
        numbers.append(number)
    if numbers == [PEDESTRIAN]:
        return rows
    rows = rows.select(np.isin(rows.rest[:, 1], numbers))
    rest = rows.rest.copy()
    rest[rest[:, 1] != PEDESTRIAN, 0] = 1  # the benchmarks flag other classes with 0
    rest[:, 1] = PEDESTRIAN
    return replace(rows, rest=rest)
