"""Progress of long work: a tqdm bar on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["counter", "progress"]

T = TypeVar("T")
QUIET = 10.0  # seconds between two plain lines
BYTES = "bytes"


def progress(
    items: Iterable[T],
    label: str,
    total: int | None = None,
    done: int = 0,
    unit: str = "frames",
) -> Iterator[T]:
    """Hand the items through and tell on standard error how far the work is.

    `total` may be None or wrong (frame counts of containers often are); `done` counts what an
    earlier run had finished. Short work is silent where there is no terminal.
    """
    with counter(label, total, done, unit) as count:
        for item in items:
            yield item
            count(1)


@contextmanager
def counter(
    label: str, total: int | None = None, done: int = 0, unit: str = "frames"
) -> Iterator[Callable[[int], object]]:
    """Give a function that adds to the finished work, and report it as `progress` does.

    The unit `bytes` is shown as kB, MB or GB.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        scaled = unit == BYTES
        name = "B" if scaled else f" {unit}"
        with tqdm(
            desc=label, total=total, initial=done, unit=name, unit_scale=scaled, leave=False
        ) as bar:
            yield bar.update
        return
    last, count = time.monotonic(), done

    def add(more: int) -> None:
        nonlocal last, count
        count += more
        if time.monotonic() - last > QUIET:
            last = time.monotonic()
            print(f"{label}: {_amount(count, total, unit)}", file=sys.stderr, flush=True)

    yield add


def _amount(count: int, total: int | None, unit: str) -> str:
    """The finished work in words, such as `120 of 250 frames` or `1.2 of 81.0 MB`."""
    if unit == BYTES:
        of = f" of {total / 1e6:.1f}" if total else ""
        return f"{count / 1e6:.1f}{of} MB"
    of = f" of {total}" if total else ""
    return f"{count}{of} {unit}"
