"""MOTChallenge's rules: which ground truth counts, and which results count neither way.

Every benchmark marks rows of its ground truth as not to be scored. MOT16, MOT17 and MOT20 also
label the classes beside pedestrians; a result on a static person, a reflection, a distractor or a
person on a vehicle is neither a hit nor a false alarm (Milan et al., "MOT16: A Benchmark for
Multi-Object Tracking", 2016, section 4; Dendorfer et al., "MOT20", 2020, adds vehicles without a
motor). MOT15 has no classes: its columns 8 to 10 are world coordinates.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mottool.errors import InputError
from mottool.metrics.matching import best_matching
from mottool.metrics.pairs import EPSILON, Pairs, overlapping, renumber
from mottool.motchallenge.rows import Rows

__all__ = ["DISTRACTORS", "PEDESTRIAN", "Scene", "detect_rules", "of_class", "prepare", "roles"]

Ints = npt.NDArray[np.int64]
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
OVERLAP = 0.5  # a result is a distractor's from this IoU on


@dataclass(frozen=True)
class Scene:
    """What is scored of one sequence: boxes sorted by frame, their identities and overlaps.

    `truth_ids` (n,) and `result_ids` (m,) int64 count from 0 without gaps; `pairs` refers to rows
    of both. `truth_rows` (n,) and `result_rows` (m,) int64 are where each stands in its file.
    """

    truth_ids: Ints
    result_ids: Ints
    pairs: Pairs
    truth_rows: Ints
    result_rows: Ints

    @property
    def identities(self) -> tuple[int, int]:
        """How many identities the ground truth and the results have."""
        return int(self.truth_ids.max(initial=-1)) + 1, int(self.result_ids.max(initial=-1)) + 1


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


def prepare(truth: Rows, results: Rows, length: int, rules: str, sequence: str) -> Scene:
    """Apply the rules to a sequence of `length` frames.

    An `InputError` names an identity that occurs twice in a frame, a frame beyond the last one,
    and a class that MOTChallenge does not have.
    """
    (truth, truth_order), (results, result_order) = _by_frame(truth), _by_frame(results)
    for rows, what in ((truth, "ground truth"), (results, "results")):
        _check(rows, length, f"{what} of {sequence}")
    if rules != "mot15" and results.rest.shape[1] > 1 and (results.rest[:, 1] >= 2).any():
        problem = f"results of {sequence}: column 8 holds classes, but only pedestrians are scored"
        raise InputError(problem, "leave the rows of other classes out, or write -1 there")
    pairs = overlapping(truth.frames, truth.tlwh, results.frames, results.tlwh)
    counts, distracts = roles(truth, rules, sequence)
    keep = np.ones(len(results), bool)
    if distracts.any():
        close = pairs.similarity >= OVERLAP - EPSILON
        matched = best_matching(pairs, np.where(close, pairs.similarity, 0.0))
        keep[pairs.result[matched & distracts[pairs.truth]]] = False
    truth_ids, result_ids = renumber(truth.ids[counts])[1], renumber(results.ids[keep])[1]
    left = pairs.kept(counts, keep)
    return Scene(truth_ids, result_ids, left, truth_order[counts], result_order[keep])


def _by_frame(rows: Rows) -> tuple[Rows, Ints]:
    """The rows sorted by frame, and where each stood before."""
    if (np.diff(rows.frames) >= 0).all():
        return rows, np.arange(len(rows))
    order = np.argsort(rows.frames, kind="stable")
    return Rows(rows.frames[order], rows.ids[order], rows.tlwh[order], rows.rest[order]), order


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


def _check(rows: Rows, length: int, what: str) -> None:
    """Refuse frames beyond the last one, and an identity that is twice in a frame."""
    if len(rows) and rows.frames[-1] > length:
        raise InputError(
            f"{what}: frame {rows.frames[-1]} lies beyond the last one, {length}",
            "score the files of this sequence, or correct seqLength in its seqinfo.ini",
        )
    frames, frame = renumber(rows.frames)
    names, name = renumber(rows.ids)
    cells = np.sort(frame * len(names) + name)
    twice = cells[1:][np.diff(cells) == 0]
    if len(twice):
        frame_number, identity = frames[twice[0] // len(names)], names[twice[0] % len(names)]
        fix = "keep one row of it per frame"
        if identity == -1:
            fix = "give tracks; rows without identities are detections for `mottool associate`"
        raise InputError(f"{what}: identity {identity} occurs twice in frame {frame_number}", fix)
