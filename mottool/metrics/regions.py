"""Results in regions whose objects have no labels, which KITTI, VisDrone and BDD100K do not score.

Geiger, Lenz & Urtasun, CVPR 2012 (KITTI's DontCare); Yu et al., CVPR 2020 (BDD100K's crowds). As in
TrackEval, a result without a match is ignored if more than half of its area is in one region.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.boxes import iou
from mottool.metrics.pairs import EPSILON, OverlappingPairs
from mottool.motchallenge.rows import Rows
from mottool.motchallenge.rules import REGION, REGION_RULES

__all__ = ["boxes_in_regions", "in_regions", "region_rows"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating[Any]]
MIN_SHARE = 0.5  # of the area of a result


def region_rows(ground_truth: Rows, rules: str) -> Bools:
    """Return which rows of the ground truth are regions, (n,)."""
    if rules not in REGION_RULES or ground_truth.rest.shape[1] < 2:
        return np.zeros(len(ground_truth), bool)
    is_region: Bools = ground_truth.rest[:, 1] == REGION
    return is_region


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
