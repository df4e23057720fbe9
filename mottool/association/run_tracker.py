"""Run a tracker over a cache.

The time between frames comes from the presentation times of the cache, so that dropped frames
count for motion and for the age of lost tracklets.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mottool.association.camera_motion import frames_with_motion, required_motion
from mottool.association.embedded_scores import missing_embeddings
from mottool.association.registry import TRACKERS
from mottool.association.result_rows import join_frames
from mottool.association.sequence_settings import InputSettings
from mottool.association.tracks import EMBEDDINGS_FIX, SequenceInfo, Tracker, Tracks
from mottool.cache.reader import Cache
from mottool.detections import Detections
from mottool.errors import CacheError, InputError, SettingError, did_you_mean, ignore_warning
from mottool.motchallenge.rows import Rows
from mottool.settings import Settings
from mottool.splits import without_half

if TYPE_CHECKING:
    from mottool.cache.camera_motion import CameraMotion

__all__ = ["join_frames", "run_tracker", "select_detections", "steps", "track_frames"]

Floats = npt.NDArray[np.float64]
JITTER = 0.1  # frames: smaller deviations come from rounded times, not from the frames
ROUNDING = 1.1e-3  # seconds: slightly more than the time resolution of some containers


def run_tracker(
    cache: Cache,
    tracker: str,
    settings: Settings,
    progress: Callable[[Iterable[Detections]], Iterable[Detections]] = lambda frames: frames,
    inputs: InputSettings | None = None,
    public: Path | None = None,
    warn: Callable[[str], None] = ignore_warning,
) -> Rows:
    """Track an open cache; return rows by frame, in the tracker's order, with scores in `rest`.

    The arguments and errors are those of `track_frames`. Raises `CacheError` if the camera motion
    is missing that the tracker compensates for.
    """
    motion = required_motion(cache, tracker, settings)
    tracks = track_frames(cache, tracker, settings, motion, progress, inputs, public, warn)
    return join_frames(tracks, cache.first_frame)


def track_frames(
    cache: Cache,
    tracker: str,
    settings: Settings,
    motion: "CameraMotion | None",
    progress: Callable[[Iterable[Detections]], Iterable[Detections]] = lambda frames: frames,
    inputs: InputSettings | None = None,
    public: Path | None = None,
    warn: Callable[[str], None] = ignore_warning,
) -> Iterator[Tracks]:
    """Track an open cache; yield the tracks of each frame.

    `tracker` is a name in the registry, and `motion` its `required_motion`. `inputs` select the
    detections, and `progress` wraps the iteration over frames. `public` is a file of public
    detections, or a folder or dataset that contains the sequence's, for `track_type` public_track.
    `warn` receives a message for optional data that is missing. Raises `CacheError` if the cache
    lacks what the tracker needs.
    """
    inputs = inputs or InputSettings()
    steps, rate = _steps(cache, inputs)
    entry = TRACKERS[tracker]
    embeddings = "embeddings" in {*entry.required(settings), *entry.uses}
    detected = frames_with_motion(cache, motion, embeddings)
    if missing := missing_embeddings(tracker, settings, inputs, cache.header.settings):
        raise CacheError(f"{cache.path}: {missing[0]}", missing[1])
    instance = _create_tracker(tracker, settings, cache, rate, public, warn)
    selected = (select_detections(detections, inputs) for detections in detected)
    frames = zip(progress(selected), steps, strict=True)
    return (instance.update(detections, elapsed) for detections, elapsed in frames)


def _steps(cache: Cache, inputs: InputSettings) -> tuple[Iterable[float], float]:
    """Return the elapsed frames before each frame of the cache, and the frame rate."""
    if inputs.fixed_rate:
        return repeat(1.0, cache.frame_count), cache.header.fps
    intervals_in_frames, rate = steps(cache.pts, cache.header.fps)
    return map(float, intervals_in_frames), rate


def select_detections(detections: Detections, inputs: InputSettings) -> Detections:
    """Return the detections of a frame that `inputs` select."""
    if inputs.classes is None and inputs.min_score <= 0:
        return detections
    keep = detections.scores >= inputs.min_score
    if inputs.classes is not None:
        keep &= np.isin(detections.classes, inputs.classes)
    return detections.take(keep)


def _create_tracker(
    name: str,
    settings: Settings,
    cache: Cache,
    frame_rate: float,
    public: Path | None,
    warn: Callable[[str], None],
) -> Tracker:
    """Create the tracker of the cache's sequence."""
    entry = TRACKERS[name]
    if cache.detection_count:
        if "embeddings" in entry.required(settings) and not cache.has_embeddings:
            raise CacheError(
                f"{cache.path} has no embeddings, which {name} matches by", EMBEDDINGS_FIX
            )
        if "offsets" in entry.needs and not cache.has_offsets:
            fix = "make them with mottool detect-embed --pipeline otrack, or use another --tracker"
            raise CacheError(f"{cache.path} has no offsets, which {name} matches by", fix)
    recovers = "occlusion_centres" in entry.uses and getattr(settings, "occlusion", False)
    if recovers and not cache.occlusion_count:
        warn(f"there are no occlusion centres: {name} recovers no lost tracklets by them")
    boxes = None
    if getattr(settings, "track_type", "private_track") == "public_track":
        if public is None:
            fix = "give them with --public FILE or --public DATASET"
            raise SettingError("track_type public_track needs the public detections", fix)
        boxes = _public(public, cache)
    header = cache.header
    return entry.load()(settings, SequenceInfo(frame_rate, header.width, header.height, boxes))


def _public(path: Path, cache: Cache) -> Callable[[int], Any]:
    """Return a function from a frame of the cache, from 1, to the sequence's public boxes there."""
    from mottool.motchallenge.public_detections import PublicDetections
    from mottool.sources.discovery import find_sequences  # imports libraries of video

    sequence, before = without_half(cache.header.sequence)[0], cache.first_frame - 1
    if path.is_dir() and (path / f"{sequence}.txt").exists():
        path = path / f"{sequence}.txt"
    elif path.is_dir():
        files = {item.name: item.detections for item in find_sequences([path])}
        file = files.get(sequence)
        if file is None:
            fix = f"{did_you_mean(sequence, files)}, or add {sequence}.txt there"
            raise InputError(f"{path} has no public detections of {sequence}", fix)
        path = file
    detections = PublicDetections.read(path)
    return lambda frame: detections.on(before + frame).boxes


def steps(times: Floats, frame_rate: float) -> tuple[Floats, float]:
    """Return the elapsed frames (F,) before each frame, and the frames per second.

    `times` (F,) are in seconds. One frame is the median interval of the sequence. If all frames are
    evenly spaced, every step is exactly 1 and the rate is the given `frame_rate`; a skipped frame
    makes a step of 2. Where times repeat or decrease, the step is 1 too.
    """
    intervals = np.diff(times)
    forward = intervals > 0
    elapsed = np.ones(len(times))
    if not forward.any():
        return elapsed, frame_rate
    median = float(np.median(intervals[forward]))
    intervals_in_frames = intervals / median
    rounded = np.maximum(np.round(intervals_in_frames), 1)
    even = abs(intervals_in_frames - rounded) <= max(JITTER, ROUNDING / median)
    elapsed[1:] = np.where(forward & ~even, intervals_in_frames, np.where(forward, rounded, 1))
    return elapsed, frame_rate if (elapsed == 1).all() else 1 / median
