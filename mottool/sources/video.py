"""Video files read through PyAV: every frame that decodes, in order, at its own time.

Nothing a container claims is believed: frames are counted by decoding them, the size is that of
a decoded and upright frame, and no position is reached by seeking.
"""

import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.stream import Disposition

from mottool.errors import InputError

__all__ = ["VideoInfo", "decoded", "probe"]

Image = npt.NDArray[np.uint8]
DEFAULT_RATE = 30.0  # frames a second, where a file says nothing
REENCODE = "re-encode it as H.264, for example with ffmpeg -i VIDEO -c:v libx264 new.mp4"
CHECK = "check that it is a whole video; if it plays elsewhere, ffmpeg -i IN OUT.mp4 converts it"


@dataclass(frozen=True)
class VideoInfo:
    """What a video file says of itself, its size taken from the first frame that decodes.

    `fps` is the container's average rate; `width` and `height` are pixels of the upright frame;
    `frames` and `end` (the last frame's end in seconds) are claims, None where there is none.
    """

    fps: float
    width: int
    height: int
    frames: int | None
    end: float | None


def probe(path: Path) -> VideoInfo:
    """Open a video and decode its first frame; an `InputError` if it holds no video."""
    with _opened(path) as (container, stream):
        upright = next((_upright(frame) for frame in _frames(container, stream)), None)
        if upright is None:
            raise InputError(f"{path} holds no video frame that can be decoded", REENCODE)
        height, width = upright.shape[:2]
        fps = float(stream.average_rate or 0) or DEFAULT_RATE
        end = _claimed_end(container, stream)
        frames = stream.frames or (None if end is None else round(end * fps))
        return VideoInfo(fps, width, height, frames or None, end)


def decoded(
    path: Path, warn: Callable[[str], None], start: int = 1, expected: int | None = None
) -> Iterator[tuple[int, float, Image]]:
    """The frames from number `start` on: number from 1, seconds, BGR uint8 (H, W, 3), upright.

    The seconds are the container's own and always increase; a frame without a usable time follows
    its predecessor by one period. Damaged packets are skipped. When fewer frames come out than
    were `expected` or the container says, or packets were damaged, `warn` is told so after the
    last frame.
    An `InputError` if a frame has another size than the first.
    """
    info = probe(path)
    number, last, gap, damaged = 0, float("-inf"), 1 / info.fps, list[str]()
    with _opened(path) as (container, stream):
        stream.thread_type = "AUTO"
        shown = _Clock(container.format.name)
        for frame in _frames(container, stream, shown.sent, damaged.append):
            number += 1
            seconds = shown.time(frame)
            if seconds is None or seconds <= last:
                seconds = 0.0 if number == 1 else last + 1 / info.fps
            gap = max(gap, seconds - last) if number > 1 else gap
            last = seconds
            if number >= start:
                yield number, seconds, _checked(path, number, _upright(frame), info)
        exact = expected or stream.frames
    if damaged:
        warn(f"{path}: {len(damaged)} damaged packets were skipped")
    # Only some containers count their frames; in the others the last frame's time must tell, and
    # it may lie before the claimed end by as long as a frame lasts.
    if expected and number > expected:
        warn(f"{path} should hold {expected} frames; {number} could be decoded")
    short = number < exact if exact else info.end is not None and last + 2 * gap < info.end
    if short:
        claim = f"{exact} frames" if exact else f"{info.frames} frames until {info.end:.2f} s"
        warn(f"{path} should hold {claim}; {number} could be decoded, the last at {last:.2f} s")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, av.VideoStream]]:
    """The container and its best video stream; only local files are ever opened by it."""
    # A playlist could point to the network, and metadata need not be UTF-8.
    options = {"protocol_whitelist": "file"}
    try:
        container = av.open(f"file:{path}", options=options, metadata_errors="ignore")
    except (av.error.FFmpegError, OSError) as error:
        if not path.exists():
            raise InputError(f"there is no file {path}", "check the path") from error
        reason = (error.strerror or "unknown format").split(":")[0]
        fix = "make it readable" if isinstance(error, PermissionError) else CHECK
        raise InputError(f"{path} cannot be opened as a video: {reason}", fix) from error
    with container:
        stream = container.streams.best("video")
        # FFmpeg plays any .txt file as text-mode art, and counts cover pictures as video.
        art = container.format.name == "tty"
        cover = stream is not None and bool(stream.disposition & Disposition.attached_pic)
        if art or cover or not isinstance(stream, av.VideoStream):
            raise InputError(f"{path} holds no video stream", "give a video file")
        yield container, stream


def _frames(
    container: InputContainer,
    stream: av.VideoStream,
    sent: Callable[["av.Packet[av.VideoStream]"], None] = lambda packet: None,
    damaged: Callable[[str], None] = lambda problem: None,
) -> Iterator[av.VideoFrame]:
    """Every frame that decodes, in order of display; a packet that does not is passed over."""
    packets = container.demux(stream)
    stuck = 0
    while stuck < 100:  # errors in a row, with nothing read between them
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError as error:
            damaged(str(error))
            packets = container.demux(stream)
            stuck += 1
            continue
        stuck = 0
        if packet.size:
            sent(packet)
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            damaged(str(error))
            continue
        yield from frames


class _Clock:
    """When a frame is shown, in the container's seconds.

    AVI has no presentation times: FFmpeg stamps its packets in coding order, and decoding in
    order of display scrambles those stamps. There a frame takes the earliest one not shown yet.
    """

    def __init__(self, container: str) -> None:
        self._in_order = container == "avi"
        self._waiting: list[float] = []

    def sent(self, packet: "av.Packet[av.VideoStream]") -> None:
        """Take note of a packet that goes to the decoder."""
        if self._in_order and packet.pts is not None:
            heapq.heappush(self._waiting, float(packet.pts * packet.time_base))

    def time(self, frame: av.VideoFrame) -> float | None:
        """The frame's time, None if the container has none for it."""
        if self._in_order:
            return heapq.heappop(self._waiting) if self._waiting else None
        return None if frame.time is None else float(frame.time)


def _upright(frame: av.VideoFrame) -> Image:
    """The frame as BGR (H, W, 3), turned and mirrored as its display matrix asks."""
    image = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)  # (H, W, 3)
    told: Any = frame.side_data.get("DISPLAYMATRIX")
    if told is None:
        return image
    # x' = a x + c y, y' = b x + d y with the matrix rows (a, b, .), (c, d, .), 16.16 fixed point.
    a, b, _, c, d = np.frombuffer(bytes(told), np.int32)[:5].tolist()
    if abs(b) > abs(a):
        image = np.transpose(image, (1, 0, 2))  # (W, H, 3)
        a, d = c, b
    image = image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(image)


def _checked(path: Path, number: int, image: Image, info: VideoInfo) -> Image:
    height, width = image.shape[:2]
    if (width, height) != (info.width, info.height):
        problem = f"{path} changes from {info.width}x{info.height} to {width}x{height}"
        raise InputError(f"{problem} at frame {number}", "cut it there into two videos")
    return image


def _claimed_end(container: InputContainer, stream: av.VideoStream) -> float | None:
    """When the container says that its video ends, in its own seconds."""
    tick = stream.time_base or Fraction(0)
    begin = float((stream.start_time or 0) * tick)
    if stream.duration:
        return begin + float(stream.duration * tick)
    hours, _, rest = stream.metadata.get("DURATION", "").partition(":")  # Matroska's tag
    minutes, _, seconds = rest.partition(":")
    try:
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        pass
    if container.duration and len(container.streams) == 1:
        return begin + container.duration / av.time_base
    return None
