"""The labelled boxes of one sequence, and their conversion to MOTChallenge's ground truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.errors import InputError, did_you_mean, from_os_error
from mottool.motchallenge.class_names import class_key
from mottool.motchallenge.rows import Rows
from mottool.motchallenge.rules import DISTRACTOR, PEDESTRIAN, REGION

__all__ = ["Labels", "ground_truth", "read_lines", "to_float"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Labels:
    """The n labelled boxes of a sequence, in the classes of their benchmark.

    `rows` has frame from 1, identity, left, top, width and height in pixels, and in `rest` (n, 1)
    the visibility of labels, or the score of results if `scored`. `classes` (n,) are names as
    `class_key` writes them. `ignored` (n,) bool are objects that are not scored, `regions` (n,)
    bool are regions of objects without labels. `length` is the number of frames, if known.
    """

    rows: Rows
    classes: npt.NDArray[np.str_]
    ignored: Bools
    regions: Bools
    length: int | None = None
    scored: bool = False
    untracked: int = 0

    @classmethod
    def of(
        cls,
        table: Sequence[Sequence[float]],
        classes: Sequence[str],
        ignored: Sequence[bool],
        regions: Sequence[bool],
        length: int | None = None,
        scored: bool = False,
    ) -> "Labels":
        """Make labels from rows of frame, identity, left, top, width, height, visibility."""
        values = np.array(table, np.float64).reshape(-1, 7)
        frames, ids = values[:, 0].astype(np.int64), values[:, 1].astype(np.int64)
        rows = Rows(frames, ids, values[:, 2:6], values[:, 6:])
        names = np.array([class_key(name) for name in classes], np.str_)
        return cls(rows, names, np.array(ignored, bool), np.array(regions, bool), length, scored)


def ground_truth(
    labels: Labels, wanted: Sequence[str], similar: Sequence[str], known: Sequence[str]
) -> Rows:
    """Return the ground truth of the classes `wanted`, with the columns of MOT17.

    Boxes of these classes are pedestrians (class 1, flag 1). Ignored ones, and those of the classes
    `similar`, are distractors; regions are class 13, crowd. Other boxes are left out. Raises
    `InputError` for a class that is not one of the `known`.
    """
    names, present = [class_key(name) for name in wanted], [class_key(name) for name in known]
    for name in names:
        if name not in present:
            raise InputError(f"there is no class {name!r}", did_you_mean(name, present))
    of_class = np.isin(labels.classes, names)
    scored = of_class & ~labels.ignored & ~labels.regions
    distractors = (of_class & labels.ignored) | np.isin(labels.classes, [*map(class_key, similar)])
    numbers = np.where(scored, PEDESTRIAN, np.where(labels.regions, REGION, DISTRACTOR))
    keep = np.flatnonzero(scored | distractors | labels.regions)
    rows = labels.rows.select(keep)
    visibility = np.ones(len(keep)) if labels.scored else rows.rest[:, 0]
    rest = np.column_stack([scored[keep], numbers[keep], visibility]).astype(np.float64)
    # Regions have no identities: each gets a number of its own.
    ids = np.where(labels.regions[keep], -2 - np.arange(len(keep)), rows.ids)
    return Rows(rows.frames, ids, rows.tlwh, rest)


def read_lines(path: Path, what: str) -> list[tuple[int, list[str]]]:
    """Return the words of each line that is not blank, with its number from 1.

    Words are separated by commas or spaces. Raises `InputError` for a file that is not text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").replace(",", " ").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file of {what}", "check the path") from error
    except OSError as error:
        raise from_os_error(error) from error
    return [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]


def to_float(path: Path, number: int, words: Sequence[Any], fix: str) -> list[float]:
    """Return the words of a line as finite numbers; raise `InputError` that names the line."""
    try:
        values = [float(word) for word in words]
    except (TypeError, ValueError):
        values = [np.nan]
    if not np.isfinite(values).all():
        raise InputError(f"{path} line {number} is not a row of numbers", fix)
    return values
