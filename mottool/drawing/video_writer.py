"""Annotated frames as a video that browsers play: H.264, yuv420p, MP4 with its index in front."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Colorspace, Interpolation

from mottool.files import atomic_write

__all__ = ["VideoWriter", "video_writer"]

CLOCK = Fraction(1, 90_000)  # seconds a tick: every usual frame rate and a millisecond are whole
SECONDS_BETWEEN_KEYS = 2  # a browser can only jump to key frames quickly
# Without accurate rounding swscale tints every grey by three levels.
CONVERSION = Interpolation.BICUBIC | Interpolation.ACCURATE_RND


class VideoWriter:
    """Encodes BGR frames of one size, each with its own time; made by `video_writer`."""

    def __init__(self, path: Path, fps: float, crf: int) -> None:
        """Open the file; the size will be that of the first frame."""
        self._container = av.open(
            f"file:{path}", "w", format="mp4", options={"movflags": "+faststart"}
        )
        self._stream = self._container.add_stream(
            "libx264",
            rate=Fraction(fps).limit_denominator(1001),
            options={"crf": str(crf), "preset": "fast"},
        )
        context = self._stream.codec_context
        context.pix_fmt = "yuv420p"
        context.time_base = CLOCK
        context.gop_size = max(1, round(SECONDS_BETWEEN_KEYS * fps))
        # BT.709 in every one of H.273's three code points; untagged colours are anyone's guess.
        context.colorspace = context.color_primaries = context.color_trc = 1
        self._first: float | None = None
        self._ticks = -1

    def write(self, image: npt.NDArray[np.uint8], seconds: float) -> None:
        """Add a BGR frame (H, W, 3), shown `seconds - (seconds of the first)` after the start.

        An odd height or width repeats its last row or column: yuv420p has even sizes only.
        """
        height, width = image.shape[:2]
        if height % 2 or width % 2:
            border = cv2.BORDER_REPLICATE
            even = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, border)
            image = np.asarray(even, np.uint8)
        if self._first is None:
            self._first = seconds
            self._stream.codec_context.height, self._stream.codec_context.width = image.shape[:2]
        # Two frames closer than a tick would otherwise share one.
        self._ticks = max(self._ticks + 1, round((seconds - self._first) / CLOCK))
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        frame = frame.reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, interpolation=CONVERSION
        )
        frame.pts, frame.time_base = self._ticks, CLOCK
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Encode what is still waiting and complete the file."""
        self._container.mux(self._stream.encode())
        self._container.close()

    def abandon(self) -> None:
        """Let go of the file without completing it."""
        with suppress(av.error.FFmpegError):
            self._container.close()


@contextmanager
def video_writer(path: Path, fps: float, crf: int) -> Iterator[VideoWriter]:
    """A writer of the video `path`, which appears when the block ends well and not before.

    `fps` is only what the file says of its rate; each frame comes with its own time. `crf` is
    x264's constant rate factor, 1 (finest) to 51: browsers refuse the profile of the lossless 0.
    An `OutputError` if the file cannot be written.
    """
    with atomic_write(path) as part:
        writer = VideoWriter(part, fps, crf)
        try:
            yield writer
            writer.close()
        except BaseException:
            writer.abandon()
            raise
