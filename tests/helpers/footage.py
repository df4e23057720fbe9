"""Write small videos, image folders and MOTChallenge sequences.

Frame i has a uniform grey of its own (`grey(i)`) and a red quarter in the upper left, so that a
test can identify the frame and its rotation.
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

__all__ = ["grey", "images", "picture", "seqinfo", "video"]


def grey(index: int) -> int:
    """Return the grey level of frame `index` (from 0) outside the red quarter."""
    return 40 + 8 * (index % 24)


def picture(index: int, width: int = 64, height: int = 48) -> np.ndarray:
    """Return frame `index`, (height, width, 3) BGR."""
    image = np.full((height, width, 3), grey(index), np.uint8)
    image[: height // 2, : width // 2] = (0, 0, 230)
    return image


def video(
    path: Path,
    frames: int = 24,
    *,
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    form: str | None = None,
    ticks: Sequence[int] | None = None,
    turned: int = 0,
    keys: int = 12,
    pixels: str = "yuv420p",
) -> Path:
    """Write a video whose frame i is shown at ticks[i] / 30 seconds, by default i / 30."""
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.gop_size = keys
        if turned:
            stream.set_display_rotation(turned)
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(index, *size), format="bgr24")
            frame.pts, frame.time_base = ticks[index] if ticks else index, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def images(
    folder: Path, count: int = 3, size: tuple[int, int] = (64, 48), name: str = "{:06d}.png"
) -> Path:
    """Write a folder of `count` images, numbered from 1."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        cv2.imwrite(str(folder / name.format(index + 1)), picture(index, *size))
    return folder


def seqinfo(folder: Path, **changed: object) -> Path:
    """Write a MOTChallenge folder with only its seqinfo.ini; None omits a key."""
    values = {"name": "told", "imDir": "img1", "frameRate": 25, "seqLength": 3}
    values |= {"imWidth": 64, "imHeight": 48, **changed}
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{key}={value}" for key, value in values.items() if value is not None]
    (folder / "seqinfo.ini").write_text("\n".join(["[Sequence]", *lines]))
    return folder
