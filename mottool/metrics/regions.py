"""Results in regions whose objects have no labels, which KITTI, VisDrone and BDD100K do not score.

Geiger, Lenz & Urtasun, CVPR 2012 (KITTI's DontCare); Yu et al., CVPR 2020 (BDD100K's crowds). As in
TrackEval, a result without a match is ignored if more than half of its area is in one region.

VisDrone's toolkit leaves out objects and results, matched or not, if at least half of their area is
in its regions together (`dropObjects.m`), for whole pixels; here it is for the exact boxes. The
released code has lost the regions when it comes to the results, so that those count there.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.boxes import iou, xyxy_from_tlwh
from mottool.metrics.pairs import EPSILON, OverlappingPairs
from mottool.motchallenge.rows import Rows
from mottool.motchallenge.rules import REGION, REGION_RULES

__all__ = [
    "LEAVING_OUT",
    "boxes_in_regions",
    "in_regions",
    "left_out",
    "mostly_covered",
    "region_rows",
]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating[Any]]
MIN_SHARE = 0.5  # of the area of a result
LEAVING_OUT = frozenset({"visdrone"})  # rules by which all boxes in regions are left out


def region_rows(ground_truth: Rows, rules: str) -> Bools:
    """Return which rows of the ground truth are regions, (n,)."""
    if rules not in REGION_RULES or ground_truth.rest.shape[1] < 2:
        return np.zeros(len(ground_truth), bool)
    is_region: Bools = ground_truth.rest[:, 1] == REGION
    return is_region


def left_out(rows: Rows, ground_truth: Rows, regions: Bools, rules: str) -> Bools:
    """Return which rows (n,) of either file are left out, because regions cover them.

    `regions` are the rows of the ground truth that are regions.
    """
    covered = np.zeros(len(rows), bool)
    if rules not in LEAVING_OUT:
        return covered
    for frame in np.unique(ground_truth.frames[regions]).tolist():
        here = np.flatnonzero(rows.frames == frame)
        of_frame = regions & (ground_truth.frames == frame)
        boxes = xyxy_from_tlwh(rows.tlwh[here]), xyxy_from_tlwh(ground_truth.tlwh[of_frame])
        covered[here] = mostly_covered(*boxes)
    return covered


def mostly_covered(boxes: Floats, regions: Floats) -> Bools:
    """Return of which boxes (n, 4) the regions (k, 4) together cover at least half, (n,).

    All are x1 y1 x2 y2 of one frame. The sides of the regions divide it into cells, which are
    inside of a region or not.
    """
    x, y = np.unique(regions[:, [0, 2]]), np.unique(regions[:, [1, 3]])
    middle_x, middle_y = (x[1:] + x[:-1])[:, None] / 2, (y[1:] + y[:-1])[:, None] / 2
    in_x = (regions[:, 0] < middle_x) & (middle_x < regions[:, 2])  # (X, k)
    in_y = (regions[:, 1] < middle_y) & (middle_y < regions[:, 3])  # (Y, k)
    cells = (in_x[:, None] & in_y).any(axis=2)  # (X, Y)
    wide = np.minimum(boxes[:, 2:3], x[1:]) - np.maximum(boxes[:, 0:1], x[:-1])  # (n, X)
    high = np.minimum(boxes[:, 3:4], y[1:]) - np.maximum(boxes[:, 1:2], y[:-1])  # (n, Y)
    shared = ((np.maximum(wide, 0) @ cells) * np.maximum(high, 0)).sum(axis=1)  # (n,)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)  # (n,)
    covered: Bools = (shared > 0) & (shared >= MIN_SHARE * areas - EPSILON)
    return covered


def boxes_in_regions(boxes: Floats, regions: Floats, objects: Floats) -> Bools:
    """Return which boxes (n, 4) of a frame are mostly in a region and match no object, (n,).

    `regions` (k, 4) and `objects` (m, 4) are x1 y1 x2 y2, too.
    """
    low = np.maximum(boxes[:, None, :2], regions[:, :2])  # (n, k, 2)
    high = np.minimum(boxes[:, None, 2:], regions[:, 2:])  # (n, k, 2)
    shared = np.maximum(high - low, 0).prod(axis=2)  # (n, k)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)  # (n,)
    inside: Bools = (shared > MIN_SHARE * areas[:, None]).any(axis=1)
    return inside & ~(iou(boxes, objects) >= MIN_SHARE).any(axis=1)


def in_regions(
    pairs: OverlappingPairs, ground_truth: Rows, results: Rows, regions: Bools, rules: str
) -> Bools:
    """Return which results are mostly in a region, or too low for the benchmark, (m,)."""
    outside = np.zeros(len(results), bool)
    if rules not in REGION_RULES:
        return outside
    of_region = regions[pairs.truth]
    truth, result = pairs.truth[of_region], pairs.result[of_region]
    result_areas = results.tlwh[result, 2:].prod(axis=1)  # (p,)
    areas = ground_truth.tlwh[truth, 2:].prod(axis=1) + result_areas
    similarity = pairs.similarity[of_region]
    shares = similarity / (1 + similarity) * areas / result_areas  # intersection / area
    outside[result[shares > MIN_SHARE + EPSILON]] = True
    if limit := REGION_RULES[rules]:
        outside |= results.tlwh[:, 3] <= limit + EPSILON
    return outside
