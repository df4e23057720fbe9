"""The overlapping pairs of a sequence: every metric matches ground truth with results on these.

Of all pairs of boxes in a frame few overlap at all, so the similarity matrices of a whole sequence
are kept as one sparse list, computed once and shared by the rules and the three metrics.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mottool.boxes import xyxy_from_tlwh

__all__ = ["EPSILON", "OverlappingPairs", "overlapping", "renumber"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

EPSILON = float(np.finfo(float).eps)  # TrackEval's slack in every comparison with a threshold
BLOCK = 1 << 17  # candidate pairs at a time: their arrays stay in the processor's cache
STRIPS = 256  # in a frame
FAR = 1e5  # pixels; strips reach no farther, so that a stray box does not make them too wide
MARGIN = 1.0  # pixels; covers the rounding of a sum
TABLE = 1 << 22  # a look-up table of so many entries is quicker than sorting


@dataclass(frozen=True)
class OverlappingPairs:
    """Pairs of boxes of the same frame whose IoU is above 0.

    `truth` and `result` (p,) int64 are rows of the two lists of boxes, both sorted by frame;
    `similarity` (p,) float64 is the IoU in (0, 1]. Frame f of the F
    that hold a box at all has rows `ptr[f]` to `ptr[f + 1]`, the last not included, in each list:
    `truth_ptr` and `result_ptr` (F + 1,) int64.
    """

    truth: Ints
    result: Ints
    similarity: Floats
    truth_ptr: Ints
    result_ptr: Ints

    def kept(self, truth: Bools, result: Bools) -> "OverlappingPairs":
        """The pairs that remain when only the boxes under these masks do, rows renumbered."""
        stay = truth[self.truth] & result[self.result]
        new_truth, new_result = _before(truth), _before(result)
        return OverlappingPairs(
            new_truth[self.truth[stay]],
            new_result[self.result[stay]],
            self.similarity[stay],
            new_truth[self.truth_ptr],
            new_result[self.result_ptr],
        )


def _before(counts: Ints | Bools) -> Ints:
    """How many come before each place, and in all, (n,) to (n + 1,)."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def renumber(values: Ints) -> tuple[Ints, Ints]:
    """The distinct values in order, and for each of `values` (n,) its place among them, (n,)."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if high - low >= TABLE:
        distinct, place = np.unique(values, return_inverse=True)
        return distinct, place
    met = np.zeros(high - low + 1, bool)
    met[values - low] = True
    return np.flatnonzero(met) + low, _before(met)[values - low]


def overlapping(
    truth_frames: Ints, truth_tlwh: Floats, result_frames: Ints, result_tlwh: Floats
) -> OverlappingPairs:
    """Every overlapping pair of a sequence.

    Frames (n,) are sorted; boxes (n, 4) float64 are left, top, width, height in pixels. The IoU is
    computed in TrackEval's order of operations, so that its rounding is the same; a box without
    area overlaps nothing.
    """
    frames, place = renumber(np.concatenate([truth_frames, result_frames]))
    truth_place, result_place = place[: len(truth_frames)], place[len(truth_frames) :]
    bounds = np.arange(len(frames) + 1)
    truth_ptr = np.searchsorted(truth_place, bounds)  # (F + 1,)
    result_ptr = np.searchsorted(result_place, bounds)  # (F + 1,)
    order, start, stop = _candidates(truth_place, truth_tlwh, result_place, result_tlwh)
    a = _corners_and_area(truth_tlwh)  # (5, n)
    b = _corners_and_area(result_tlwh[order])  # (5, m), in that order
    total = _before(stop - start)  # (n + 1,) candidates
    blocks = []
    row = 0
    while row < len(start):
        last = max(row + 1, int(np.searchsorted(total, total[row] + BLOCK, "right")) - 1)
        blocks.append(_overlaps(a, b, start, stop, row, last))
        row = last
    none = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    left, right, similarity = (np.concatenate(column) for column in zip(none, *blocks, strict=True))
    return OverlappingPairs(left, order[right], similarity, truth_ptr, result_ptr)


def _corners_and_area(tlwh: Floats) -> Floats:
    """Rows x1, y1, x2, y2, area of (n, 4) boxes, (5, n)."""
    x1, y1, x2, y2 = xyxy_from_tlwh(tlwh).T.copy()
    return np.stack([x1, y1, x2, y2, (x2 - x1) * (y2 - y1)])


def _candidates(
    truth_frame: Ints, truth_tlwh: Floats, result_frame: Ints, result_tlwh: Floats
) -> tuple[Ints, Ints, Ints]:
    """An order of the results, and for every truth the slice of it that can overlap in x.

    Each frame is cut into upright strips by x1. A result overlaps only if its x1 lies left of the
    truth's x2 and, by no more than the widest result of the frame, left of the truth's x1.
    """
    left, right = truth_tlwh[:, 0], truth_tlwh[:, 0] + truth_tlwh[:, 2]
    low, high = max(left.min(initial=FAR), -FAR), min(right.max(initial=-FAR), FAR)
    width = max((high - low) / STRIPS, 1.0)  # pixels

    def cell(frame: Ints, x: Floats) -> Ints:
        strip = np.minimum(np.maximum((x - low) / width, 0), STRIPS - 1)
        cells: Ints = frame * STRIPS + strip.astype(np.int64)
        return cells

    frames = max(truth_frame.max(initial=0), result_frame.max(initial=0)) + 1
    widest = np.zeros(frames)
    np.maximum.at(widest, result_frame, result_tlwh[:, 2])
    cells = cell(result_frame, result_tlwh[:, 0])
    ptr = _before(np.bincount(cells, minlength=frames * STRIPS))
    start = ptr[cell(truth_frame, left - widest[truth_frame] - MARGIN)]
    stop = ptr[cell(truth_frame, right) + 1]
    return np.argsort(cells, kind="stable"), start, np.maximum(start, stop)


def _overlaps(
    a: Floats, b: Floats, start: Ints, stop: Ints, first: int, last: int
) -> tuple[Ints, Ints, Floats]:
    """The pairs of truths `first` to `last` (not included) with an IoU above 0, and that IoU."""
    count = (stop - start)[first:last]
    left = np.repeat(np.arange(first, last), count)  # (c,)
    right = np.arange(len(left)) + np.repeat(start[first:last] - (np.cumsum(count) - count), count)
    width = np.minimum(a[2][left], b[2][right]) - np.maximum(a[0][left], b[0][right])
    height = np.minimum(a[3][left], b[3][right]) - np.maximum(a[1][left], b[1][right])
    stay = np.flatnonzero((width > 0) & (height > 0))
    left, right = left[stay], right[stay]
    shared = width[stay] * height[stay]
    area_a, area_b = a[4][left], b[4][right]
    union = area_a + area_b - shared
    stay = np.flatnonzero((area_a > EPSILON) & (area_b > EPSILON) & (union > EPSILON))
    return left[stay], right[stay], shared[stay] / union[stay]
