"""Boxes in regions without labels, by VisDrone's rules."""

import numpy as np
import pytest

from mottool.metrics.preprocess import preprocess
from mottool.metrics.regions import mostly_covered
from mottool.motchallenge.rows import Rows
from mottool.motchallenge.rules import PEDESTRIAN, REGION


def test_the_covered_share_equals_that_of_pixels():
    draw = np.random.default_rng(0)
    for _ in range(50):
        corners = draw.integers(0, 30, (9, 2, 2))
        boxes = np.concatenate([corners.min(1), corners.max(1) + 1], axis=1).astype(float)
        objects, regions = boxes[:6], boxes[6:]
        mask = np.zeros((32, 32))
        for x1, y1, x2, y2 in regions.astype(int).tolist():
            mask[y1:y2, x1:x2] = 1
        shares = [mask[y1:y2, x1:x2].mean() for x1, y1, x2, y2 in objects.astype(int).tolist()]
        np.testing.assert_array_equal(mostly_covered(objects, regions), np.array(shares) >= 0.5)


def rows(table):
    """Return rows of frame 1 from identity, left, top, width, height, flag, class."""
    values = np.array(table, float).reshape(-1, 7)
    frames = np.ones(len(values), np.int64)
    rest = np.column_stack([values[:, 5:], np.ones(len(values))])
    return Rows(frames, values[:, 0].astype(np.int64), values[:, 1:5], rest)


@pytest.mark.parametrize(("rules", "objects", "results"), [("visdrone", 1, 1), ("bdd100k", 2, 2)])
def test_objects_and_results_in_regions_are_left_out_even_if_they_match(rules, objects, results):
    truth = rows(
        [
            (1, 10, 10, 20, 40, 1, PEDESTRIAN),
            (2, 100, 10, 20, 40, 1, PEDESTRIAN),  # half in the two regions together
            (-3, 100, 10, 5, 40, 0, REGION),
            (-4, 105, 10, 5, 40, 0, REGION),
        ]
    )
    tracks = rows([(7, 10, 10, 20, 40, 1, -1), (8, 100, 10, 20, 40, 1, -1)])
    scored = preprocess(truth, tracks, 1, rules, "a")
    assert (len(scored.truth_ids), len(scored.result_ids)) == (objects, results)
    assert len(scored.pairs.truth) == objects
