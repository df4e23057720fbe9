"""Rules of the MOTChallenge benchmarks: which ground truth is scored and which is ignored.

Each benchmark marks ground-truth rows that are not scored. MOT16, MOT17 and MOT20 also annotate
other classes than pedestrians. A result on a static person, a reflection, a distractor or a person
on a vehicle is ignored: neither a true nor a false positive (Milan et al., "MOT16: A Benchmark for
Multi-Object Tracking", 2016, section 4; Dendorfer et al., "MOT20", 2020, adds non-motorised
vehicles). MOT15 has no classes: its columns 8 to 10 are world coordinates.
"""

import numpy as np
import numpy.typing as npt

from mottool.errors import InputError
from mottool.motchallenge.rows import Rows

__all__ = ["DISTRACTORS", "PEDESTRIAN", "detect_rules", "of_class", "roles"]

Bools = npt.NDArray[np.bool_]
PEDESTRIAN = 1
CLASSES = 13  # MOTChallenge numbers its classes from 1 to 13
# Person on vehicle, static person, distractor, reflection.
NEITHER_WAY = (2, 7, 8, 12)
VEHICLE_WITHOUT_MOTOR = 6
DISTRACTORS: dict[str, tuple[int, ...]] = {
    "mot15": (),
    "mot16": NEITHER_WAY,
    "mot17": NEITHER_WAY,
    "mot20": (*NEITHER_WAY, VEHICLE_WITHOUT_MOTOR),
}


def of_class(rows: Rows, number: int) -> Rows:
    """The rows whose eighth column is a class, which is then taken out.

    An `InputError` for rows that have no classes there.
    """
    classes = rows.rest[:, 1] if rows.rest.shape[1] > 1 else np.zeros(len(rows))
    if len(rows) and classes.max() < 1:
        fix = "write there the number of each row's class, from 1, or leave --per-class out"
        raise InputError("no row has a class in column 8", fix)
    keep = classes == number
    return Rows(rows.frames[keep], rows.ids[keep], rows.tlwh[keep], rows.rest[keep, :1])


def detect_rules(sequence: str, truth: Rows) -> str:
    """The rules that fit: by the columns of the ground truth first, then by the sequence's name.

    Columns 8 and 9 (class and visibility) without a tenth mean MOT16, MOT17 or MOT20, of which
    the first two share their rules; any other layout is MOT15's.
    """
    named = next((rules for rules in DISTRACTORS if sequence.lower().startswith(rules)), "mot17")
    if not len(truth):
        return named
    if truth.rest.shape[1] not in (2, 3):
        return "mot15"
    return "mot17" if named == "mot15" else named


def roles(truth: Rows, rules: str, sequence: str) -> tuple[Bools, Bools]:
    """Which rows of the ground truth are scored, and which make a result count neither way, (n,).

    An `InputError` for a class that MOTChallenge does not have, or for rules that need classes
    where there are none.
    """
    columns = truth.rest.shape[1]
    counts = truth.rest[:, 0].astype(int) != 0 if columns else np.ones(len(truth), bool)
    if rules == "mot15" or not len(truth):
        return counts, np.zeros(len(truth), bool)
    fix = "score it with --rules mot15, or put classes 1 to 13 in column 8"
    if columns < 2:
        raise InputError(f"the ground truth of {sequence} has no classes for {rules} rules", fix)
    classes = truth.rest[:, 1].astype(int)
    strange = classes[(classes < 1) | (classes > CLASSES)]
    if len(strange):
        problem = f"the ground truth of {sequence} has class {strange[0]}, unknown to {rules} rules"
        raise InputError(problem, fix)
    return counts & (classes == PEDESTRIAN), np.isin(classes, DISTRACTORS[rules])
