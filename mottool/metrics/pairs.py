"""The overlapping pairs of a sequence, from which every metric matches ground truth with results.

Few of the pairs of boxes in a frame overlap. The similarity matrices of a sequence are therefore
one sparse list, computed once and shared by the preprocessing and all metrics.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mottool.boxes import xyxy_from_tlwh

__all__ = ["EPSILON", "OverlappingPairs", "overlapping", "renumber"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

EPSILON = float(np.finfo(float).eps)  # TrackEval's tolerance in comparisons with a threshold
BLOCK = 1 << 17  # candidate pairs per step: their arrays fit into the processor's cache
FRAMES = 4096  # whose pairs are found together
STRIPS = 256  # per frame
FAR = 1e5  # pixels; strips end here, so that an outlier does not make them too wide
MARGIN = 1.0  # pixels; covers the rounding of a sum
TABLE = 1 << 22  # entries up to which a look-up table is faster than sorting


@dataclass(frozen=True)
class OverlappingPairs:
    """Pairs of boxes of the same frame whose IoU is above 0.

    `truth` and `result` (p,) int64 are rows of the two lists of boxes, both sorted by frame;
    `similarity` (p,) float64 is the IoU in (0, 1]. `truth_ptr` and `result_ptr` (F + 1,) int64
    give the rows of each of the F frames with boxes: `ptr[f]` to `ptr[f + 1]`, exclusive.
    """

    truth: Ints
    result: Ints
    similarity: Floats
    truth_ptr: Ints
    result_ptr: Ints

    def select(self, truth: Bools, result: Bools) -> "OverlappingPairs":
        """Select the pairs of the boxes under two masks; rows count these boxes only."""
        keep = truth[self.truth] & result[self.result]
        truth_rows, result_rows = _offsets(truth), _offsets(result)
        return OverlappingPairs(
            truth_rows[self.truth[keep]],
            result_rows[self.result[keep]],
            self.similarity[keep],
            truth_rows[self.truth_ptr],
            result_rows[self.result_ptr],
        )


def _offsets(counts: Ints | Bools) -> Ints:
    """Return the cumulative sum of counts (n,) from 0 on, (n + 1,)."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def renumber(values: Ints) -> tuple[Ints, Ints]:
    """Return the sorted distinct values, and the index of each of `values` (n,) in them, (n,)."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if high - low >= TABLE:
        distinct, index = np.unique(values, return_inverse=True)
        return distinct, index
    present = np.zeros(high - low + 1, bool)
    present[values - low] = True
    return np.flatnonzero(present) + low, _offsets(present)[values - low]


def overlapping(
    truth_frames: Ints, truth_tlwh: Floats, result_frames: Ints, result_tlwh: Floats
) -> OverlappingPairs:
    """Find every overlapping pair of a sequence.

    Frames (n,) are sorted; boxes (n, 4) float64 are left, top, width, height in pixels. The IoU is
    computed in TrackEval's order of operations, so that its rounding is the same. A box without
    area has no pairs.
    """
    frames, index = renumber(np.concatenate([truth_frames, result_frames]))
    truth_index, result_index = index[: len(truth_frames)], index[len(truth_frames) :]
    bounds = np.arange(len(frames) + 1)
    truth_ptr = np.searchsorted(truth_index, bounds)  # (F + 1,)
    result_ptr = np.searchsorted(result_index, bounds)  # (F + 1,)
    strips = _strips(truth_tlwh)
    blocks = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    # By blocks of frames, because what is computed on the way takes several times the boxes.
    for first in range(0, len(frames), FRAMES):
        last = min(first + FRAMES, len(frames))
        a, b = slice(*truth_ptr[[first, last]]), slice(*result_ptr[[first, last]])
        boxes = truth_index[a] - first, truth_tlwh[a], result_index[b] - first, result_tlwh[b]
        truth, result, similarity = _overlapping(*boxes, strips)
        blocks.append((truth + a.start, result + b.start, similarity))
    truth, result, similarity = (np.concatenate(column) for column in zip(*blocks, strict=True))
    return OverlappingPairs(truth, result, similarity, truth_ptr, result_ptr)


def _overlapping(
    truth_frame: Ints,
    truth_tlwh: Floats,
    result_frame: Ints,
    result_tlwh: Floats,
    strips: tuple[float, float],
) -> tuple[Ints, Ints, Floats]:
    """Return the pairs of some frames, counted from 0, and their IoU."""
    order, start, stop = _candidates(truth_frame, truth_tlwh, result_frame, result_tlwh, strips)
    a = _corners_and_area(truth_tlwh)  # (5, n)
    b = _corners_and_area(result_tlwh[order])  # (5, m), in that order
    offsets = _offsets(stop - start)  # (n + 1,) of the candidates
    blocks = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    row = 0
    while row < len(start):
        last = max(row + 1, int(np.searchsorted(offsets, offsets[row] + BLOCK, "right")) - 1)
        blocks.append(_overlaps(a, b, start, stop, row, last))
        row = last
    truth, result, similarity = (np.concatenate(column) for column in zip(*blocks, strict=True))
    return truth, order[result], similarity


def _corners_and_area(tlwh: Floats) -> Floats:
    """Return x1, y1, x2, y2 and area of boxes (n, 4) as rows, (5, n)."""
    x1, y1, x2, y2 = xyxy_from_tlwh(tlwh).T.copy()
    return np.stack([x1, y1, x2, y2, (x2 - x1) * (y2 - y1)])


def _strips(truth_tlwh: Floats) -> tuple[float, float]:
    """Return the left side of the first vertical strip of frames, and the strips' width."""
    left, right = truth_tlwh[:, 0], truth_tlwh[:, 0] + truth_tlwh[:, 2]
    low, high = max(left.min(initial=FAR), -FAR), min(right.max(initial=-FAR), FAR)
    return low, max((high - low) / STRIPS, 1.0)


