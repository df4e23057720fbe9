"""The ground truth of one sequence or of a half of it, and its comparison with tracks."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mottool.errors import InputError
from mottool.layouts.registry import read_ground_truth, rules_of
from mottool.metrics.inputs import GroundTruthFile
from mottool.metrics.misread_rows import (
    LEAST_BOXES,
    MIN_IOU,
    describe_misread,
    share_of_matches,
)
from mottool.metrics.preprocess import EvalSequence, preprocess
from mottool.motchallenge.rows import Rows
from mottool.motchallenge.rules import AUTO, detect_rules
from mottool.records.record import read_record
from mottool.splits import frames_of_half, without_half

if TYPE_CHECKING:  # imports h5py
    from mottool.cache.reader import Cache

__all__ = [
    "CHECK_VIDEO",
    "GroundTruth",
    "cached_ground_truth",
    "check_frames",
    "check_half",
    "in_span",
    "load_ground_truth",
    "preprocess_tracks",
    "warn_of_mismatch",
    "warn_of_missing_frames",
]

LEAST_IOU = 0.05  # of a match at HOTA's lowest threshold
FEW = 0.05  # share of boxes that match, below which a message is given
MOST_OUTSIDE = 0.2  # share of boxes of the ground truth outside the frames of the results
CHECK_VIDEO = "check that both are of the same video, and of the same frames"
SWAPPED = "are --gt and the results swapped?"


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """The ground truth of one sequence, and the rules by which it is scored.

    `length` in frames, and `size` as width and height of the frames in pixels, are None where no
    `seqinfo.ini` gives them. `span` are the first and the last frame of a half, to which `rows` are
    limited; None for all of the sequence.
    """

    sequence: str
    rows: Rows
    rules: str
    length: int | None
    span: tuple[int, int] | None = None
    size: tuple[int, int] | None = None

    @property
    def last_frame(self) -> int:
        """Return the last frame with a row, 0 without rows."""
        return int(self.rows.frames.max(initial=0))


def load_ground_truth(file: GroundTruthFile, sequence: str, rules: str = AUTO) -> GroundTruth:
    """Read the ground truth of a sequence; `auto` rules are replaced by those that fit.

    Of a half, only the rows in its frames are kept. Raises `InputError` as `read_rows` does, and
    for scores between 0 and 1 in place of flags, which results have.
    """
    rows = read_ground_truth(file.path, file.classes)
    flags = rows.rest[:, 0] if rows.rest.shape[1] else np.zeros(0)
    if ((flags > 0) & (flags < 1)).any():
        problem = f"{file.path} has scores in column 7, where ground truth has flags of 0 or 1"
        fix = "if --gt and the results are swapped, give the ground truth with --gt"
        raise InputError(f"{problem}: it looks like results", fix)
    fitting = rules_of(file.path) or detect_rules(sequence, rows)
    chosen = fitting if rules == AUTO else rules
    if file.span:
        rows = rows.select(in_span(rows, file.span))
    return GroundTruth(sequence, rows, chosen, file.length, file.span, file.size)


def in_span(rows: Rows, span: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return which rows, (n,), are in the frames of a half."""
    return (rows.frames >= span[0]) & (rows.frames <= span[1])


# For scoring the same sequences many times in one process.
cached_ground_truth = lru_cache(maxsize=256)(load_ground_truth)


def preprocess_tracks(tracks: Rows, ground_truth: GroundTruth, frames: int = 0) -> EvalSequence:
    """Apply the rules to tracks and ground truth; of a half, only its frames are scored.

    Where the length of the sequence is unknown, it is `frames`, by default the last one with a
    track, or the last one with ground truth if that is later. Raises `InputError` as `preprocess`
    does.
    """
    last = frames or int(tracks.frames.max(initial=0))
    length = ground_truth.length or max(last, ground_truth.last_frame)
    truth, name = ground_truth.rows, ground_truth.sequence
    if ground_truth.span is None:
        return preprocess(truth, tracks, length, ground_truth.rules, name)
    kept = np.flatnonzero(in_span(tracks, ground_truth.span))
    scored = preprocess(truth, tracks.select(kept), length, ground_truth.rules, name)
    first, last = ground_truth.span
    count = max(0, min(last, length) - first + 1)
    return replace(scored, result_rows=kept[scored.result_rows], frames=count)


