import json

import numpy as np
import pytest
from goldens import HERE
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.metrics.detection import average_precision, match_to_ground_truth, true_positives


def test_each_ground_truth_box_has_one_true_positive():
    truth = np.array([[0.0, 0, 10, 10], [100, 0, 110, 10]])
    boxes = np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [100, 0, 110, 4], [100, 0, 110, 5]])
    scores = np.array([0.8, 0.9, 0.7, 0.6])
    # The second detection scores highest of the first person's, though the first one fits better.
    assert true_positives(boxes, scores, truth).tolist() == [False, True, False, True]


def test_without_ground_truth_or_detections():
    none = np.zeros((0, 4))
    boxes = np.array([[0.0, 0, 10, 10]])
    assert true_positives(boxes, np.array([0.5]), none).tolist() == [False]
    assert true_positives(none, np.zeros(0), boxes).tolist() == []
    assert average_precision(np.zeros(0), np.zeros(0, bool), 3) == 0
    assert average_precision(np.array([0.5]), np.array([False]), 0) == 0


def test_average_precision_of_a_curve_by_hand():
    # Precisions 1, 1/2, 2/3, 2/4, 3/5 at recalls 1/4, 1/4, 2/4, 2/4, 3/4.
    correct = np.array([True, False, True, False, True])
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    expected = (1 + 2 / 3 + 3 / 5) / 4
    assert average_precision(scores, correct, 4) == pytest.approx(expected)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1000), st.booleans()), min_size=1), st.integers(0, 9))
def test_order_does_not_matter_and_the_bounds_hold(rows, missed):
    scores = np.array([score + index / 1e4 for index, (score, _) in enumerate(rows)])
    correct = np.array([flag for _, flag in rows])
    count = int(correct.sum()) + missed
    value = average_precision(scores, correct, count)
    reverse = average_precision(scores[::-1], correct[::-1], count)
    assert value == pytest.approx(reverse)
    recall = correct.sum() / count if count else 0
    assert 0 <= value <= recall + 1e-9
    # Scores only rank.
    assert average_precision(scores**3 + 5, correct, count) == pytest.approx(value)


@pytest.mark.parametrize("case", json.loads((HERE / "average_precision.json").read_text()))
def test_average_precision_equals_scikit_learns(case):
    draw = np.random.default_rng(case["seed"])
    correct = draw.random(case["detections"]) < 0.6
    scores = np.where(correct, 0.3, 0) + draw.random(case["detections"])
    count = int(correct.sum()) + case["missed"]
    assert average_precision(scores, correct, count) == pytest.approx(case["ap"], abs=1e-12)


def test_a_detection_is_matched_to_the_box_of_highest_iou():
    truth = np.array([[0.0, 0, 10, 10], [100, 0, 110, 10]])
    boxes = np.array([[1.0, 0, 11, 10], [0, 0, 10, 10], [100, 0, 110, 4], [98, 0, 108, 10]])
    rows, first = match_to_ground_truth(boxes, np.array([0.8, 0.9, 0.7, 0.6]), truth)
    assert rows.tolist() == [0, 0, -1, 1]
    assert first.tolist() == [False, True, False, True]


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1000), st.booleans(), st.integers(0, 3)), min_size=1))
def test_repeated_detections_equal_copies(rows):
    scores = np.array([score + index / 1e4 for index, (score, _, _) in enumerate(rows)])
    correct = np.array([flag for _, flag, _ in rows])
    counts = np.array([count for _, _, count in rows])
    count = int((correct * counts).sum()) + 2
    weighted = average_precision(scores, correct, count, counts.astype(float))
    copied = average_precision(np.repeat(scores, counts), np.repeat(correct, counts), count)
    assert weighted == pytest.approx(copied)