def _candidates(
    truth_frame: Ints,
    truth_tlwh: Floats,
    result_frame: Ints,
    result_tlwh: Floats,
    strips: tuple[float, float],
) -> tuple[Ints, Ints, Ints]:
    """Sort the results so that those which can overlap a ground-truth box in x are one slice.

    Returns the order (m,) and the start and stop of each slice, (n,). Each frame is divided into
    vertical strips by x1. A result can overlap only if its x1 is less than the x2 of the ground
    truth, and at most the width of the frame's widest result below the x1.
    """
    low, width = strips
    left, right = truth_tlwh[:, 0], truth_tlwh[:, 0] + truth_tlwh[:, 2]

    def cell(frame: Ints, x: Floats) -> Ints:
        strip = np.minimum(np.maximum((x - low) / width, 0), STRIPS - 1)
        cells: Ints = frame * STRIPS + strip.astype(np.int64)
        return cells

    frames = max(truth_frame.max(initial=0), result_frame.max(initial=0)) + 1
    widest = np.zeros(frames)
    np.maximum.at(widest, result_frame, result_tlwh[:, 2])
    cells = cell(result_frame, result_tlwh[:, 0])
    order = np.argsort(cells, kind="stable")
    first, last = cell(truth_frame, left - widest[truth_frame] - MARGIN), cell(truth_frame, right)
    start = np.searchsorted(cells[order], first)
    stop = np.searchsorted(cells[order], last, "right")
    return order, start, np.maximum(start, stop)


def _overlaps(
    a: Floats, b: Floats, start: Ints, stop: Ints, first: int, last: int
) -> tuple[Ints, Ints, Floats]:
    """Return the pairs with an IoU above 0, and that IoU, of rows `first` to `last`, exclusive.

    `a` (5, n) and `b` (5, m) are from `_corners_and_area`.
    """
    count = (stop - start)[first:last]
    row = np.repeat(np.arange(first, last), count)  # (c,)
    column = np.arange(len(row)) + np.repeat(start[first:last] - (np.cumsum(count) - count), count)
    width = np.minimum(a[2][row], b[2][column]) - np.maximum(a[0][row], b[0][column])
    height = np.minimum(a[3][row], b[3][column]) - np.maximum(a[1][row], b[1][column])
    keep = np.flatnonzero((width > 0) & (height > 0))
    row, column = row[keep], column[keep]
    intersection = width[keep] * height[keep]
    area_a, area_b = a[4][row], b[4][column]
    union = area_a + area_b - intersection
    keep = np.flatnonzero((area_a > EPSILON) & (area_b > EPSILON) & (union > EPSILON))
    return row[keep], column[keep], intersection[keep] / union[keep]
