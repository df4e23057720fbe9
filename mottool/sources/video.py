"""Decode video files with PyAV: every frame that decodes, in order, with its own time and number.

A container's metadata is not trusted: frames are counted by decoding them, and the size is that of
a decoded, upright frame. Only `decode_from` seeks.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeAlias

import av
import numpy as np
import numpy.typing as npt
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from mottool.engines.threads import cores
from mottool.errors import InputError, SegmentError
from mottool.sources.holes import Damage, Holes, decodes_cleanly

__all__ = [
    "EDITED",
    "HIDDEN_DAMAGE",
    "NO_TIMES",
    "VideoInfo",
    "decode",
    "decode_from",
    "first_frames",
    "probe",
]

Image = npt.NDArray[np.uint8]
Packet: TypeAlias = "av.Packet[av.VideoStream]"
DEFAULT_RATE = 30.0  # frames per second, if a file states no rate
REENCODE_FIX = "re-encode it as H.264, for example with ffmpeg -i VIDEO -c:v libx264 new.mp4"
CHECK_FIX = (
    "check that the video is complete; if it plays elsewhere, convert it with ffmpeg -i IN OUT.mp4"
)
CHUNK_HEADER = 8  # bytes of AVI's chunks before the packet; the index has their position
EDITED = "mov"  # in the name of containers that may have an edit list
NO_TIMES = 0x80  # AVFMT_NOTIMESTAMPS: a raw stream, such as .h264
FLASH, REORDERED = "flv", 2  # its duration begins with the first packet, up to 2 frames earlier
FIXED_RATE = "mxf"  # the container whose frames follow at one rate
HIDDEN_DAMAGE = frozenset({"mpeg1video", "mpeg2video"})  # only their decoders report it
PICTURES = ("_pipe", "image2")  # ends of FFmpeg's names of formats of still images
UNPLACED = "; it has no times, so after lost frames, later ones have too low numbers"
MAX_THREADS = 16  # of a decoder
# GPUs decode to two planes, of which FFmpeg computes colours otherwise; the values are the same.
PLANAR = {"nv12": "yuv420p", "p010le": "yuv420p10le"}
MAX_FAILURES = 100  # consecutive errors, without a packet between them


@dataclass(frozen=True)
class VideoInfo:
    """Metadata of a video file, with the size of the first frame that decodes.

    `fps` is the container's average rate; `width` and `height` are pixels of the upright frame.
    `frames` and `end` (the last frame's end in seconds) are what the container states, which may be
    wrong; None if it states nothing. `is_picture` states that it is the file of a still image.
    """

    fps: float
    width: int
    height: int
    frames: int | None
    end: float | None
    is_picture: bool = False


def probe(path: Path) -> VideoInfo:
    """Open a video and decode its first frame. Raises `InputError` if the file has no video."""
    with _open(path) as (container, stream):
        upright = next((_Converter().upright(frame) for frame in _frames(container, stream)), None)
        if upright is None:
            raise InputError(f"{path} contains no video frame that can be decoded", REENCODE_FIX)
        height, width = upright.shape[:2]
        fps = _rate(stream) or DEFAULT_RATE
        end = _stated_end(container, stream)
        begin = float((stream.start_time or 0) * (stream.time_base or 0))
        frames = stream.frames or (None if end is None else round((end - begin) * fps))
        is_picture = container.format.name.endswith(PICTURES)
        return VideoInfo(fps, width, height, frames or None, end, is_picture)


def first_frames(path: Path, count: int, hardware: HWAccel | None = None) -> list[Image]:
    """Return the first frames of a video, upright; `hardware` as in `decode`."""
    converter = _Converter(hardware is not None)
    with _open(path, hardware) as (container, stream):
        return [converter.upright(frame) for frame in islice(_frames(container, stream), count)]


def decode(
    path: Path,
    warn: Callable[[str], None],
    start: int = 1,
    expected: int | None = None,
    hardware: HWAccel | None = None,
) -> Iterator[tuple[int, float, Image]]:
    """Yield frames from `start` on: number from 1, seconds, upright BGR pixels (H, W, 3) uint8.

    The seconds are the container's and always increase; a frame without a usable time follows its
    predecessor by one period. Damaged packets are skipped. Where a damaged video of a constant
    rate has lost frames, the numbers continue by time, so that they skip the missing ones. After
    the last frame, `warn` receives a message if packets were damaged, if frames are missing, or if
    fewer frames were decoded than `expected` or than the container states. Raises `InputError` if
    a frame differs in size from the first, and for damage if `hardware` decodes the video.
    """
    info = probe(path)
    number, last, gap, damaged = 0, float("-inf"), 1 / info.fps, list[str]()
    converter = _Converter(hardware is not None)
    with _open(path, hardware) as (container, stream):
        if hardware is None:
            _use_threads(stream)
        clock = _Clock(container.format.name, stream)
        damage = Damage(path, 1 / info.fps, stream.codec_context.name in HIDDEN_DAMAGE)

        def is_damaged(before: float, after: float) -> bool:
            certain = damaged or clock.lost or container.format.name == FIXED_RATE
            return bool(certain) or damage.near(before, after)

        holes = Holes(1 / info.fps, is_damaged)
        for frame in _frames(container, stream, clock.sent, damaged.append):
            if hardware and (damaged or frame.is_corrupt):
                raise _hidden_damage(path, number)
            seconds = clock.time(frame)
            if seconds is not None and holes.contains(seconds):
                continue
            if seconds is None or seconds <= last:
                seconds = 0.0 if number == 0 else last + 1 / info.fps
            elif number and clock.lost is not None:
                number += holes.between(number, last, seconds)
            if number and not holes.contains((last + seconds) / 2):
                gap = max(gap, seconds - last)
            number += 1
            last = seconds
            if number >= start:
                yield number, seconds, _check_size(path, number, converter.upright(frame), info)
        # The count of an MP4 includes frames that an edit list leaves out, while its duration does
        # not. The duration of a truncated AVI is an estimate from its size.
        timed = not container.format.flags & NO_TIMES
        counted = 0 if EDITED in container.format.name and info.end is not None else stream.frames
    if hardware and damaged:
        raise _hidden_damage(path, number)
    if damaged:
        warn(f"{path}: {len(damaged)} damaged packets were skipped{'' if timed else UNPLACED}")
    elif not timed and not decodes_cleanly(path):
        warn(f"{path} is damaged{UNPLACED}")
    if holes.missing:
        warn(f"{path} is damaged: {holes}; later frames keep their numbers, by their times")
    if holes.varying:
        warn(
            f"{path} is damaged after frame {holes.varying}, where its frame rate varies: later "
            "frames may have too low numbers"
        )
    if holes.pauses:
        warn(f"{path}: its times jump {holes.pauses}; frames are numbered on, as after a pause")
    # Without a count, compare the last frame's time with the stated end; it may be earlier by the
    # duration of a frame.
    frames = number - holes.missing
    exact = expected or counted
    if expected and number > expected:
        warn(f"{path} should contain {expected} frames; {frames} could be decoded")
    short = number < exact if exact else info.end is not None and last + 2 * gap < info.end
    if short:
        stated = f"{exact or info.frames} frames"
        stated += "" if exact else f" until {info.end:.2f} s"
        decoded = f"{frames} could be decoded, the last at {last:.2f} s"
        if clock.lost is None:
            decoded += "; it has no index, so after missing frames, later ones have too low numbers"
        warn(f"{path} should contain {stated}; {decoded}")


def _hidden_damage(path: Path, number: int) -> InputError:
    """Return the error of a video that is damaged after a frame, which a GPU may conceal."""
    problem = f"{path} is damaged after frame {number}, which a GPU may conceal"
    return InputError(problem, "give --decoder cpu, which says what is missing")


def decode_from(path: Path, number: int, ticks: int) -> Iterator[tuple[int, int, float, Image]]:
    """Yield the frames from `number` on, where decoding can start: as `decode`, with their ticks.

    Ticks are the presentation time in units of the stream's time base; those of frame `number` are
    given. Raises `SegmentError` if it is not found, and for damage, and `InputError` as `decode`.
    """
    info, converter = probe(path), _Converter()
    try:
        with _open_at(path, number, ticks) as packets:
            for frame in chain.from_iterable(packet.decode() for packet in packets):
                if frame.pts is None or frame.time is None or frame.is_corrupt:
                    raise _unreachable(path, number)
                if frame.pts < ticks:  # it needs frames before the one at `ticks`
                    continue
                image = _check_size(path, number, converter.upright(frame), info)
                yield number, frame.pts, float(frame.time), image
                number += 1
    except av.error.FFmpegError as error:
        raise _unreachable(path, number) from error


@contextmanager
def _open_at(path: Path, number: int, ticks: int) -> Iterator[Iterator[Packet]]:
    """Open a video and give its packets from the key frame `number` at `ticks` on.

    Where seeking misses that, as it does in MPEG-TS, all packets before it are read.
    """
    for seeks in (True, False) if number > 1 else (False,):
        with _open(path) as (container, stream):
            _use_threads(stream)
            if seeks:
                container.seek(ticks, stream=stream)
            packets = container.demux(stream)
            for packet in packets:
                if packet.pts == ticks and packet.is_keyframe:
                    yield chain([packet], packets)
                    return
                if packet.dts is not None and packet.dts > ticks:
                    break
    raise _unreachable(path, number)


def _unreachable(path: Path, number: int) -> SegmentError:
    problem = f"{path}: frame {number} cannot be decoded from the key frame before it"
    return SegmentError(problem, CHECK_FIX)


def _use_threads(stream: av.VideoStream) -> None:
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = min(cores(), MAX_THREADS)


@contextmanager
def _open(
    path: Path, hardware: HWAccel | None = None
) -> Iterator[tuple[InputContainer, av.VideoStream]]:
    """Open a container and its best video stream; it can read local files only."""
    # A playlist could point to the network, and metadata need not be UTF-8.
    options = {"protocol_whitelist": "file"}
    try:
        container = av.open(
            f"file:{path}", options=options, metadata_errors="ignore", hwaccel=hardware
        )
    except (av.error.FFmpegError, OSError) as error:
        if not path.exists():
            raise InputError(f"there is no file {path}", "check the path") from error
        reason = (error.strerror or "unknown format").split(":")[0]
        fix = "make it readable" if isinstance(error, PermissionError) else CHECK_FIX
        raise InputError(f"{path} cannot be opened as a video: {reason}", fix) from error
    with container:
        stream = container.streams.best("video")
        # FFmpeg decodes any .txt file as text-mode art, and treats cover pictures as video.
        art = container.format.name == "tty"
        cover = stream is not None and bool(stream.disposition & Disposition.attached_pic)
        if art or cover or not isinstance(stream, av.VideoStream):
            raise InputError(f"{path} contains no video stream", "give a video file")
        yield container, stream


def _frames(
    container: InputContainer,
    stream: av.VideoStream,
    sent: Callable[[Packet], None] = lambda packet: None,
    damaged: Callable[[str], None] = lambda problem: None,
) -> Iterator[av.VideoFrame]:
    """Yield every frame that decodes, in order of display.

    `sent` receives each packet before it is decoded, `damaged` the error of each that is skipped.
    """
    packets = container.demux(stream)
    failures = 0
    while failures < MAX_FAILURES:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError as error:
            damaged(str(error))
            packets = container.demux(stream)
            failures += 1
            continue
        failures = 0
        if packet.size:
            sent(packet)
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            damaged(str(error))
            continue
        yield from frames


class _Clock:
    """Presentation times of frames, in the container's seconds.

    AVI has no presentation times: FFmpeg numbers the packets that it finds, in coding order. There
    a frame has the time of the packet with which it is displayed, less the delay of the first one.
    A packet's time is its place in the index of the file, in which lost packets are counted.

    `lost` is the number of packets that the index lists and the file lacks so far, None without an
    index, when times do not show where frames are missing.
    """

    def __init__(self, container: str, stream: av.VideoStream) -> None:
        self._is_avi = container == "avi"
        entries = list(stream.index_entries) if self._is_avi else []
        if len(entries) < stream.frames:  # FFmpeg has made them up, as in a truncated file
            entries = []
        positions = sorted(entry.pos for entry in entries if entry.size)
        self._ranks = {position: rank for rank, position in enumerate(positions)}
        self._sent = 0
        self._delay: int | None = None
        self.lost = 0 if positions or not self._is_avi else None

    def sent(self, packet: Packet) -> None:
        """Count a packet before it is sent to the decoder, and correct its time."""
        if not self._is_avi or self.lost is None or packet.dts is None:
            return
        rank = self._ranks.get((packet.pos or 0) - CHUNK_HEADER)
        self.lost = self.lost if rank is None else max(self.lost, rank - self._sent)
        self._sent += 1
        packet.dts += self.lost

    def time(self, frame: av.VideoFrame) -> float | None:
        """Return the frame's time; None if the container has none for it."""
        if not self._is_avi:
            return None if frame.time is None else float(frame.time)
        if frame.dts is None or frame.time_base is None:
            return None
        self._delay = frame.dts if self._delay is None else self._delay
        return float((frame.dts - self._delay) * frame.time_base)


class _Converter:
    """Converts frames to upright BGR, with one scaler on one thread for all of them.

    Those of `hardware` get three planes first, as a CPU decodes them.
    """

    def __init__(self, hardware: bool = False) -> None:
        self._scaler = VideoReformatter()
        self._planes = VideoReformatter() if hardware else None

    def upright(self, frame: av.VideoFrame) -> Image:
        """Return the frame as BGR (H, W, 3), rotated and mirrored by its display matrix."""
        planar = PLANAR.get(frame.format.name)
        if self._planes and planar:
            frame = self._planes.reformat(frame, format=planar, threads=1)
        bgr = self._scaler.reformat(frame, format="bgr24", threads=1)
        image = np.asarray(bgr.to_ndarray(), np.uint8)  # (H, W, 3)
        matrix: Any = frame.side_data.get("DISPLAYMATRIX")
        if matrix is None:
            return image
        # x' = a x + c y, y' = b x + d y with the matrix rows (a, b, .), (c, d, .), in 16.16.
        a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
        if abs(b) > abs(a):
            image = np.transpose(image, (1, 0, 2))  # (W, H, 3)
            a, d = c, b
        image = image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
        return np.ascontiguousarray(image)


def _check_size(path: Path, number: int, image: Image, info: VideoInfo) -> Image:
    """Return the frame; raise `InputError` if it differs in size from the first."""
    height, width = image.shape[:2]
    if (width, height) != (info.width, info.height):
        problem = f"{path} changes from {info.width}x{info.height} to {width}x{height}"
        raise InputError(f"{problem} at frame {number}", "split the video at that frame")
    return image


def _rate(stream: av.VideoStream) -> float:
    """Return the average frame rate of a video, or what FFmpeg guesses; 0 for neither."""
    return float(stream.average_rate or stream.guessed_rate or 0)


def _stated_end(container: InputContainer, stream: av.VideoStream) -> float | None:
    """Return the end of the video that the container states, in its own seconds."""
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
        if container.format.name == FLASH:
            begin -= REORDERED / (_rate(stream) or DEFAULT_RATE)
        return begin + container.duration / av.time_base
    return None
