"""Average precision: how well boxes are found, whoever they are of.

Everingham, Van Gool, Williams, Winn & Zisserman, "The PASCAL visual object classes (VOC)
challenge", IJCV 2010, §4.2, with the area under the whole curve, as PASCAL computes it since 2010.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.boxes import iou

__all__ = ["average_precision", "hits"]

Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]


def hits(boxes: Floats, scores: Floats, truth: Floats, overlap: float = 0.5) -> Bools:
    """Which detections of one image, (n,), are right.

    `boxes` (n, 4) and `truth` (m, 4) are x1 y1 x2 y2. In order of their `scores` (n,), each
    detection claims the box of the truth that it overlaps most; it is right if that one is
    overlapped by an IoU of at least `overlap` and unclaimed.
    """
    right = np.zeros(len(boxes), bool)
    if not len(truth) or not len(boxes):
        return right
    shared = iou(boxes, truth)  # (n, m)
    best = shared.argmax(axis=1)
    claimed = np.zeros(len(truth), bool)
    for row in np.argsort(-scores, kind="stable"):
        if shared[row, best[row]] >= overlap and not claimed[best[row]]:
            right[row] = claimed[best[row]] = True
    return right


def average_precision(scores: Floats, right: Bools, truths: int) -> float:
    """The area under precision against recall, in [0, 1], over all images; 0 without truth.

    `scores` and `right` (n,) are of every detection, `truths` boxes were to be found. At each
    recall counts the highest precision there or at any higher one.
    """
    if not truths or not len(scores):
        return 0.0
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(right[order])  # (n,)
    recall = found / truths
    precision = found / np.arange(1, len(order) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(recall, prepend=0.0)
    return float((steps * precision).sum())
