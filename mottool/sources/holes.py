"""Holes: frames that a damaged video has lost between two frames that decode.

Containers without an index (Matroska, MPEG-TS, raw streams) skip damaged bytes, and the frames in
them vanish without an error. Where the frame rate is constant, the presentation times tell how many
frames are missing.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

import av
from av.container import InputContainer

__all__ = ["Holes", "checked_container", "was_damaged"]

HISTORY = 12  # periods between frames that are remembered
CONSTANT = 0.15  # largest deviation of a period from the median, as a share of it
RESOLUTION = 0.0015  # seconds; Matroska rounds times to 1 ms
SHOWN = 3  # holes that the warning names
LOGGING = RLock()  # held while PyAV logs


class Holes:
    """Finds the holes of a video from the times of its frames.

    `missing` is the number of missing frames found so far.
    """

    def __init__(self, period: float, damaged: Callable[[], bool]) -> None:
        """`period` is one over the average frame rate, in seconds.

        `damaged` returns whether the video is damaged; it is called once, at the first interval
        that would be a hole. Without damage, a long interval is a variable frame rate.
        """
        self.missing = 0
        self._period = period
        self._damaged = damaged
        self._is_damaged: bool | None = None
        self._history: deque[float] = deque(maxlen=HISTORY)
        self._places: list[str] = []
        self._last = (0.0, 0.0)  # begin and end of the last hole in seconds

    def between(self, number: int, before: float, after: float) -> int:
        """Return how many frames are missing after frame `number`, shown at `before` seconds.

        `after` is the time of the next frame that decodes.
        """
        interval = after - before
        period = self._constant_period()
        count = 0 if period is None else round(interval / period) - 1
        if count > 0 and self._confirmed():
            times = f"{before + (period or 0):.2f} to {after:.2f} s"
            frames = "1 frame is" if count == 1 else f"{count} frames are"
            self._places.append(f"{frames} missing after frame {number}, {times}")
            self.missing += count
            self._last = before, after
            return count
        self._history.append(interval)
        return 0

    def contains(self, seconds: float) -> bool:
        """Return whether a time is inside the last hole.

        Such frames follow the hole, in the order in which they are stored, because the decoder
        lacks what tells it to display them earlier.
        """
        begin, end = self._last
        return begin < seconds < end

    def _constant_period(self) -> float | None:
        """Return the period of the last frames in seconds, None if it varies."""
        if len(self._history) < 2:
            return self._period
        median = sorted(self._history)[len(self._history) // 2]
        limit = CONSTANT * median + RESOLUTION
        constant = all(abs(interval - median) <= limit for interval in self._history)
        return median if constant else None

    def _confirmed(self) -> bool:
        if self._is_damaged is None:
            self._is_damaged = self._damaged()
        return self._is_damaged

    def __str__(self) -> str:
        """Return where frames are missing, "" if none are."""
        more = len(self._places) - SHOWN
        shown = "; ".join(self._places[:SHOWN])
        return f"{shown}; and at {more} more places" if more > 0 else shown


def was_damaged(path: Path) -> bool:
    """Return whether FFmpeg finds damage in the container of a video that it can open.

    The packets are read but not decoded.
    """
    try:
        with checked_container(path) as (container, log):
            for packet in container.demux(container.streams.video[0]):
                if packet.is_corrupt or log:
                    return True
            return bool(log)
    except (av.error.FFmpegError, OSError):
        return True


@contextmanager
def checked_container(path: Path) -> Iterator[tuple[InputContainer, list[tuple[int, str, str]]]]:
    """Open a video, and collect what FFmpeg logs: it reports some skipped bytes nowhere else.

    Only what this thread logs is collected. PyAV's level of logging is that of the process, so
    threads take turns.
    """
    with (
        LOGGING,
        _logged_errors(),
        av.logging.Capture() as log,
        av.open(f"file:{path}", options={"protocol_whitelist": "file"}) as container,
    ):
        yield container, log


@contextmanager
def _logged_errors() -> Iterator[None]:
    """Let PyAV log errors, repeated ones too: those of a second video can be the same."""
    level, skips = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        yield
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skips)
