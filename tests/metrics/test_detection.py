import json

import numpy as np
import pytest
from goldens import HERE
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.metrics.detection import average_precision, claims, hits


def test_each_person_is_found_once():
    truth = np.array([[0.0, 0, 10, 10], [100, 0, 110, 10]])
    boxes = np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [100, 0, 110, 4], [100, 0, 110, 5]])
    scores = np.array([0.8, 0.9, 0.7, 0.6])
    # The second one scores highest and claims the first person, though the first one fits better.
    assert hits(boxes, scores, truth).tolist() == [False, True, False, True]


def test_nobody_to_find_and_nothing_found():
    none = np.zeros((0, 4))
    boxes = np.array([[0.0, 0, 10, 10]])
    assert hits(boxes, np.array([0.5]), none).tolist() == [False]
    assert hits(none, np.zeros(0), boxes).tolist() == []
    assert average_precision(np.zeros(0), np.zeros(0, bool), 3) == 0
    assert average_precision(np.array([0.5]), np.array([False]), 0) == 0


def test_the_area_under_a_curve_drawn_by_hand():
    # Precisions 1, 1/2, 2/3, 2/4, 3/5 at recalls 1/4, 1/4, 2/4, 2/4, 3/4.
    right = np.array([True, False, True, False, True])
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    expected = (1 + 2 / 3 + 3 / 5) / 4
    assert average_precision(scores, right, 4) == pytest.approx(expected)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1000), st.booleans()), min_size=1), st.integers(0, 9))
def test_order_does_not_matter_and_the_bounds_hold(rows, missed):
    scores = np.array([score + place / 1e4 for place, (score, _) in enumerate(rows)])
    right = np.array([flag for _, flag in rows])
    truths = int(right.sum()) + missed
    whole = average_precision(scores, right, truths)
    back = average_precision(scores[::-1], right[::-1], truths)
    assert whole == pytest.approx(back)
    recall = right.sum() / truths if truths else 0
    assert 0 <= whole <= recall + 1e-9
    # Scores only rank.
    assert average_precision(scores**3 + 5, right, truths) == pytest.approx(whole)


@pytest.mark.parametrize("case", json.loads((HERE / "average_precision.json").read_text()))
def test_the_area_is_that_of_scikit_learns_curve(case):
    draw = np.random.default_rng(case["seed"])
    right = draw.random(case["detections"]) < 0.6
    scores = np.where(right, 0.3, 0) + draw.random(case["detections"])
    truths = int(right.sum()) + case["missed"]
    assert average_precision(scores, right, truths) == pytest.approx(case["ap"], abs=1e-12)


def test_a_detection_means_the_person_it_overlaps_most():
    truth = np.array([[0.0, 0, 10, 10], [100, 0, 110, 10]])
    boxes = np.array([[1.0, 0, 11, 10], [0, 0, 10, 10], [100, 0, 110, 4], [98, 0, 108, 10]])
    whom, first = claims(boxes, np.array([0.8, 0.9, 0.7, 0.6]), truth)
    assert whom.tolist() == [0, 0, -1, 1]
    assert first.tolist() == [False, True, False, True]


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1000), st.booleans(), st.integers(0, 3)), min_size=1))
def test_a_detection_that_counts_thrice_is_three(rows):
    scores = np.array([score + place / 1e4 for place, (score, _, _) in enumerate(rows)])
    right = np.array([flag for _, flag, _ in rows])
    counts = np.array([count for _, _, count in rows])
    truths = int((right * counts).sum()) + 2
    weighted = average_precision(scores, right, truths, counts.astype(float))
    copied = average_precision(np.repeat(scores, counts), np.repeat(right, counts), truths)
    assert weighted == pytest.approx(copied)
