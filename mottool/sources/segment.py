"""Segments of a sequence: runs of frames that can be read without those before.

Images are read by number. A video is decoded from a key frame some frames before the segment, and
every frame from there on must have the time that the index of the video says. The frames before the
segment are also the last ones of the segment before it: if both have decoded them to the same
pixels, the frames that follow are the same as in a decoding of the whole video, because a decoder
computes a frame from others.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mottool.errors import SegmentError, ignore_warning
from mottool.sources import video
from mottool.sources.sequence import (
    Frame,
    HalfSequence,
    Sequence,
    SubsampledSequence,
    shared_fields,
    up_to,
)
from mottool.sources.video_index import read_index

__all__ = ["Segment", "Span", "divide"]

COMMON_FRAMES = 16  # at least, that two segments of a video decode both


@dataclass(frozen=True)
class Span:
    """Which frames a segment has, by number, and where the decoding of a video starts for it.

    `start` is a key frame, at `start_ticks` in units of the stream's time base. `common` is the
    first frame that the next segment decodes too, after `last` if none is. `ticks` is the SHA-256
    of the ticks from `start` to `last`. `is_last` says whether the sequence ends with it.
    """

    first: int
    last: int
    start: int
    common: int
    is_last: bool
    start_ticks: int = 0
    ticks: str = ""


def divide(sequence: Sequence, frames: int) -> list[Span]:
    """Divide a sequence into segments of so many frames; the last one may be shorter.

    A video is read, but not decoded. Raises `SegmentError` if a video cannot be divided.
    """
    first = sequence.first_frame
    if sequence.media is None or not sequence.media.is_file():
        last = first + sequence.count_frames() - 1
        spans = _spans(first, last, frames)
        return [Span(begin, end, begin, end + 1, end == last) for begin, end in spans]
    if isinstance(sequence, SubsampledSequence):
        fix = "divide the sequence with all frames"
        raise SegmentError(f"{sequence.path} is read with a frame step", fix)
    # The length of a video itself is an estimate; that of a seqinfo.ini must be right.
    half = sequence if isinstance(sequence, HalfSequence) else None
    stated = half.original.length if half else sequence.length
    index = read_index(sequence.media, stated if sequence.media != sequence.path else None)
    last = half.span[1] if half else len(index.ticks)
    if last > len(index.ticks):
        fix = "check that the video is complete"
        raise SegmentError(f"{sequence.path} has only {len(index.ticks)} frames", fix)
    spans = _spans(first, last, frames)
    starts = [1, *(index.key_before(begin - COMMON_FRAMES) for begin, _ in spans[1:])]
    return [
        Span(
            *(begin, end, start, common, end == last, index.ticks[start - 1]),
            hashlib.sha256(_text(index.ticks[start - 1 : end])).hexdigest(),
        )
        for (begin, end), start, common in zip(spans, starts, [*starts[1:], last + 1], strict=True)
    ]


def _spans(first: int, last: int, frames: int) -> list[tuple[int, int]]:
    return [(begin, min(begin + frames - 1, last)) for begin in range(first, last + 1, frames)]


def _text(ticks: list[int]) -> bytes:
    return "".join(f"{tick}\n" for tick in ticks).encode()


@dataclass
class CommonFrames:
    """SHA-256 of the pixels of the frames that a segment has in common with its neighbours.

    `begin` and `end` are "" where there are none. They are known when all frames were read.
    """

    begin: str = ""
    end: str = ""


@dataclass(frozen=True)
class Segment(Sequence):
    """A segment of `original`; its frames have the numbers and times that they have there.

    `checked` is filled while the frames are read.
    """

    original: Sequence = field(kw_only=True)
    span: Span = field(kw_only=True)
    checked: CommonFrames = field(kw_only=True, default_factory=CommonFrames, compare=False)

    @classmethod
    def of(cls, sequence: Sequence, span: Span) -> "Segment":
        """Take the frames of a span, one of those that `divide` returns for this sequence."""
        fields = shared_fields(sequence) | {"length": span.last - span.first + 1}
        return cls(**fields, original=sequence, span=span)

    @property
    def first_frame(self) -> int:
        """The number of the first frame."""
        return self.span.first

    @property
    def whole_name(self) -> str:
        """The name of the complete sequence, as files of detections and results have it."""
        return self.original.whole_name

    @property
    def cached(self) -> Sequence:
        """The sequence that the header of a cache describes."""
        return self.original.cached

    def frames(
        self,
        start: int = 1,
        warn: Callable[[str], None] = ignore_warning,
        pixels: bool = True,
    ) -> Iterator[Frame]:
        """Yield the frames from number `start` on; otherwise as `Sequence.frames`.

        Raises `SegmentError` after the frames of a video if they are not those of its index.
        """
        media, span, start = self.media, self.span, max(start, self.span.first)
        if media is not None and media.is_file():
            yield from self._decoded(media, start)
            return
        yield from up_to(span.last, self.original.frames(start, warn, pixels))

    def _decoded(self, media: Path, start: int) -> Iterator[Frame]:
        """Yield the frames of a video, and compare their times with the index."""
        span, ticks = self.span, list[int]()
        begin, end = hashlib.sha256(), hashlib.sha256()
        whole = not isinstance(self.original, HalfSequence)
        for number, tick, seconds, image in video.decode_from(media, span.start, span.start_ticks):
            if number > span.last:
                ticks += [tick] if span.is_last and whole else []  # a frame too many
                break
            ticks.append(tick)
            if number < span.first:
                begin.update(image.data)
            if number >= span.common:
                end.update(image.data)
            if number >= start:
                yield Frame(number, image, seconds)
        if hashlib.sha256(_text(ticks)).hexdigest() != span.ticks:
            problem = f"{media}: frames {span.first} to {span.last} are not those of its index"
            raise SegmentError(problem, "check that the video is complete")
        is_first = span.first == self.original.first_frame  # decoded from frame 1
        self.checked.begin = "" if is_first else begin.hexdigest()
        self.checked.end = end.hexdigest() if span.common <= span.last else ""
