"""Run a tracker over a cache.

The time between frames comes from the presentation times of the cache, so that dropped frames
count for motion and for the age of lost tracklets.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.association.registry import TRACKERS
from mottool.association.sequence_settings import InputSettings
from mottool.association.tracks import EMBEDDINGS_FIX, SequenceInfo, Tracker
from mottool.boxes import tlwh_from_xyxy
from mottool.cache.reader import Cache
from mottool.detections import Detections
from mottool.errors import CacheError, InputError, SettingError, did_you_mean
from mottool.motchallenge.public_detections import PublicDetections
from mottool.motchallenge.rows import Rows
from mottool.settings import Settings
from mottool.sources.discovery import find_sequences

__all__ = ["run_tracker", "steps"]

Floats = npt.NDArray[np.float64]
JITTER = 0.1  # frames: less than this is how times are written down, not how frames were taken
ROUNDING = 1.1e-3  # seconds: a little more than the steps that some containers count in


def run_tracker(
    cache: Cache,
    tracker: str,
    settings: Settings,
    watch: Callable[[Iterable[Detections]], Iterable[Detections]] = lambda frames: frames,
    seen: InputSettings | None = None,
    public: Path | None = None,
    warn: Callable[[str], None] = lambda told: None,
) -> Rows:
    """The tracks of an open cache, frame by frame, as the tracker gives them; `rest` is the score.

    `tracker` is a name in the registry, `seen` what it gets to see, `watch` may follow the frames
    as they pass. `public` is a file of public detections, or a folder or dataset that has the
    sequence's, for a `track_type` that asks for them. `warn` hears what the tracker has to do
    without. Raises `CacheError` if the cache lacks what it cannot do without.
    """
    seen = seen or InputSettings()
    steps, rate = _steps(cache, seen)
    linker = _tracker(tracker, settings, cache, rate, public, warn)
    frames = zip(watch(_filtered(cache.frames(), seen)), steps, strict=True)
    tracks = [linker.update(detections, elapsed) for detections, elapsed in frames]
    if not tracks:
        none = np.zeros(0, np.int64)
        return Rows(none, none, np.zeros((0, 4)), np.zeros((0, 1)))
    numbers = np.repeat(np.arange(1, len(tracks) + 1), [len(frame) for frame in tracks])
    ids = np.concatenate([frame.ids for frame in tracks])  # (n,)
    boxes = np.concatenate([frame.boxes for frame in tracks])  # (n, 4)
    scores = np.concatenate([frame.scores for frame in tracks])  # (n,)
    return Rows(numbers, ids, np.asarray(tlwh_from_xyxy(boxes), np.float64), scores[:, None])


def _steps(cache: Cache, seen: InputSettings) -> tuple[list[float], float]:
    """The frames that pass before each frame of the cache, and frames a second."""
    if seen.fixed_rate:
        return [1.0] * cache.frame_count, cache.header.fps
    passed, rate = steps(cache.pts, cache.header.fps)
    return passed.tolist(), rate


def _filtered(frames: Iterable[Detections], seen: InputSettings) -> Iterator[Detections]:
    """The frames with only what may be seen."""
    if seen.classes is None and seen.min_score <= 0:
        yield from frames
        return
    for detections in frames:
        good = detections.scores >= seen.min_score
        if seen.classes is not None:
            good &= np.isin(detections.classes, seen.classes)
        yield detections.take(good)


def _tracker(
    name: str,
    settings: Settings,
    cache: Cache,
    frame_rate: float,
    public: Path | None,
    warn: Callable[[str], None],
) -> Tracker:
    """The tracker at the beginning of the cache's sequence."""
    entry = TRACKERS[name]
    if cache.detection_count:
        if "embeddings" in entry.needs and not cache.has_embeddings:
            raise CacheError(
                f"{cache.path} has no embeddings, which {name} matches by", EMBEDDINGS_FIX
            )
        if "offsets" in entry.needs and not cache.has_offsets:
            fix = "make them with mottool detect-embed --pipeline otrack, or use another --tracker"
            raise CacheError(f"{cache.path} has no offsets, which {name} matches by", fix)
    refinds = "occlusion_centres" in entry.uses and getattr(settings, "occlusion", False)
    if refinds and not cache.occlusion_count:
        warn(f"there are no occlusion centres: {name} finds no lost people again by them")
    boxes = None
    if getattr(settings, "track_type", "private_track") == "public_track":
        if public is None:
            fix = "give them with --public FILE or --public DATASET"
            raise SettingError("track_type public_track needs the public detections", fix)
        boxes = _public(public, cache.header.sequence)
    header = cache.header
    return entry.load()(settings, SequenceInfo(frame_rate, header.width, header.height, boxes))


def _public(path: Path, sequence: str) -> Callable[[int], Any]:
    """The boxes of each frame in the sequence's file of public detections."""
    if path.is_dir() and (path / f"{sequence}.txt").exists():
        path = path / f"{sequence}.txt"
    elif path.is_dir():
        files = {each.name: each.detections for each in find_sequences([path])}
        own = files.get(sequence)
        if own is None:
            fix = f"{did_you_mean(sequence, files)}, or add {sequence}.txt there"
            raise InputError(f"{path} has no public detections of {sequence}", fix)
        path = own
    given = PublicDetections.read(path)
    return lambda frame: given.on(frame).boxes


def steps(times: Floats, frame_rate: float) -> tuple[Floats, float]:
    """The frames (F,) that pass before each frame, and how many frames there are in a second.

    `times` (F,) are in seconds. The frame to count in is the usual one of the sequence, so where
    frames come evenly every step is exactly 1 and the rate is the given `frame_rate`; a frame that
    was left out makes a step of 2. Where times stand still or go back a step is 1 too.
    """
    intervals = np.diff(times)
    forward = intervals > 0
    found = np.ones(len(times))
    if not forward.any():
        return found, frame_rate
    usual = float(np.median(intervals[forward]))
    passed = intervals / usual
    whole = np.maximum(np.round(passed), 1)
    even = abs(passed - whole) <= max(JITTER, ROUNDING / usual)
    found[1:] = np.where(forward & ~even, passed, np.where(forward, whole, 1))
    return found, frame_rate if (found == 1).all() else 1 / usual
