"""Index of a video: the times of its frames and its key frames, from packets that are not decoded.

It has an entry for every frame that decodes only if the video is whole. `sources.segment` compares
the times with those of the decoded frames.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av

from mottool.errors import SegmentError
from mottool.sources.holes import checked_container
from mottool.sources.video import EDITED, HIDDEN_DAMAGE, NO_TIMES, probe

__all__ = ["VideoIndex", "read_index"]

ONE_PROCESS_FIX = "nothing is wrong with its results; re-encode it as an MP4 file to divide it"


@dataclass(frozen=True)
class VideoIndex:
    """The frames of a video, numbered from 1.

    `ticks` are the presentation times of all frames, in units of the stream's time base, and `keys`
    the numbers of the frames where decoding can start.
    """

    ticks: list[int]
    keys: list[int]

    def key_before(self, number: int) -> int:
        """Return the last key frame up to frame `number`, or frame 1."""
        return max((key for key in self.keys if key <= number), default=1)


def read_index(path: Path, expected: int | None = None) -> VideoIndex:
    """Read the packets of a video.

    Raises `SegmentError` if the video is damaged, has no or equal times, or not as many frames as
    the container states or as `expected`: numbers of frames would then need all frames before.
    """
    try:
        with checked_container(path) as (container, log):
            stream = container.streams.best("video")
            if not isinstance(stream, av.VideoStream):
                raise _indivisible(path, "has no video stream")
            if container.format.name == "avi" or container.format.flags & NO_TIMES:
                raise _indivisible(path, "has no presentation times")
            if stream.codec_context.name in HIDDEN_DAMAGE:
                raise _indivisible(path, "may have lost frames, which only decoding finds")
            times: list[tuple[int, bool]] = []
            for packet in container.demux(stream):
                if packet.is_corrupt or log:
                    raise _indivisible(path, "is damaged")
                if packet.size and packet.pts is None:
                    raise _indivisible(path, "has frames without a time")
                if packet.size and packet.pts is not None and not packet.is_discard:
                    times.append((packet.pts, packet.is_keyframe))
            base = float(stream.time_base or 0)
            counted = 0 if EDITED in container.format.name else stream.frames
            if log:
                raise _indivisible(path, "is damaged")
    except (av.error.FFmpegError, OSError) as error:
        raise _indivisible(path, "is damaged") from error
    times.sort()
    ticks = [time for time, _ in times]
    if not times or any(a == b for a, b in pairwise(ticks)) or not times[0][1]:
        raise _indivisible(path, "has frames with equal times, or does not begin with a key frame")
    _check_count(path, ticks, base, expected or counted)
    return VideoIndex(ticks, [number for number, (_, key) in enumerate(times, 1) if key])


def _check_count(path: Path, ticks: list[int], base: float, expected: int) -> None:
    """Raise `SegmentError` where `video.decode` would find frames missing."""
    info = probe(path)
    longest = max((b - a for a, b in pairwise(ticks)), default=0) * base
    gap = max(longest, 1 / info.fps)
    if expected and len(ticks) != expected:
        raise _indivisible(path, f"has {len(ticks)} frames, not {expected}")
    if info.end is not None and ticks[-1] * base + 2 * gap < info.end:
        raise _indivisible(path, "ends before the time that it states")


def _indivisible(path: Path, reason: str) -> SegmentError:
    return SegmentError(f"{path} {reason}", ONE_PROCESS_FIX)
