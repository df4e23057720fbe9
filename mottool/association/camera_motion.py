"""Camera motion of a cache's frames, from the file that `mottool camera-motion` writes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mottool.cache.camera_motion import CameraMotion
from mottool.cache.reader import Cache
from mottool.detections import Detections
from mottool.errors import CacheError
from mottool.sources.sequence import hash_of_span
from mottool.splits import without_half
from mottool.workdir import find_camera_motion

__all__ = ["camera_motion_of", "frames_with_motion"]

Floats = npt.NDArray[np.float64]


def frames_with_motion(cache: Cache, warps: Floats) -> Iterator[Detections]:
    """Yield the detections of each frame of a cache with its warp, of (F, 2, 3)."""
    for detections, warp in zip(cache.frames(), warps, strict=True):
        yield replace(detections, camera_motion=warp)


def camera_motion_of(cache: Cache, tracker: str) -> Floats:
    """Return the warps (F, 2, 3) of a cache's frames; `tracker` is named in errors.

    Raises `CacheError` if there is no camera-motion file of the cache's frames.
    """
    header = cache.header
    names = dict.fromkeys([header.sequence, without_half(header.sequence)[0]])
    files = (find_camera_motion(Path(cache.path), name) for name in names)
    path = next(filter(None, files), None)
    if path is None:
        problem = f"there is no camera motion for {cache.path}, which {tracker} compensates for"
        raise CacheError(problem, _fix(cache))
    motion = CameraMotion(path)
    warps = motion.between(cache.first_frame, cache.last_frame)
    if warps is None or not _same_source(cache, motion.header.source_hash):
        problem = f"{path} is not of the frames of {cache.path}"
        raise CacheError(problem, _fix(cache, "--overwrite "))
    return warps


def _same_source(cache: Cache, source_hash: str) -> bool:
    """Return whether a camera-motion file is of a cache's source; either may be of its half."""
    span = cache.first_frame, cache.last_frame
    hashes = source_hash, cache.header.source_hash
    spans = [{value, hash_of_span(value, span)} for value in hashes]
    return not spans[0].isdisjoint(spans[1])


def _fix(cache: Cache, flags: str = "") -> str:
    """Return the command that makes the file, for a cache in a work folder or elsewhere."""
    folder = cache.path.resolve().parent
    root = folder.parent.parent if folder.parent.name == "caches" else folder
    command = f"mottool camera-motion {flags}{cache.header.source} --work {root}"
    return f"run {command}, or add --no-camera-motion"
