"""Frames per second of a tracking system: the one definition of FPS, FPSD, FPSE and FPSA.

FPS is of the whole system: networks with their preprocessing, decoding of their heads, embedding
and association. FPSD, FPSE and FPSA are of detection, embedding and association alone, as in
Table 4 of Wang, Zheng, Liu, Li & Wang, "Towards real-time multi-object tracking" (JDE), ECCV 2020.
Reading and decoding the video are not counted, nor are the first frame of a sequence, during which
kernels are loaded, and imports of libraries. A one-shot network embeds while it detects, so it has
no FPSE.
"""

import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = [
    "FPS_NOTE",
    "given_boxes_note",
    "rates_of",
    "timing_notes",
    "FrameTimer",
    "SystemTime",
    "detection_and_embedding",
    "has_given_boxes",
    "warm",
]

T = TypeVar("T")
U = TypeVar("U")
Floats = npt.NDArray[np.float64]
FROM_FILES = frozenset({"public", "gt"})  # detectors whose boxes are read, without recorded time
FPS_NOTE = (
    "FPS is of the whole system: networks, decoding of their heads, and association. Decoding of "
    "the video and the first frame of each sequence, which includes start-up, are left out."
)


def has_given_boxes(pipeline: str) -> bool:
    """Return whether a pipeline's boxes come from files, so that FPS includes no detection."""
    return pipeline.partition("+")[0] in FROM_FILES


def given_boxes_note(names: Iterable[str]) -> str:
    """Return the message that FPS of these pipelines or trackers includes no detection."""
    return f"{', '.join(names)}: boxes come from files, so FPS includes no detection"


def rates_of(records: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return frames per second by name, of the results with these records.

    Parts without recorded time are left out, all of them if a record has none.
    """
    times = [SystemTime.read(record) for record in records]
    known = [time for time in times if time is not None]
    rates = sum(known, SystemTime()).rates() if len(known) == len(times) else {}
    return {name: rate for name, rate in rates.items() if rate is not None}


def timing_notes(records: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Describe what the recorded times of results leave out, and what ran meanwhile.

    `records` are those of all results of each tracker.
    """
    notes, given, beside = list[str](), list[str](), dict[int, list[str]]()
    for name, of_tracker in records.items():
        timed = [record for record in of_tracker if SystemTime.read(record)]
        if any(record.get("boxes_given") for record in timed):
            given.append(name)
        processes = max((record.get("processes", 1) for record in timed), default=1)
        if processes > 1:
            beside.setdefault(processes, []).append(name)
    if given:
        notes.append(given_boxes_note(given))
    for processes, names in beside.items():
        problem = f"association was timed while up to {processes} processes worked"
        fix = "mottool associate --jobs 1 times it alone"
        notes.append(f"{', '.join(names)}: {problem}, which can lower FPSA and FPS; {fix}")
    return notes


def warm(frames: int) -> slice:
    """Return all frames but the first, which includes the loading of libraries and kernels."""
    return slice(1 if frames > 1 else 0, None)


def detection_and_embedding(timing: npt.NDArray[np.floating[Any]]) -> tuple[Floats, Floats]:
    """Return the seconds of detection and of embedding, (F,) each, from a cache's `timing` (F, 4).

    Detection includes the decoding of the network's heads, but not that of the frame.
    """
    from mottool.cache.layout import TIMING  # imports h5py, which evaluate does not need

    seconds = dict(zip(TIMING, timing.T.astype(np.float64), strict=True))  # (F,) each
    return seconds["network"] + seconds["heads"], seconds["embed"]


class FrameTimer:
    """Wraps the frames that a tracker reads, and times what it does with each frame.

    The time to read a frame is not counted. It ends when the next frame is asked for, or at `stop`.
    """

    def __init__(self) -> None:
        """Start without frames."""
        self.seconds = array("d")
        self._imported = bytearray()
        self._stopped: float | None = None

    @property
    def array(self) -> Floats:
        """Return the seconds of each frame, (F,).

        A frame during which a library is imported, such as the solver of the first conflict between
        tracks, counts as the median of the others.
        """
        seconds, imported = np.array(self.seconds, np.float64), np.array(self._imported, bool)
        if not imported.all():
            seconds[imported] = np.median(seconds[~imported])
        return seconds

    def __call__(self, frames: Iterable[T]) -> Iterator[T]:
        """Yield the frames, and time what happens until the next one is asked for."""
        for frame in frames:
            modules, start, self._stopped = len(sys.modules), perf_counter(), None
            yield frame
            end = perf_counter() if self._stopped is None else self._stopped
            self.seconds.append(end - start)
            self._imported.append(len(sys.modules) > modules)

    def stop(self, result: U) -> U:
        """End the time of the present frame, and return the result."""
        self._stopped = perf_counter()
        return result


@dataclass(frozen=True)
class SystemTime:
    """The seconds that a system spends on the warm frames of one or several sequences."""

    frames: int = 0
    detection: float = 0.0
    embedding: float = 0.0
    association: float = 0.0

    @classmethod
    def of(
        cls, detection: Floats, embedding: Floats, association: Floats, boxes_given: bool = False
    ) -> "SystemTime":
        """Sum the seconds of the warm frames of a sequence, (F,) each.

        With `boxes_given` no time is spent on detection.
        """
        parts = [part[warm(len(part))] for part in (detection, embedding, association)]
        seconds = [float(part.sum()) for part in parts]
        return cls(len(parts[0]), 0.0 if boxes_given else seconds[0], *seconds[1:])

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "SystemTime | None":
        """Return the time in the record of a result file, or None if it has none."""
        values = record.get("seconds")
        names = [field.name for field in fields(cls)]
        if not isinstance(values, Mapping) or not all(
            isinstance(values.get(name), int | float) for name in names
        ):
            return None
        return cls(*(values[name] for name in names))

    def to_json(self) -> dict[str, float]:
        """Return the time as a result file's record stores it."""
        return asdict(self)

    def __add__(self, other: "SystemTime") -> "SystemTime":
        names = [field.name for field in fields(self)]
        return SystemTime(*(getattr(self, name) + getattr(other, name) for name in names))

    def rates(self) -> dict[str, float | None]:
        """Return FPSD, FPSE, FPSA and FPS; None for a part without recorded time."""
        parts: Sequence[float] = (self.detection, self.embedding, self.association)
        rates = [self.frames / part if part > 0 else None for part in (*parts, sum(parts))]
        return dict(zip(("FPSD", "FPSE", "FPSA", "FPS"), rates, strict=True))
