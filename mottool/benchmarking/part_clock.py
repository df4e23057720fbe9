"""A clock that adds up the time of each part of a pipeline."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter

from mottool.benchmarking.case import PARTS

__all__ = ["PartClock"]


class PartClock:
    """The seconds of each of `PARTS` for `frame_count` frames, which the caller counts."""

    def __init__(self) -> None:
        """Start at zero."""
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self.frame_count = 0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the duration of the block to a part."""
        start = perf_counter()
        yield
        self.seconds[name] += perf_counter() - start

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add seconds to parts."""
        for name, value in seconds.items():
            self.seconds[name] += value

    def per_frame(self) -> dict[str, float]:
        """Return the mean seconds a frame of each part."""
        return {part: seconds / self.frame_count for part, seconds in self.seconds.items()}
