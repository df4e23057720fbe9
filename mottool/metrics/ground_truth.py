"""The ground truth of one sequence or of a half of it, and its rules applied to tracks."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mottool.errors import InputError
from mottool.layouts.registry import read_ground_truth, rules_of
from mottool.metrics.ground_truth_files import GroundTruthFile
from mottool.metrics.preprocess import EvalSequence, preprocess
from mottool.motchallenge.rows import Rows
from mottool.motchallenge.rules import AUTO, detect_rules

if TYPE_CHECKING:  # imports h5py
    from mottool.cache.reader import Cache

__all__ = [
    "CHECK_VIDEO",
    "GroundTruth",
    "cached_ground_truth",
    "check_frames",
    "in_span",
    "load_ground_truth",
    "preprocess_tracks",
]

CHECK_VIDEO = "check that both are of the same video, and of the same frames"


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
