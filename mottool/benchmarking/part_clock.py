"""A clock that adds up the time of each part of a pipeline."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import TypeVar

from mottool.benchmarking.case import PARTS

__all__ = ["PartClock"]

T = TypeVar("T")


class PartClock:
    """The seconds of each of `PARTS`, and the number of frames that `frames` has yielded."""

    def __init__(self) -> None:
        """Start at zero."""
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._opening = 0.0
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

    def frames(self, frames: Iterable[T]) -> Iterator[T]:
        """Yield frames, and add the time that each takes to the decoding.

        That of the first one counts as the opening of the video.
        """
        iterator = iter(frames)
        while True:
            start = perf_counter()
            try:
                frame = next(iterator)
            except StopIteration:
                return
            seconds = perf_counter() - start
            if self.frame_count:
                self.seconds["decode"] += seconds
            else:
                self._opening = seconds
            self.frame_count += 1
            yield frame

    def per_frame(self) -> dict[str, float]:
        """Return the mean seconds a frame of each part.

        The mean of the decoding leaves out the first frame, unless it is the only one.
        """
        means = {part: seconds / self.frame_count for part, seconds in self.seconds.items()}
        later = self.frame_count - 1
        return means | {"decode": self.seconds["decode"] / later if later else self._opening}
