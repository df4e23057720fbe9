"""Holes: frames that a damaged video has lost between two frames that decode.

Containers without an index (Matroska, MPEG-TS, raw streams) skip damaged bytes, and the frames in
them vanish without an error. Where the frame rate is constant, the presentation times tell how many
frames are missing.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from threading import RLock

import av
from av.container import InputContainer

__all__ = ["Damage", "Holes", "checked_container", "decodes_cleanly", "was_damaged"]

HISTORY = 12  # periods between frames that are remembered
CONSTANT = 0.15  # largest deviation of a period from the median, as a share of it
RESOLUTION = 0.0015  # seconds; Matroska rounds times to 1 ms
WHOLE = 0.25  # largest deviation of a short hole from whole periods, as a share of one
SHORT = 3  # frames
LONGEST = 60.0  # seconds; a longer interval is a pause between recordings that were joined
NEARBY = 1.0, 8  # distance of damage from a hole: seconds, or periods if they are longer
LEAST = 2  # periods that show whether the rate is constant
PROBED = 90.0  # seconds that FFmpeg may read when it opens a video
SHOWN = 3  # holes that the warning names
LOGGING = RLock()  # held while PyAV logs


class Holes:
    """Finds the holes of a video from the times of its frames.

    `missing` is the number of missing frames found so far.
    """

    def __init__(self, period: float, damaged: Callable[[float, float], bool]) -> None:
        """`period` is one over the average frame rate, in seconds.

        `damaged` returns whether the video is damaged near the interval between two times. Without
        damage, a long interval is a variable frame rate.
        """
        self.missing = 0
        self.varying = 0  # the number of the first frame near damage where the rate varies
        self._period = period
        self._damaged = damaged
        self._history: deque[float] = deque(maxlen=HISTORY)
        self._places: list[str] = []
        self._pauses: list[str] = []
        self._last = (0.0, 0.0)  # begin and end of the last hole in seconds

    def between(self, number: int, before: float, after: float) -> int:
        """Return how many frames are missing after frame `number`, shown at `before` seconds.

        `after` is the time of the next frame that decodes.
        """
        interval = after - before
        period = self._constant_period()
        count = 0 if period is None else _missing_frames(interval, period)
        if period is None and len(self._history) >= LEAST and not self.varying:
            self.varying = number if self._damaged(before, after) else 0
        if count > 0 and self._damaged(before, after):
            if interval > LONGEST:
                self._pauses.append(f"after frame {number}, {before:.2f} to {after:.2f} s")
                return 0
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
        """Return the period of the last frames in seconds, None if it varies or is unknown."""
        if len(self._history) < LEAST:
            return None
        median = sorted(self._history)[len(self._history) // 2]
        limit = CONSTANT * median + RESOLUTION
        if any(abs(interval - median) > limit for interval in self._history):
            return None
        # Times may be rounded, and their errors add up over a long hole.
        mean = sum(self._history) / len(self._history)
        return self._period if abs(mean - self._period) <= limit else mean

    def __str__(self) -> str:
        """Return where frames are missing, "" if none are."""
        return _first(self._places)

    @property
    def pauses(self) -> str:
        """Where times jump too far for lost frames, "" if they do not."""
        return _first(self._pauses)


def _first(places: list[str]) -> str:
    more = len(places) - SHOWN
    shown = "; ".join(places[:SHOWN])
    return f"{shown}; and at {more} more places" if more > 0 else shown


def _missing_frames(interval: float, period: float) -> int:
    """Return how many frames are missing in an interval; 0 if it is not of whole periods."""
    periods = interval / period
    count = round(periods) - 1
    return 0 if count <= SHORT and abs(periods - count - 1) > WHOLE else count


class Damage:
    """The damage of a video, which is looked for when it is asked for first."""

    def __init__(self, path: Path, period: float, decodes: bool) -> None:
        """`period` is one over the average frame rate, in seconds.

        With `decodes`, the frames are decoded too, for a codec whose containers hide damage.
        """
        self._path, self._decodes = path, decodes
        self._nearby = max(NEARBY[0], NEARBY[1] * period)
        self._spans: list[tuple[float, float]] | None = None

    def near(self, before: float, after: float) -> bool:
        """Return whether there is damage near the interval between two times in seconds."""
        if self._spans is None:
            self._spans = _damaged_spans(self._path)
            if self._decodes and not self._spans and not decodes_cleanly(self._path):
                self._spans = [(-inf, inf)]
        first, last = before - self._nearby, after + self._nearby
        return any(begin <= last and end >= first for begin, end in self._spans)


def was_damaged(path: Path) -> bool:
    """Return whether FFmpeg finds damage in the container of a video that it can open.

    The packets are read but not decoded.
    """
    return bool(_damaged_spans(path))


def _damaged_spans(path: Path) -> list[tuple[float, float]]:
    """Return the times, in seconds, between which FFmpeg finds damage of the container."""
    spans: list[tuple[float, float]] = []
    last, reported = None, 0
    try:
        with checked_container(path) as (container, log):
            for packet in container.demux(container.streams.video[0]):
                time = last or 0.0
                if packet.dts is not None and packet.time_base is not None:
                    time = float(packet.dts * packet.time_base)
                if last is None and log:
                    spans.append((-inf, time + PROBED))
                elif packet.is_corrupt or len(log) > reported:
                    spans.append((time if last is None else last, time))
                last, reported = time, len(log)
    except (av.error.FFmpegError, OSError):
        spans.append((last or 0.0, inf))
    return spans


def decodes_cleanly(path: Path) -> bool:
    """Return whether FFmpeg reports nothing while it decodes a video.

    Decoders conceal lost data: the pictures are wrong, and some may be missing.
    """
    try:
        with checked_container(path) as (container, log):
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1  # only this thread's messages are collected
            for packet in container.demux(stream):
                packet.decode()
            return not log
    except (av.error.FFmpegError, OSError):
        return False


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
