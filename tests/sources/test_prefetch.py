"""Prefetching: order, depth, errors, and closing before the end."""

import threading

import pytest

from mottool.sources.prefetch import prefetch


def test_items_are_yielded_in_order_with_their_times():
    assert [item for item, seconds in prefetch(range(100), 3) if seconds >= 0] == list(range(100))


def test_at_most_depth_items_are_produced_in_advance():
    made = []

    def items():
        for item in range(50):
            made.append(item)
            yield item

    for item, _ in prefetch(items(), 2):
        # The current item, two in the queue, and one waiting for room.
        assert len(made) <= item + 1 + 2 + 1


def test_error_is_raised_after_the_items_before_it():
    def items():
        yield 1
        raise OSError("gone")

    iterator = prefetch(items(), 4)
    assert next(iterator)[0] == 1
    with pytest.raises(OSError, match="gone"):
        next(iterator)


def test_error_of_items_that_cannot_be_iterated_is_raised():
    with pytest.raises(TypeError, match="not iterable"):
        next(prefetch(None, 4))


def test_closing_early_ends_the_thread_and_closes_the_items():
    closed = threading.Event()

    def items():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    iterator = prefetch(items(), 2)
    next(iterator)
    iterator.close()
    assert closed.is_set()
    assert all(thread.name != "prefetch" for thread in threading.enumerate())
