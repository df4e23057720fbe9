"""Average precision, and size classes of boxes.

Everingham, Van Gool, Williams, Winn & Zisserman, "The PASCAL visual object classes (VOC)
challenge", IJCV 2010, §4.2, with the area under the whole curve, as PASCAL computes it since 2010.

Zhang, Wang, Wang, Zeng & Liu, "FairMOT", IJCV 2021, Table 3: a box below 7000 square pixels of
the original frame is small, one above 15000 large.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.boxes import iou

__all__ = ["FAIRMOT", "SIZES", "average_precision", "claims", "hits", "size_of"]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]
SIZES = ("S", "M", "L")
FAIRMOT = (7000.0, 15000.0)  # square pixels


def claims(
    boxes: Floats, scores: Floats, truth: Floats, overlap: float = 0.5
) -> tuple[Ints, Bools]:
    """Whom each detection of one image means, and whether it is the first to do so.

    `boxes` (n, 4) and `truth` (m, 4) are x1 y1 x2 y2. A detection means the box of the truth that
    it overlaps most, by an IoU of at least `overlap`: its row, (n,), or -1. The first, (n,) bool,
    is the one of highest `scores` (n,) of those that mean the same.
    """
    whom, first = np.full(len(boxes), -1), np.zeros(len(boxes), bool)
    if not len(truth) or not len(boxes):
        return whom, first
    shared = iou(boxes, truth)  # (n, m)
    best = shared.argmax(axis=1)
    near = shared[np.arange(len(boxes)), best] >= overlap
    whom[near] = best[near]
    order = np.argsort(-scores, kind="stable")
    order = order[near[order]]
    first[order[np.unique(whom[order], return_index=True)[1]]] = True
    return whom, first


def hits(boxes: Floats, scores: Floats, truth: Floats, overlap: float = 0.5) -> Bools:
    """Which detections of one image, (n,), are right: the first of `claims` on each box."""
    return claims(boxes, scores, truth, overlap)[1]


def average_precision(
    scores: Floats, right: Bools, truths: float, counts: Floats | None = None
) -> float:
    """The area under precision against recall, in [0, 1], over all images; 0 without truth.

    `scores` and `right` (n,) are of every detection, `truths` boxes were to be found. At each
    recall counts the highest precision there or at any higher one. Each detection stands for one,
    or for `counts` (n,) alike.
    """
    if not truths or not len(scores):
        return 0.0
    order = np.argsort(-scores, kind="stable")
    weight = np.ones(len(scores)) if counts is None else counts[order]
    found = np.cumsum(right[order] * weight)  # (n,)
    recall = found / truths
    precision = found / np.maximum(np.cumsum(weight), np.finfo(float).tiny)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(recall, prepend=0.0)
    return float((steps * precision).sum())


def size_of(
    areas: npt.NDArray[np.floating[Any]], limits: tuple[float, float] = FAIRMOT
) -> npt.NDArray[np.intp]:
    """For each area (n,) in square pixels its place in `SIZES`; both limits are medium."""
    return (areas >= limits[0]).astype(np.intp) + (areas > limits[1])
