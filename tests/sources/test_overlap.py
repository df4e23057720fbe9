"""Applying a function in threads: order, bounds, errors, and closing before the end."""

import threading
import time
from contextlib import closing

import numpy as np
import pytest

from mottool.sources import overlap
from mottool.sources.overlap import in_threads, size_of_arrays
from mottool.sources.sequence import Frame


def alive():
    return [thread for thread in threading.enumerate() if thread.name.startswith("overlap")]


def test_results_are_in_order_although_later_ones_are_ready_first():
    def slow_at_first(item):
        time.sleep(0.02 if item % 4 == 0 else 0)
        return item * item

    assert list(in_threads(slow_at_first, range(20), 3, 6)) == [item**2 for item in range(20)]
    assert not alive()


def test_at_most_ahead_items_are_in_work_or_waiting():
    taken = []

    def items():
        for item in range(30):
            taken.append(item)
            yield item

    for result in in_threads(abs, items(), 2, 3):
        assert len(taken) <= result + 3


@pytest.mark.parametrize(("size", "most"), [(100, 8), (300, 3), (2000, 1)])
def test_results_ahead_are_limited_by_their_bytes(size, most, monkeypatch):
    monkeypatch.setattr(overlap, "BYTES", 1000)
    taken = []

    def items():
        for item in range(30):
            taken.append(item)
            yield item

    ahead = []
    results = in_threads(abs, items(), 2, 8, lambda result: size)
    for result in results:
        ahead.append(len(taken) - result)
    assert ahead[0] == 1
    assert max(ahead) == most


def test_bytes_of_arrays_are_counted_in_nested_values():
    frame = Frame(1, np.zeros((2, 3, 3), np.uint8), 0.0)
    assert size_of_arrays([(frame, None), 1.0, np.zeros(2, np.float32), "text"]) == 18 + 8


def test_items_in_work_at_once_are_limited_by_threads():
    busy, most, lock = 0, 0, threading.Lock()

    def work(item):
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.002)
        with lock:
            busy -= 1

    assert len(list(in_threads(work, range(30), 3, 30))) == 30
    assert most == 3


@pytest.mark.parametrize("of_items", [False, True])
def test_an_error_is_raised_after_the_results_before_it(of_items):
    def items():
        yield from range(3)
        if of_items:
            raise OSError("gone")
        yield 3

    def work(item):
        if item == 3:
            raise OSError("gone")
        time.sleep(0.01)
        return item

    results = in_threads(work, items(), 2, 8)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="gone"):
        next(results)
    assert not alive()


def test_an_interruption_is_raised_immediately():
    def items():
        yield 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(in_threads(abs, items(), 2, 8))
    assert not alive()


def test_closing_early_ends_the_threads():
    done = []

    def work(item):
        time.sleep(0.01)
        done.append(item)

    with closing(in_threads(work, range(100), 2, 50)) as results:
        next(results)
    assert not alive()
    assert len(done) < 10
