"""Estimate the camera motion of a sequence. Imports no torch, numpy, cv2 or h5py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mottool.errors import ignore_warning, printable
from mottool.pipelines.detect_embed import batches
from mottool.settings import Settings, setting, to_json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mottool.sources.sequence import Sequence

__all__ = ["MotionSettings", "estimate_motion"]

BLOCK = 64  # frames per commit
PREFETCHED = 16  # frames decoded ahead


@dataclass(frozen=True)
class MotionSettings(Settings):
    """How camera motion is estimated."""

    method: str = setting(
        "sparse-flow",
        "sparse-flow: RANSAC on corners that optical flow follows, as BoT-SORT does. orb, sift: "
        "RANSAC on keypoints with matching descriptors, options of BoT-SORT. ecc: alignment of "
        "small images by their correlation, as StrongSORT does.",
        choices=("sparse-flow", "orb", "sift", "ecc"),
    )
    downscale: float | None = setting(
        None,
        "Divide the width and the height of frames by this first; none: by 2, and by 10 for ecc.",
        low=1,
        high=32,
    )


def estimate_motion(
    sequence: Sequence,
    out: Path,
    config: MotionSettings | None = None,
    overwrite: bool = False,
    warn: Callable[[str], None] = ignore_warning,
) -> Path:
    """Estimate the camera motion of `sequence` and write it to `out`.

    An interrupted run resumes after the last frame it committed; a complete file of the same source
    and settings is kept. Raises `CacheError` if `out` was made from other inputs, unless
    `overwrite`, and `InputError` if the sequence has no images.
    """
    from mottool.cache.camera_motion import CameraMotionHeader, CameraMotionWriter

    config, pixels = config or MotionSettings(), sequence.pixel_range
    header = CameraMotionHeader(
        sequence=sequence.name,
        source=printable(str(sequence.path)),
        source_hash=sequence.fingerprint(),
        width=sequence.width,
        height=sequence.height,
        settings=to_json(config) | (pixels.to_json() if pixels else {}),
        first_frame=sequence.first_frame,
    )
    with CameraMotionWriter(out, header, overwrite) as motion:
        if motion.already_complete:
            return out
        warps = _warps(sequence, config, motion.committed, warn)
        for block in batches(warps, BLOCK):
            motion.append(block)
        return motion.finish()


def _warps(
    sequence: Sequence, config: MotionSettings, done: int, warn: Callable[[str], None]
) -> Iterator[npt.NDArray[np.float64]]:
    """Yield the warp (2, 3) of each frame but the first `done`."""
    from mottool.progress import progress
    from mottool.sources.camera_motion import METHODS
    from mottool.sources.prefetch import prefetch

    method = METHODS[config.method]
    estimate = method() if config.downscale is None else method(config.downscale)
    first = sequence.first_frame + done
    # The first one is compared with the frame before.
    frames = prefetch(sequence.frames(first - 1 if done else first, warn), PREFETCHED)
    for frame, _ in progress(frames, sequence.name, sequence.length, done):
        warp = estimate(frame.image)
        if frame.number >= first:
            yield warp
