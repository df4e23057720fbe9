"""Show the progress of long work: a tqdm bar on a terminal, a line every few seconds elsewhere."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

__all__ = ["SHOWN", "counter", "progress"]

T = TypeVar("T")
REPORT_SECONDS = 10.0  # between two plain lines
BYTES = "bytes"
# A worker hides the progress of its task: the process that started it reports that of all tasks.
SHOWN = ContextVar("SHOWN", default=True)


def progress(
    items: Iterable[T],
    label: str,
    total: int | None = None,
    done: int = 0,
    unit: str = "frames",
    status: Callable[[], str] = str,
) -> Iterator[T]:
    """Yield the items, and report on standard error how many have been processed.

    `total` may be None or wrong, as frame counts of video files often are. `done` counts the items
    that an earlier run finished, and `status` returns a text to show beside the count. Without a
    terminal, short work reports nothing.
    """
    with counter(label, total, done, unit, status) as count:
        for item in items:
            yield item
            count(1)


@contextmanager
def counter(
    label: str,
    total: int | None = None,
    done: int = 0,
    unit: str = "frames",
    status: Callable[[], str] = str,
) -> Iterator[Callable[[int], object]]:
    """Give a function that adds to the count of finished items, which `progress` describes.

    The unit `bytes` is shown as kB, MB or GB.
    """
    if not SHOWN.get():
        yield lambda more: None
        return
    if sys.stderr.isatty():
        from tqdm import tqdm

        in_bytes = unit == BYTES
        name = "B" if in_bytes else f" {unit}"
        with tqdm(
            desc=label, total=total, initial=done, unit=name, unit_scale=in_bytes, leave=False
        ) as bar:

            def update(more: int) -> None:
                bar.set_postfix_str(status(), refresh=False)
                bar.update(more)

            yield update
        return
    start = last = time.monotonic()
    count = done

    def add(more: int) -> None:
        nonlocal last, count
        count += more
        if time.monotonic() - last > REPORT_SECONDS:
            last = time.monotonic()
            rest = _time_left(count - done, (total or 0) - count, last - start)
            text = ", ".join(filter(None, [_amount(count, total, unit), status(), rest]))
            print(f"{label}: {text}", file=sys.stderr, flush=True)

    yield add


def _time_left(finished: int, remaining: int, seconds: float) -> str:
    """Describe how long the remaining items take at the speed so far; "" if it is unknown."""
    if finished <= 0 or remaining <= 0:
        return ""
    left = round(seconds / finished * remaining)
    return f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02} left"


def _amount(count: int, total: int | None, unit: str) -> str:
    """Describe the finished work, such as `120 of 250 frames` or `1.2 of 81.0 MB`."""
    if unit == BYTES:
        of = f" of {total / 1e6:.1f}" if total else ""
        return f"{count / 1e6:.1f}{of} MB"
    of = f" of {total}" if total else ""
    return f"{count}{of} {unit}"
