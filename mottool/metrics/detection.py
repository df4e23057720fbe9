"""Average precision of detections, and size classes of boxes.

Everingham, Van Gool, Williams, Winn & Zisserman, "The PASCAL visual object classes (VOC)
challenge", IJCV 2010, §4.2, with the area under the whole curve, as PASCAL computes it since 2010.

Zhang, Wang, Wang, Zeng & Liu, "A simple baseline for multi-object tracking", arXiv 2004.01888v1
(the first version of FairMOT's paper), Table 3: a box below 6000 square pixels of the original
frame is small, one above 25000 large.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.boxes import iou

__all__ = [
    "FAIRMOT_SIZE_LIMITS",
    "SIZES",
    "average_precision",
    "match_to_ground_truth",
    "size_of",
    "true_positives",
]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]
SIZES = ("S", "M", "L")
FAIRMOT_SIZE_LIMITS = (6000.0, 25000.0)  # square pixels


def match_to_ground_truth(
    boxes: Floats, scores: Floats, ground_truth: Floats, min_iou: float = 0.5
) -> tuple[Ints, Bools]:
    """Match each detection of one image to its highest-IoU ground truth; flag the best of each box.

    `boxes` (n, 4) and `ground_truth` (m, 4) are x1 y1 x2 y2. Returns the ground-truth row of each
    detection, (n,), or -1 where no IoU is at least `min_iou`; and which detections have the highest
    of `scores` (n,) among those matched to the same row, (n,) bool.
    """
    rows, first = np.full(len(boxes), -1), np.zeros(len(boxes), bool)
    if not len(ground_truth) or not len(boxes):
        return rows, first
    ious = iou(boxes, ground_truth)  # (n, m)
    best = ious.argmax(axis=1)
    close = ious[np.arange(len(boxes)), best] >= min_iou
    rows[close] = best[close]
    order = np.argsort(-scores, kind="stable")
    order = order[close[order]]
    first[order[np.unique(rows[order], return_index=True)[1]]] = True
    return rows, first


def true_positives(
    boxes: Floats, scores: Floats, ground_truth: Floats, min_iou: float = 0.5
) -> Bools:
    """Return which detections of one image are true positives, (n,): the best match of each box."""
    return match_to_ground_truth(boxes, scores, ground_truth, min_iou)[1]


def average_precision(
    scores: Floats, correct: Bools, ground_truth_count: float, repeats: Floats | None = None
) -> float:
    """Return the area under precision over recall, in [0, 1]; 0 without ground truth.

    `scores` and `correct` (n,) describe the detections of all images. The precision at a recall is
    the highest one there or at any higher recall. `repeats` (n,) counts each detection that often.
    """
    if not ground_truth_count or not len(scores):
        return 0.0
    order = np.argsort(-scores, kind="stable")
    weight = np.ones(len(scores)) if repeats is None else repeats[order]
    hits = np.cumsum(correct[order] * weight)  # (n,)
    recall = hits / ground_truth_count
    precision = hits / np.maximum(np.cumsum(weight), np.finfo(float).tiny)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(recall, prepend=0.0)
    return float((steps * precision).sum())


def size_of(
    areas: npt.NDArray[np.floating[Any]], limits: tuple[float, float] = FAIRMOT_SIZE_LIMITS
) -> npt.NDArray[np.intp]:
    """Return the index into `SIZES` of each area (n,) in square pixels; both limits are medium."""
    return (areas >= limits[0]).astype(np.intp) + (areas > limits[1])
