"""Apply a function to items in threads, in the order of the items. This overlaps stages:

    prefetch ─▶ in_threads(prepare) ─▶ network ─▶ in_threads(write)
    decodes     resizes frames, in      in the     decodes heads and writes,
    frames      as many threads as      caller's   one batch behind the
                there are cores         thread     network

Every stage keeps a bounded number of items ahead of the next one.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["in_threads"]

T = TypeVar("T")
R = TypeVar("R")


def in_threads(
    function: Callable[[T], R], items: Iterable[T], threads: int, ahead: int
) -> Generator[R]:
    """Yield `function(item)` for each item in order, computed in a number of threads.

    `items` is read by the caller's thread, and at most `ahead` items are in work or waiting to be
    yielded. An exception of an item, or of `items`, is raised after the results before it; one that
    ends the process, such as `KeyboardInterrupt`, immediately. Closing this generator cancels
    what has not begun and waits for the rest; it does not close `items`.
    """
    source = iter(items)
    waiting = deque[Future[R]]()
    ended: Exception | None = None
    pool = ThreadPoolExecutor(threads, thread_name_prefix="overlap")
    try:
        while True:
            while ended is None and len(waiting) < ahead:
                try:
                    waiting.append(pool.submit(function, next(source)))
                except Exception as error:  # StopIteration, too
                    ended = error
            if not waiting:
                break
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
    if not isinstance(ended, StopIteration):
        assert ended is not None
        raise ended
