"""Apply a benchmark's rules to a sequence before it is scored (see `motchallenge.rules`)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mottool.errors import InputError
from mottool.metrics.matching import best_matching
from mottool.metrics.pairs import EPSILON, OverlappingPairs, overlapping, renumber
from mottool.metrics.regions import in_regions, left_out, region_rows
from mottool.motchallenge.rows import Rows
from mottool.motchallenge.rules import REGION_RULES, scored_and_ignored

__all__ = ["EvalSequence", "preprocess"]

Ints = npt.NDArray[np.int64]
MOST_CLASSES = 100  # of a detector
MIN_IOU = 0.5  # of a result matched with an ignored object


@dataclass(frozen=True)
class EvalSequence:
    """The scored boxes of one sequence: sorted by frame, with their identities and overlaps.

    `truth_ids` (n,) and `result_ids` (m,) int64 count from 0 without gaps; `pairs` refers to rows
    of both. `truth_rows` (n,) and `result_rows` (m,) int64 are their rows in the two files.
    `frames` is the number of frames that are scored, 0 if unknown.
    """

    truth_ids: Ints
    result_ids: Ints
    pairs: OverlappingPairs
    truth_rows: Ints
    result_rows: Ints
    frames: int = 0

    @property
    def identity_counts(self) -> tuple[int, int]:
        """Return the number of identities of the ground truth and of the results."""
        return int(self.truth_ids.max(initial=-1)) + 1, int(self.result_ids.max(initial=-1)) + 1


def preprocess(
    ground_truth: Rows, results: Rows, length: int, rules: str, sequence: str
) -> EvalSequence:
    """Apply `rules` to a sequence of `length` frames.

    Raises `InputError` for an identity that occurs twice in a frame, a frame beyond the last one,
    or a class that MOTChallenge does not have.
    """
    ground_truth, truth_order = _sort_by_frame(ground_truth)
    results, result_order = _sort_by_frame(results)
    for rows, what in ((ground_truth, "ground truth"), (results, "results")):
        _check(rows, length, f"{what} of {sequence}")
    if _has_classes(results, rules):
        problem = f"results of {sequence}: column 8 holds classes, but only pedestrians are scored"
        raise InputError(problem, "remove the rows of other classes, or write -1 there")
    pairs = overlapping(ground_truth.frames, ground_truth.tlwh, results.frames, results.tlwh)
    scored, ignored = scored_and_ignored(ground_truth, rules, sequence)
    regions = region_rows(ground_truth, rules)
    covered = left_out(ground_truth, ground_truth, regions, rules)
    scored, ignored = scored & ~covered, ignored & ~covered
    keep = ~left_out(results, ground_truth, regions, rules)
    if ignored.any() or rules in REGION_RULES:
        close = (pairs.similarity >= MIN_IOU - EPSILON) & ~(regions | covered)[pairs.truth]
        close &= keep[pairs.result]
        matched = best_matching(pairs, np.where(close, pairs.similarity, 0.0))
        keep[pairs.result[matched & ignored[pairs.truth]]] = False
        unmatched = np.ones(len(results), bool)
        unmatched[pairs.result[matched]] = False
        keep &= ~(unmatched & in_regions(pairs, ground_truth, results, regions, rules))
    return EvalSequence(
        renumber(ground_truth.ids[scored])[1],
        renumber(results.ids[keep])[1],
        pairs.select(scored, keep),
        truth_order[scored],
        result_order[keep],
        length,
    )


def _has_classes(results: Rows, rules: str) -> bool:
    """Return whether column 8 of results has several classes.

    By the rules of MOT15 it can be a world coordinate, which is hardly ever an integer.
    """
    if results.rest.shape[1] < 2:
        return False
    values = np.unique(results.rest[:, 1])
    if rules == "mot15":
        numbers = (values >= 0).all() and (values % 1 == 0).all()
        return bool(numbers) and 2 <= len(values) <= MOST_CLASSES
    return bool((values >= 2).any()) or {0.0, 1.0} <= {*values.tolist()}


def _sort_by_frame(rows: Rows) -> tuple[Rows, Ints]:
    """Sort rows by frame, stably; return them and their previous indices."""
    if (np.diff(rows.frames) >= 0).all():
        return rows, np.arange(len(rows))
    order = np.argsort(rows.frames, kind="stable")
    return rows.select(order), order


def _check(rows: Rows, length: int, what: str) -> None:
    """Raise `InputError` for a frame beyond the last one, or an identity twice in a frame."""
    if len(rows) and rows.frames[-1] > length:
        raise InputError(
            f"{what}: frame {rows.frames[-1]} lies beyond the last one, {length}",
            "score the files of this sequence, or correct seqLength in its seqinfo.ini",
        )
    frames, frame = renumber(rows.frames)
    identities, identity = renumber(rows.ids)
    cells = np.sort(frame * len(identities) + identity)
    repeated = cells[1:][np.diff(cells) == 0]
    if len(repeated):
        frame_index, identity_index = divmod(int(repeated[0]), len(identities))
        number, name = frames[frame_index], identities[identity_index]
        fix = "keep one row of it per frame"
        if name == -1:
            fix = "give tracks; rows without identities are detections for `mottool associate`"
        raise InputError(f"{what}: identity {name} occurs twice in frame {number}", fix)
