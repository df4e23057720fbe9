"""What became of every box of a sequence: hit, missed, invented, or hit under another identity.

These are the counts of CLEAR (Bernardin & Stiefelhagen 2008, section 2.3), box by box, for those
who want to see them.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mottool.metrics.clear import hits
from mottool.metrics.inputs import GroundTruthFile
from mottool.metrics.preprocess import EvalSequence, preprocess
from mottool.motchallenge.rows import Rows, read_rows
from mottool.motchallenge.rules import detect_rules

__all__ = ["IdentitySwitch", "Outcome", "Verdicts", "classify_boxes", "verdicts"]

Ints = npt.NDArray[np.int64]


class Outcome(IntEnum):
    """What is said of a box; `UNJUDGED` ones count neither way by the benchmark's rules."""

    UNJUDGED = 0
    HIT = 1
    FALSE = 2  # a result without an object: FP
    MISSED = 3  # an object without a result: FN
    SWITCHED = 4  # a hit by another identity than the object's last one: IDSW


class IdentitySwitch(NamedTuple):
    """An object whose hits change from identity `before`, last in frame `last`, to `after`."""

    frame: int
    last: int
    object: int
    before: int
    after: int


class Verdicts(NamedTuple):
    """The verdicts on every row of both files, in their order, and the switches by frame.

    `truth` (n,) holds UNJUDGED, HIT or MISSED; `results` (m,) UNJUDGED, HIT, FALSE or SWITCHED.
    `partners` (n,) is the identity that hits each row of the ground truth, -1 where none does.
    """

    truth: Ints
    results: Ints
    partners: Ints
    switches: list[IdentitySwitch]


def verdicts(scene: EvalSequence, truth: Rows, results: Rows) -> Verdicts:
    """The verdicts on the rows of the two files that `scene` was prepared from."""
    of_truth = np.full(len(truth), int(Outcome.UNJUDGED))
    of_results = np.full(len(results), int(Outcome.UNJUDGED))
    partners = np.full(len(truth), -1)
    of_truth[scene.truth_rows] = Outcome.MISSED
    of_results[scene.result_rows] = Outcome.FALSE
    hit = hits(scene)
    rows = scene.truth_rows[scene.pairs.truth[hit]]  # (h,) of the ground truth
    columns = scene.result_rows[scene.pairs.result[hit]]  # (h,) of the results
    of_truth[rows] = of_results[columns] = Outcome.HIT
    partners[rows] = results.ids[columns]
    order = np.lexsort((truth.frames[rows], truth.ids[rows]))
    rows, columns = rows[order], columns[order]
    same = np.diff(truth.ids[rows]) == 0
    changed = np.flatnonzero(same & (np.diff(results.ids[columns]) != 0))
    of_results[columns[changed + 1]] = Outcome.SWITCHED
    switches = [
        IdentitySwitch(
            frame=int(truth.frames[rows[at + 1]]),
            last=int(truth.frames[rows[at]]),
            object=int(truth.ids[rows[at]]),
            before=int(results.ids[columns[at]]),
            after=int(results.ids[columns[at + 1]]),
        )
        for at in changed.tolist()
    ]
    return Verdicts(of_truth, of_results, partners, sorted(switches))


def classify_boxes(
    rows: Rows, truth: GroundTruthFile, rules: str, sequence: str
) -> tuple[Rows, Verdicts]:
    """The rows of a ground-truth file, and the verdicts on them and on the results `rows`.

    `rules` are a benchmark's, or `auto` for those that fit. Without a known length the sequence
    ends with the last row. Raises `InputError` as `read_rows` and `preprocess` do.
    """
    objects = read_rows(truth.path, "ground truth")
    rules = detect_rules(sequence, objects) if rules == "auto" else rules
    ends = [int(each.frames.max(initial=0)) for each in (objects, rows)]
    scene = preprocess(objects, rows, truth.length or max(ends), rules, sequence)
    return objects, verdicts(scene, objects, rows)
