"""Simulated errors of prior detections occur at the configured rates."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.data.samples import simulate_prior_detections
from mottool.networks.learning import PreviousFrameSampling

WIDTH, HEIGHT = 96, 64
NONE = PreviousFrameSampling(jitter=0, lost=0, false=0)


def people(count):
    return np.tile(np.array([[20, 10, 60, 50]], np.float32), (count, 1))


def simulate(boxes, steps, seed=0):
    return simulate_prior_detections(boxes, steps, WIDTH, HEIGHT, np.random.default_rng(seed))


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_without_errors_detections_are_the_visible_boxes(seed):
    first = np.random.default_rng(seed).uniform(-40, [WIDTH, HEIGHT], (5, 2))
    boxes = np.hstack([first, first + 30]).astype(np.float32)
    expected = np.clip(boxes, 0, [WIDTH - 1, HEIGHT - 1, WIDTH - 1, HEIGHT - 1])
    np.testing.assert_allclose(simulate(boxes, NONE, seed), expected, atol=1e-5)


def test_probabilities_of_zero_and_one():
    assert simulate(people(7), PreviousFrameSampling(lost=1)).shape == (0, 4)
    assert simulate(people(7), PreviousFrameSampling(lost=0, false=0)).shape == (7, 4)
    assert simulate(people(7), PreviousFrameSampling(lost=0, false=1)).shape == (14, 4)
    assert simulate(people(7), PreviousFrameSampling(lost=1, false=1)).shape == (0, 4)
    assert simulate(people(0), PreviousFrameSampling()).shape == (0, 4)


def test_errors_have_the_configured_rates_and_sizes():
    count = 20_000
    boxes = simulate(people(count), PreviousFrameSampling(jitter=0.05, lost=0.4, false=0.1))
    # 0.6 are detected, 0.06 of all twice; one standard deviation is 0.004.
    assert abs(len(boxes) / count - 0.66) < 0.02
    moved = (boxes[:, :2] - [20, 10]) / 40
    np.testing.assert_allclose(moved.std(axis=0), 0.05, rtol=0.05)
    np.testing.assert_allclose(moved.mean(axis=0), 0, atol=0.002)
    np.testing.assert_allclose(boxes[:, 2:] - boxes[:, :2], 40, atol=1e-4)


def test_a_duplicate_is_near_the_first_detection():
    boxes = simulate(people(3), PreviousFrameSampling(jitter=0.05, lost=0, false=1))
    first, second = boxes[:3], boxes[3:]
    assert (first != second).all()
    assert np.abs(first - second).max() < 0.4 * 40


def test_the_result_depends_on_the_seed_only():
    assert np.array_equal(
        simulate(people(9), PreviousFrameSampling(), 1),
        simulate(people(9), PreviousFrameSampling(), 1),
    )
    assert not np.array_equal(
        simulate(people(9), PreviousFrameSampling(), 1),
        simulate(people(9), PreviousFrameSampling(), 2),
    )
