"""Apply the rules of a benchmark to a sequence before it is scored (see `motchallenge.rules`)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mottool.errors import InputError
from mottool.metrics.matching import best_matching
from mottool.metrics.pairs import EPSILON, OverlappingPairs, overlapping, renumber
from mottool.motchallenge.rows import Rows
from mottool.motchallenge.rules import roles

__all__ = ["EvalSequence", "preprocess"]

Ints = npt.NDArray[np.int64]
OVERLAP = 0.5  # a result is a distractor's from this IoU on


@dataclass(frozen=True)
class EvalSequence:
    """What is scored of one sequence: boxes sorted by frame, their identities and overlaps.

    `truth_ids` (n,) and `result_ids` (m,) int64 count from 0 without gaps; `pairs` refers to rows
    of both. `truth_rows` (n,) and `result_rows` (m,) int64 are where each stands in its file.
    """

    truth_ids: Ints
    result_ids: Ints
    pairs: OverlappingPairs
    truth_rows: Ints
    result_rows: Ints

    @property
    def identities(self) -> tuple[int, int]:
        """How many identities the ground truth and the results have."""
        return int(self.truth_ids.max(initial=-1)) + 1, int(self.result_ids.max(initial=-1)) + 1


def preprocess(truth: Rows, results: Rows, length: int, rules: str, sequence: str) -> EvalSequence:
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
    return EvalSequence(truth_ids, result_ids, left, truth_order[counts], result_order[keep])


def _by_frame(rows: Rows) -> tuple[Rows, Ints]:
    """The rows sorted by frame, and where each stood before."""
    if (np.diff(rows.frames) >= 0).all():
        return rows, np.arange(len(rows))
    order = np.argsort(rows.frames, kind="stable")
    return Rows(rows.frames[order], rows.ids[order], rows.tlwh[order], rows.rest[order]), order


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
