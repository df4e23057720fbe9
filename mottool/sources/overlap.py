"""Apply a function to items in threads, in the order of the items. This overlaps stages:

    prefetch ─▶ in_threads(prepare) ─▶ network ─▶ in_threads(write)
    decodes     resizes frames, in      in the     decodes heads and writes,
    frames      as many threads as      caller's   one batch behind the
                there are cores         thread     network

Every stage keeps a bounded number of items ahead of the next one, and prepared frames also a
bounded number of bytes.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np

__all__ = ["in_threads", "size_of_arrays"]

T = TypeVar("T")
R = TypeVar("R")
BYTES = 2**29  # of results that are ahead


def in_threads(
    function: Callable[[T], R],
    items: Iterable[T],
    threads: int,
    ahead: int,
    size: Callable[[R], int] | None = None,
) -> Generator[R]:
    """Yield `function(item)` for each item in order, computed in a number of threads.

    `items` is read by the caller's thread, and at most `ahead` items are in work or waiting to be
    yielded. With `size`, which returns the bytes of a result, they are also at most as many as fit
    into `BYTES`, judged by the last result, and one until there is a result. An exception of an
    item, or of `items`, is raised after the results before it; one that ends the process, such as
    `KeyboardInterrupt`, immediately. Closing this generator cancels what has not begun and waits
    for the rest; it does not close `items`.
    """
    source = iter(items)
    waiting = deque[Future[R]]()
    ended: Exception | None = None
    most = 1 if size else ahead
    pool = ThreadPoolExecutor(threads, thread_name_prefix="overlap")
    try:
        while True:
            while ended is None and len(waiting) < most:
                try:
                    waiting.append(pool.submit(function, next(source)))
                except Exception as error:  # StopIteration, too
                    ended = error
            if not waiting:
                break
            result = waiting.popleft().result()
            if size:
                most = min(ahead, max(1, BYTES // max(1, size(result))))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)
    if not isinstance(ended, StopIteration):
        assert ended is not None
        raise ended


def size_of_arrays(value: Any) -> int:
    """Return the bytes of the arrays in nested lists, tuples and data classes."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if is_dataclass(value):
        value = [getattr(value, field.name) for field in fields(value)]
    return sum(map(size_of_arrays, value)) if isinstance(value, (list, tuple)) else 0
