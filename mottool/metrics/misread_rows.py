"""Recognise results whose rows mean something else than MOTChallenge's columns.

Boxes as corners, boxes in the pixels of a smaller video, and frames that are counted from elsewhere
are valid rows: they are scored, and the score is low. If few boxes match, other readings are tried.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from mottool.metrics.pairs import OverlappingPairs, overlapping

__all__ = ["LEAST_BOXES", "MIN_IOU", "describe_misread", "share_of_matches"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MIN_IOU = 0.5  # of a match
USUAL_SHARE = 0.5  # of boxes that match; above it no other reading is tried
GAIN = 2.0  # of the share that another reading must reach
LEAST_BOXES = 10  # fewer say nothing
OFFSET_GAIN = 1.03  # of the overlap, if frames are counted from elsewhere
OFFSET_FRAMES = 256  # that are compared for it
SAMPLED_FRAMES = 64  # from which the resolution of other pixels is estimated
PRECISION = 0.01  # of its logarithm
COLUMNS = "the columns are left, top, width, height in pixels of the frame, and frames count from 1"


def share_of_matches(pairs: OverlappingPairs, truth: int, results: int) -> float:
    """Return the share in [0, 1] of boxes that have another one at an IoU of 0.5.

    It is that of the smaller of both lists, which have `truth` and `results` boxes; 1 if there are
    too few boxes.
    """
    if min(truth, results) < LEAST_BOXES:
        return 1.0
    matched = pairs.similarity >= MIN_IOU
    counts = (len(np.unique(rows[matched])) for rows in (pairs.truth, pairs.result))
    return min(counts) / min(truth, results)


def describe_misread(
    truth_frames: Ints, truth: Floats, result_frames: Ints, results: Floats, share: float
) -> str:
    """Return how much better rows of results match than as they are written, or "".

    Frames (n,) are sorted; boxes (n, 4) are left, top, width, height. `share` is the
    `share_of_matches` as they are written.
    """
    if min(len(truth), len(results)) < LEAST_BOXES:
        return ""
    if share >= USUAL_SHARE:
        gain, offset = _frame_offset(truth_frames, truth, result_frames, results)
        if gain < OFFSET_GAIN:
            return ""
        meaning = f"frame {result_frames[0]} were frame {result_frames[0] + offset}"
        return f"would overlap {gain - 1:.0%} more if {meaning}; frames count from 1"
    best, meaning = max(GAIN * share, USUAL_SHARE), ""
    for name, frames, boxes in _readings(truth_frames, truth, result_frames, results):
        pairs = overlapping(truth_frames, truth, frames, boxes)
        other = share_of_matches(pairs, len(truth), len(results))
        if other >= best:
            best, meaning = other, name
    if not meaning:
        return ""
    return f"match at {share:.0%}, but would at {best:.0%} if {meaning}; {COLUMNS}"


def _frame_offset(
    truth_frames: Ints, truth: Floats, frames: Ints, boxes: Floats
) -> tuple[float, int]:
    """Return how many times as much boxes overlap if their frames are shifted, and by how many.

    Of some frames of the ground truth, those one earlier and one later are compared. Even with one
    frame between them, boxes of moving people still match, so that the scores look plausible.
    """
    every = np.unique(truth_frames)
    chosen = np.isin(truth_frames, every[:: 1 + len(every) // OFFSET_FRAMES])
    truth_frames, truth = truth_frames[chosen], truth[chosen]
    overlaps = {}
    for offset in (0, -1, 1):
        rows = np.isin(frames + offset, truth_frames)
        pairs = overlapping(truth_frames, truth, frames[rows] + offset, boxes[rows])
        best = np.zeros(len(truth))
        np.maximum.at(best, pairs.truth, pairs.similarity)
        overlaps[offset] = float(best.sum())
    offset = max(overlaps, key=lambda offset: overlaps[offset])
    return overlaps[offset] / max(overlaps[0], 1e-9), offset


def _readings(
    truth_frames: Ints, truth: Floats, frames: Ints, boxes: Floats
) -> Iterator[tuple[str, Ints, Floats]]:
    """Yield other readings of results: what they mean, and their frames and boxes by it."""
    layouts: dict[str, Callable[[Floats], Floats]] = {
        "they were x1, y1, x2, y2": lambda b: np.hstack([b[:, :2], b[:, 2:] - b[:, :2]]),
        "x and y were the centre": lambda b: np.hstack([b[:, :2] - b[:, 2:] / 2, b[:, 2:]]),
        "width and height were swapped": lambda b: b[:, [0, 1, 3, 2]],
        "x and y were swapped": lambda b: b[:, [1, 0, 3, 2]],
    }
    for name, read in layouts.items():
        yield name, frames, read(boxes)
    first = int(truth_frames[0] - frames[0])
    for offset in dict.fromkeys((-1, 1, first)):
        if offset:
            yield f"frame {frames[0]} were frame {frames[0] + offset}", frames + offset, boxes
    scale = _scale(truth_frames, truth, frames, boxes)
    if abs(scale - 1).max() > PRECISION:
        x, y = (f"{value:.3g}" for value in scale)
        yield f"x were multiplied by {x} and y by {y}", frames, boxes * np.tile(scale, 2)


def _scale(truth_frames: Ints, truth: Floats, frames: Ints, boxes: Floats) -> Floats:
    """Return the most frequent ratio of coordinates, (2,) x and y, of boxes in the same frame."""
    common = np.intersect1d(truth_frames, frames)
    chosen = common[:: max(1, len(common) // SAMPLED_FRAMES)][:SAMPLED_FRAMES]
    ratios = [np.zeros((0, 2))]
    for frame in chosen:
        numerator, denominator = (
            each[slice(*np.searchsorted(numbers, [frame, frame + 1]))]
            for numbers, each in ((truth_frames, truth), (frames, boxes))
        )
        centres = (each[:, :2] + each[:, 2:] / 2 for each in (numerator, denominator))
        a, b = (np.maximum(each, 1.0) for each in centres)  # (n, 2), (m, 2)
        ratios.append((a[:, None] / b).reshape(-1, 2))
    logarithms = np.log(np.concatenate(ratios))  # (p, 2)
    return np.array([_mode(column) for column in logarithms.T])


def _mode(logarithms: Floats) -> float:
    """Return the number whose logarithm is the most frequent one; 1 without any."""
    if not len(logarithms):
        return 1.0
    cells, counts = np.unique(np.rint(logarithms / PRECISION), return_counts=True)
    near = abs(logarithms / PRECISION - cells[counts.argmax()]) <= 1
    return float(np.exp(np.median(logarithms[near])))