def warn_of_mismatch(
    sequence: str,
    path: Path,
    file: GroundTruthFile,
    truth: GroundTruth,
    tracks: Rows,
    scored: EvalSequence,
    warn: Callable[[str], None],
) -> None:
    """Warn if the ground truth is not scored or not matched by the result file `path`, or swapped.

    `tracks` are the rows of that file. If few of them match, the message says how they match
    better. They look swapped if the ground truth has a record of `associate`, or the results its
    name.
    """
    late = int(np.count_nonzero(tracks.frames > truth.last_frame))
    if truth.length is None and late and not file.span:
        warn(
            f"{sequence}: no seqinfo.ini gives its length; {late} results after frame "
            f"{truth.last_frame}, the last with ground truth, count as false positives"
        )
    if not len(scored.truth_ids):
        warn(f"{sequence}: {file.path} has no row that is scored by {truth.rules} rules")
    elif len(scored.result_ids) and (problem := _mismatch(truth.rows, tracks, scored)):
        warn(f"{sequence}: {problem[0]} {path} {problem[1]}")
    if read_record(file.path).get("tracker"):
        warn(f"{file.path}, given with --gt, is a result of mottool associate: {SWAPPED}")
    elif path.name.startswith("gt.txt"):
        warn(f"{path}, given as a result, is named like ground truth: {SWAPPED}")


def _mismatch(truth: Rows, tracks: Rows, scored: EvalSequence) -> tuple[str, str] | None:
    """Return two parts of a message, around the path of the results, if few of them match."""
    share = share_of_matches(scored.pairs, len(scored.truth_ids), len(scored.result_ids))
    expected, given = truth.select(scored.truth_rows), tracks.select(scored.result_rows)
    if misread := describe_misread(expected.frames, expected.tlwh, given.frames, given.tlwh, share):
        return "the boxes of", misread
    if not (scored.pairs.similarity >= LEAST_IOU).any():
        return "no box of", f"matches the ground truth, at an IoU of {LEAST_IOU}; {CHECK_VIDEO}"
    if share < FEW:
        return f"{share:.1%} of the boxes of", f"match, at an IoU of {MIN_IOU}; {CHECK_VIDEO}"
    return None


def warn_of_missing_frames(
    sequence: str,
    path: Path,
    truth: GroundTruth,
    tracks: Rows,
    scored: EvalSequence,
    warn: Callable[[str], None],
) -> None:
    """Warn if the result file `path` covers a part of the frames of the ground truth only.

    `tracks` are its rows.
    """
    expected = truth.rows.frames[scored.truth_rows]
    if min(len(expected), len(tracks)) < LEAST_BOXES:
        return
    first, last = int(tracks.frames.min()), int(tracks.frames.max())
    outside = int(np.count_nonzero((expected < first) | (expected > last)))
    if outside > MOST_OUTSIDE * len(expected):
        warn(
            f"{sequence}: {path} has frames {first} to {last} only: {outside} of {len(expected)} "
            "boxes of the ground truth are outside and count as missed; evaluate "
            f"--frames {first}-{last} leaves them out"
        )


def check_frames(cache: "Cache", truth: GroundTruth) -> None:
    """Raise `InputError` if a cache has frames of another size, or more, than its ground truth."""
    path, size = cache.path, (cache.header.width, cache.header.height)
    fix = "give the ground truth of the same video, or correct its seqinfo.ini"
    if truth.size not in {None, size}:
        stated = "x".join(map(str, truth.size or ()))
        problem = f"{path} has frames of {size[0]}x{size[1]}, its ground truth of {stated}"
        raise InputError(problem, fix)
    if truth.length and cache.last_frame > truth.length:
        later = cache.frames(max(0, truth.length - cache.first_frame + 1))
        if any(map(len, later)):
            problem = f"{path}: frame {cache.last_frame} lies beyond the last one, {truth.length}"
            raise InputError(problem, fix)


def check_half(path: Path, tracks: Rows, file: GroundTruthFile) -> None:
    """Raise `InputError` if the result of a half has rows outside of its frames."""
    half = without_half(file.sequence)[1]
    if not half or file.length is None or not path.name.startswith(f"{file.sequence}.txt"):
        return
    first, last = frames_of_half(file.length, half, file.sequence)
    outside = tracks.frames[~in_span(tracks, (first, last))]
    if len(outside):
        problem = f"{path} has frame {outside[0]}, outside of the frames {first} to {last}"
        fix = "check seqLength in the seqinfo.ini of its ground truth"
        raise InputError(f"{problem} of {file.sequence}", fix)
