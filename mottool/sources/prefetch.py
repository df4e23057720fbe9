"""Work ahead: an iterator read in a thread of its own, a few items before they are needed."""

import queue
import threading
from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import TypeVar

__all__ = ["ahead"]

T = TypeVar("T")
PATIENCE = 0.1  # seconds between two looks whether the consumer has gone


def ahead(items: Iterable[T], depth: int) -> Iterator[tuple[T, float]]:
    """Each item with the seconds it took to make, at most `depth` of them made in advance.

    An exception raised while making an item is raised here, after the items before it. When this
    iterator is closed the thread ends, and `items` is closed in it.
    """
    made: queue.Queue[tuple[T, float] | BaseException | None] = queue.Queue(depth)
    closed = threading.Event()

    def put(entry: tuple[T, float] | BaseException | None) -> None:
        while not closed.is_set():
            try:
                made.put(entry, timeout=PATIENCE)
            except queue.Full:
                continue
            return

    def work() -> None:
        source = iter(items)
        try:
            while not closed.is_set():
                begun = perf_counter()
                try:
                    item = next(source)
                except StopIteration:
                    put(None)
                    return
                put((item, perf_counter() - begun))
        except BaseException as error:  # handed to the consumer, whatever it is
            put(error)
        finally:
            if isinstance(source, Iterator) and hasattr(source, "close"):
                source.close()

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        while (entry := made.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry
    finally:
        closed.set()
        thread.join()
