"""Prefetching: read an iterator in a background thread, a few items ahead of its consumer."""

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from time import perf_counter
from typing import TypeVar

__all__ = ["prefetch"]

T = TypeVar("T")
POLL_SECONDS = 0.1  # between two checks whether the consumer has closed the iterator


def prefetch(items: Iterable[T], depth: int) -> Generator[tuple[T, float]]:
    """Yield each item with the seconds it took to compute, at most `depth` items in advance.

    An exception raised by `items` is raised here, after the items before it. Closing this iterator
    ends the thread, which closes `items`.
    """
    ready: queue.Queue[tuple[T, float] | BaseException | None] = queue.Queue(depth)
    closed = threading.Event()
    source = iter(items)  # here, so that its error is raised in the consumer

    def put(entry: tuple[T, float] | BaseException | None) -> None:
        while not closed.is_set():
            try:
                ready.put(entry, timeout=POLL_SECONDS)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            while not closed.is_set():
                start = perf_counter()
                try:
                    item = next(source)
                except StopIteration:
                    put(None)
                    return
                put((item, perf_counter() - start))
        except BaseException as error:  # every exception is raised again in the consumer
            put(error)
        finally:
            if isinstance(source, Iterator) and hasattr(source, "close"):
                source.close()

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while (entry := ready.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry
    finally:
        closed.set()
        thread.join()
