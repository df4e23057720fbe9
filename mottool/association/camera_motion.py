"""Camera motion of a cache's frames, from the file that `mottool camera-motion` writes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mottool.association.registry import TRACKERS
from mottool.cache.reader import Cache
from mottool.detections import Detections
from mottool.errors import CacheError
from mottool.settings import Settings
from mottool.splits import without_half
from mottool.workdir import find_camera_motion

if TYPE_CHECKING:
    from mottool.cache.camera_motion import CameraMotion

__all__ = ["frames_with_motion", "motion_of", "needs_motion", "required_motion"]


def needs_motion(cache: Cache, tracker: str, settings: Settings) -> bool:
    """Return whether a tracker with these settings requires the camera motion of a cache."""
    required = TRACKERS[tracker].required(settings)
    return "camera_motion" in required and cache.detection_count > 0


def required_motion(cache: Cache, tracker: str, settings: Settings) -> CameraMotion | None:
    """Return the camera motion of a cache's frames, None if the tracker does not require it.

    Raises `CacheError` as `motion_of`.
    """
    return motion_of(cache, tracker) if needs_motion(cache, tracker, settings) else None


def frames_with_motion(
    cache: Cache, motion: CameraMotion | None, embeddings: bool = True
) -> Iterator[Detections]:
    """Return the detections of each frame of a cache, with their camera motion if it is given.

    Without `embeddings`, these are not read.
    """
    frames = cache.frames(embeddings=embeddings)
    if motion is None:
        return frames
    warps = motion.between(cache.first_frame, cache.last_frame)
    pairs = zip(frames, warps, strict=True)
    return (replace(detections, camera_motion=warp) for detections, warp in pairs)


def motion_of(cache: Cache, tracker: str) -> CameraMotion:
    """Return the camera motion of a cache's frames; `tracker` is named in errors.

    Raises `CacheError` if there is no camera-motion file of these frames.
    """
    from mottool.cache.camera_motion import CameraMotion  # imports what writes such files

    header = cache.header
    names = dict.fromkeys([header.sequence, without_half(header.sequence)[0]])
    files = (find_camera_motion(Path(cache.path), name) for name in names)
    path = next(filter(None, files), None)
    if path is None:
        problem = f"there is no camera motion for {cache.path}, which {tracker} compensates for"
        raise CacheError(problem, _fix(cache))
    motion = CameraMotion(path)
    covered = len(motion.between(cache.first_frame, cache.last_frame)) == cache.frame_count
    if not covered or not _same_source(cache, motion.header.source_hash):
        problem = f"{path} is not of the frames of {cache.path}"
        raise CacheError(problem, _fix(cache, " --overwrite"))
    return motion


def _same_source(cache: Cache, source_hash: str) -> bool:
    """Return whether a camera-motion file is of a cache's source; either may be of its half."""
    from mottool.sources.sequence import hash_of_span  # imports libraries of video

    span = cache.first_frame, cache.last_frame
    hashes = source_hash, cache.header.source_hash
    spans = [{value, hash_of_span(value, span)} for value in hashes]
    return not spans[0].isdisjoint(spans[1])


def _fix(cache: Cache, flags: str = "") -> str:
    """Return the command that makes the file, for a cache in a work folder or elsewhere."""
    folder = cache.path.resolve().parent
    root = folder.parent.parent if folder.parent.name == "caches" else folder
    command = shlex.join(["mottool", "camera-motion", cache.header.source, "--work", str(root)])
    return f"run {command}{flags}, or give --no-camera-motion"
