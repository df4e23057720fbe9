"""Time between frames: even streams count in whole frames, uneven ones by their times."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.association.run_tracker import steps

always = settings(derandomize=True, deadline=None)


@given(st.floats(1, 120), st.integers(0, 300), st.floats(0, 1e5))
@always
def test_frames_that_come_evenly_count_one_each(rate, count, start):
    times = start + np.arange(count) / rate
    result, per_second = steps(times, 25.0)
    assert result.tolist() == [1.0] * count
    assert per_second == 25.0


@given(st.floats(5, 130), st.integers(2, 300), st.integers(0, 2**32 - 1))
@always
def test_times_in_milliseconds_count_as_even(rate, count, seed):
    times = np.round(np.arange(count) / rate, 3)
    assert steps(times, rate)[0].tolist() == [1.0] * count


def test_a_frame_that_was_left_out_counts_two_and_others_by_their_time():
    at = np.array([0, 1, 2, 4, 5, 6.5, 7.5, 8.0, 9, 10, 11])
    result, rate = steps(at / 20, 25.0)
    np.testing.assert_allclose(result, [1, 1, 1, 2, 1, 1.5, 1, 0.5, 1, 1, 1])
    assert rate == pytest.approx(20)


def test_times_that_stand_still_or_go_back_count_one():
    assert steps(np.zeros(5), 25.0)[0].tolist() == [1.0] * 5
    result, _ = steps(np.array([0, 1, 1, 0.5, 1.5, 2.5, 3.5]), 1.0)
    assert result.tolist() == [1.0] * 7
