"""Decode videos by the decoder of an NVIDIA GPU, where its frames are those of the CPU."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from av.codec.hwaccel import HWAccel

from mottool.errors import InputError
from mottool.sources.holes import was_damaged
from mottool.sources.video import first_frames
from mottool.sources.video_decoders import AUTO, CPU

__all__ = ["hardware_decoder"]

COMPARED = 16  # frames; they have those of a group of pictures that depend on each other


def hardware_decoder(path: Path, decoder: str, warn: Callable[[str], None]) -> HWAccel | None:
    """Return the GPU's decoder for a video, None for the CPU's; `decoder` is one of `DECODERS`.

    It is used only if it decodes the first frames to the pixels of the CPU, and if the container
    has no damage, which it may hide. Otherwise `auto` is the CPU, about which `warn` receives a
    message, and `gpu` raises `InputError`.
    """
    if decoder == CPU:
        return None
    hardware = HWAccel("cuda", allow_software_fallback=False)
    obstacle = _obstacle(path, hardware)
    if not obstacle:
        return hardware
    if decoder != AUTO:
        fix = f"give --decoder {CPU}, or {AUTO} for the GPU where it can"
        raise InputError(f"{path} cannot be decoded by a GPU: {obstacle}", fix)
    warn(f"{path} is decoded by the CPU: {obstacle}")
    return None


def _obstacle(path: Path, hardware: HWAccel) -> str:
    """Return why a video cannot be decoded by the GPU, or ""."""
    if was_damaged(path):
        return "it is damaged"
    try:
        frames = first_frames(path, COMPARED, hardware)
    except (InputError, av.error.FFmpegError, NotImplementedError, RuntimeError) as error:
        reason = error.problem if isinstance(error, InputError) else str(error)
        return f"there is no GPU, or none with a decoder for it ({reason})"
    expected = first_frames(path, COMPARED)
    same = len(frames) == len(expected) and all(map(np.array_equal, frames, expected))
    return "" if same else "its first frames differ from those of the CPU"
