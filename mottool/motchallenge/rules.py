"""Rules of the MOTChallenge benchmarks: which ground truth is scored and which is ignored.

Each benchmark marks ground-truth rows that are not scored. MOT16, MOT17 and MOT20 also annotate
other classes than pedestrians. A result on a static person, a reflection, a distractor or a person
on a vehicle is ignored: neither a true nor a false positive (Milan et al., "MOT16: A Benchmark for
Multi-Object Tracking", 2016, section 4; Dendorfer et al., "MOT20", 2020, adds non-motorised
vehicles). MOT15 has no classes: its columns 8 to 10 are world coordinates.

Rules of other benchmarks score the rows that `layouts.labels.ground_truth` makes: class 1 is
scored, class 8 ignored, and unmatched results that are mostly in a region of class 13 are ignored,
as TrackEval does for KITTI and BDD100K.

Imports no numpy at the top, because help texts list `RULES`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mottool.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mottool.motchallenge.rows import Rows

    Bools = npt.NDArray[np.bool_]

__all__ = [
    "AUTO",
    "CLASS_COLUMNS",
    "CLASS_FILE",
    "CLASS_NAMES",
    "DISTRACTOR",
    "DISTRACTORS",
    "PEDESTRIAN",
    "REGION",
    "REGION_RULES",
    "RULES",
    "detect_rules",
    "of_class",
    "scored_and_ignored",
]

PEDESTRIAN = 1
# Numbered from 1: Milan et al., "MOT16", 2016, Table 3.
CLASS_NAMES = (
    *("pedestrian", "person on vehicle", "car", "bicycle", "motorbike"),
    *("non motorized vehicle", "static person", "distractor", "occluder"),
    *("occluder on the ground", "occluder full", "reflection", "crowd"),
)
CLASS_COLUMNS = (2, 3)  # columns after the box with classes: flag, class, and perhaps visibility
# Person on vehicle, static person, distractor, reflection.
IGNORED_CLASSES = (2, 7, 8, 12)
VEHICLE_WITHOUT_MOTOR = 6
DISTRACTORS: dict[str, tuple[int, ...]] = {
    "mot15": (),
    "mot16": IGNORED_CLASSES,
    "mot17": IGNORED_CLASSES,
    "mot20": (*IGNORED_CLASSES, VEHICLE_WITHOUT_MOTOR),
}
CLASS_FILE = "labels.txt"  # beside gt.txt, with the name of a class on each line
AUTO = "auto"  # choose the rules by `detect_rules`
DISTRACTOR, REGION = 8, 13  # classes of rows to ignore, by the rules of other benchmarks
# Other benchmarks, with the height in pixels up to which unmatched results are ignored.
REGION_RULES = {"kitti": 25.0, "visdrone": 0.0, "bdd100k": 0.0}
RULES = (AUTO, *DISTRACTORS)


def of_class(rows: Rows, number: int) -> Rows:
    """Select the rows of one class, which is column 8, and drop all columns after the seventh.

    Raises `InputError` if no row has a class in column 8.
    """
    if len(rows) and (rows.rest.shape[1] < 2 or rows.rest[:, 1].max() < min(number, 1)):
        fix = "write there the number of each row's class, or leave --per-class out"
        raise InputError("no row has a class in column 8", fix)
    if not len(rows):
        return rows
    rows = rows.select(rows.rest[:, 1] == number)
    return replace(rows, rest=rows.rest[:, :1])


def detect_rules(sequence: str, ground_truth: Rows) -> str:
    """Return the rules that fit: by the columns of the ground truth, then by the sequence's name.

    Columns 8 and 9 (class and visibility) without a tenth mean MOT16, MOT17 or MOT20, of which
    the first two share their rules; any other layout is MOT15's.
    """
    named = next((rules for rules in DISTRACTORS if sequence.lower().startswith(rules)), "mot17")
    if not len(ground_truth):
        return named
    if ground_truth.rest.shape[1] not in CLASS_COLUMNS:
        return "mot15"
    return "mot17" if named == "mot15" else named


def scored_and_ignored(ground_truth: Rows, rules: str, sequence: str) -> tuple[Bools, Bools]:
    """Return which rows of the ground truth are scored, (n,), and which ones are ignored, (n,).

    A result that matches an ignored row is not scored. The remaining rows have no effect.

    Raises `InputError` for a class that MOTChallenge does not have, or for rules that need classes
    where there are none.
    """
    import numpy as np

    columns, count = ground_truth.rest.shape[1], len(ground_truth)
    scored = ground_truth.rest[:, 0].astype(int) != 0 if columns else np.ones(count, bool)
    if rules == "mot15" or not count:
        return scored, np.zeros(count, bool)
    fix = "score it with --rules mot15, or put classes 1 to 13 in column 8"
    if columns < 2:
        raise InputError(f"the ground truth of {sequence} has no classes for {rules} rules", fix)
    classes = ground_truth.rest[:, 1].astype(int)
    unknown = classes[(classes < 1) | (classes > len(CLASS_NAMES))]
    if len(unknown):
        problem = f"the ground truth of {sequence} has class {unknown[0]}, unknown to {rules} rules"
        raise InputError(problem, fix)
    ignored = DISTRACTORS.get(rules, (DISTRACTOR,))
    return scored & (classes == PEDESTRIAN), np.isin(classes, ignored)
