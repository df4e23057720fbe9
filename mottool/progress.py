"""Progress of long work: a tqdm bar on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["progress"]

T = TypeVar("T")
QUIET = 10.0  # seconds between two plain lines


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
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, desc=label, total=total, initial=done, unit=f" {unit}", leave=False)
        return
    told = time.monotonic()
    for count, item in enumerate(items, done + 1):
        yield item
        if time.monotonic() - told > QUIET:
            told = time.monotonic()
            of = f" of {total}" if total else ""
            print(f"{label}: {count}{of} {unit}", file=sys.stderr, flush=True)
