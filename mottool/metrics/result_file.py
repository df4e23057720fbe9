"""A result file as a sequence to score, and messages about what does not fit its ground truth."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from mottool.errors import InputError, ignore_warning
from mottool.metrics.ground_truth import (
    CHECK_VIDEO,
    GroundTruth,
    in_span,
    load_ground_truth,
    preprocess_tracks,
)
from mottool.metrics.ground_truth_files import GroundTruthFile
from mottool.metrics.misread_rows import (
    LEAST_BOXES,
    MIN_IOU,
    describe_misread,
    share_of_matches,
)
from mottool.metrics.preprocess import EvalSequence
from mottool.motchallenge.rows import Rows, read_rows
from mottool.motchallenge.rules import AUTO, PEDESTRIAN, of_class
from mottool.records.record import read_record
from mottool.splits import frames_of_half, without_half

__all__ = ["read_result_file", "warn_of_mismatch", "warn_of_missing_frames"]

FLAGS_ONLY = "mot15"  # rules that regard no classes
LEAST_IOU = 0.05  # of a match at HOTA's lowest threshold
FEW = 0.05  # share of boxes that match, below which a message is given
MOST_OUTSIDE = 0.2  # share of boxes of the ground truth outside the frames of the results
SWAPPED = "are --gt and the results swapped?"

Warn = Callable[[str], None]


def read_result_file(
    path: Path,
    sequence: str,
    file: GroundTruthFile,
    rules: str = AUTO,
    warn: Warn = ignore_warning,
    number: int | None = None,
) -> tuple[GroundTruth, EvalSequence]:
    """Read the result file `path` and its ground truth; apply `rules` (`auto` or a benchmark's).

    If the ground truth is a half, only its frames are scored of the result of the whole sequence.
    With `number` only results and objects of that MOTChallenge class are scored. Without a known
    length the sequence ends with the last row of either file. `warn` receives messages about what
    does not fit. Raises `InputError` as `read_rows` and `preprocess` do.
    """
    truth, tracks = load_ground_truth(file, sequence, rules), read_rows(path, "result")
    if file.span:
        _check_half(path, tracks, file)
    if number is not None:
        tracks = of_class(tracks, number)
    if number is not None and number != PEDESTRIAN:
        # The benchmarks' rules are about pedestrians; of them only the flag applies here.
        truth = replace(truth, rows=of_class(truth.rows, number), rules=FLAGS_ONLY)
    scored = preprocess_tracks(tracks, truth)
    name = file.sequence if file.span else sequence
    warn_of_mismatch(name, path, file, truth, tracks, scored, warn)
    if number is None:
        warn_of_missing_frames(name, path, truth, tracks, scored, warn)
    return truth, scored


def warn_of_mismatch(
    sequence: str,
    path: Path,
    file: GroundTruthFile,
    truth: GroundTruth,
    tracks: Rows,
    scored: EvalSequence,
    warn: Warn,
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
    warn: Warn,
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


def _check_half(path: Path, tracks: Rows, file: GroundTruthFile) -> None:
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
