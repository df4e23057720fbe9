"""The outcome of every box of a sequence: true positive, false positive, false negative, switch.

These are the counts of CLEAR (Bernardin & Stiefelhagen 2008, section 2.3), box by box, so that
they can be drawn.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mottool.metrics.clear import true_positives
from mottool.metrics.ground_truth import load_ground_truth, preprocess_tracks
from mottool.metrics.ground_truth_files import GroundTruthFile
from mottool.metrics.preprocess import EvalSequence
from mottool.motchallenge.rows import Rows

__all__ = ["IdentitySwitch", "Outcome", "BoxOutcomes", "box_outcomes", "classify_boxes"]

Ints = npt.NDArray[np.int64]


class Outcome(IntEnum):
    """The outcome of a box; `UNJUDGED` boxes are ignored by the benchmark's rules."""

    UNJUDGED = 0
    HIT = 1  # a true positive
    FALSE = 2  # a false positive: a result without ground truth
    MISSED = 3  # a false negative: ground truth without a result
    SWITCHED = 4  # a true positive with another identity than the object's last one: IDSW


class IdentitySwitch(NamedTuple):
    """An object whose matches change from identity `before`, last in frame `last`, to `after`."""

    frame: int
    last: int
    object: int
    before: int
    after: int


class BoxOutcomes(NamedTuple):
    """The outcomes of all rows of both files, in their order, and the switches by frame.

    `truth` (n,) holds UNJUDGED, HIT or MISSED; `results` (m,) UNJUDGED, HIT, FALSE or SWITCHED.
    `partners` (n,) is the identity matched with each row of the ground truth, -1 if unmatched.
    """

    truth: Ints
    results: Ints
    partners: Ints
    switches: list[IdentitySwitch]


def box_outcomes(sequence: EvalSequence, ground_truth: Rows, results: Rows) -> BoxOutcomes:
    """Return the outcomes of the rows of the two files that `sequence` was made from."""
    truth_outcomes = np.full(len(ground_truth), int(Outcome.UNJUDGED))
    result_outcomes = np.full(len(results), int(Outcome.UNJUDGED))
    partners = np.full(len(ground_truth), -1)
    truth_outcomes[sequence.truth_rows] = Outcome.MISSED
    result_outcomes[sequence.result_rows] = Outcome.FALSE
    hit = true_positives(sequence)
    rows = sequence.truth_rows[sequence.pairs.truth[hit]]  # (h,) of the ground truth
    columns = sequence.result_rows[sequence.pairs.result[hit]]  # (h,) of the results
    truth_outcomes[rows] = result_outcomes[columns] = Outcome.HIT
    partners[rows] = results.ids[columns]
    order = np.lexsort((ground_truth.frames[rows], ground_truth.ids[rows]))
    rows, columns = rows[order], columns[order]
    same = np.diff(ground_truth.ids[rows]) == 0
    changed = np.flatnonzero(same & (np.diff(results.ids[columns]) != 0))
    result_outcomes[columns[changed + 1]] = Outcome.SWITCHED
    switches = [
        IdentitySwitch(
            frame=int(ground_truth.frames[rows[index + 1]]),
            last=int(ground_truth.frames[rows[index]]),
            object=int(ground_truth.ids[rows[index]]),
            before=int(results.ids[columns[index]]),
            after=int(results.ids[columns[index + 1]]),
        )
        for index in changed.tolist()
    ]
    return BoxOutcomes(truth_outcomes, result_outcomes, partners, sorted(switches))


def classify_boxes(
    tracks: Rows, file: GroundTruthFile, rules: str, sequence: str
) -> tuple[Rows, BoxOutcomes]:
    """Return the rows of a ground-truth file, and the outcomes of them and of `tracks`.

    `rules` are a benchmark's, or `auto` for those that fit. Without a known length the sequence
    ends with the last row. Raises `InputError` as `read_rows` and `preprocess` do.
    """
    ground_truth = load_ground_truth(file, sequence, rules)
    scored = preprocess_tracks(tracks, ground_truth)
    return ground_truth.rows, box_outcomes(scored, ground_truth.rows, tracks)
