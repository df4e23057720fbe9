"""Multi-object tracking in stages: run a network once, associate as often as needed.

The Python API has one function per step (see `mottool.api`):

    cache = mottool.open_cache("mottool-work/caches/public+histogram/scene.h5")
    tracks = mottool.track(cache, "fairmot")
    mottool.score(tracks, "scene")
    mottool.draw(tracks, "scene", "scene.mp4")

A network and a tracker are objects, too, for images that are in memory:

    pipeline = mottool.Pipeline("mottool-s")
    tracker = mottool.Tracker(pipeline=pipeline, fps=25)
    tracks = tracker.update(pipeline.detect(image))

`mottool.compare` and `mottool.tune` are the commands of these names.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mottool._version import __version__

if TYPE_CHECKING:
    from mottool.api import (
        TrackTable,
        TuningResult,
        compare,
        draw,
        open_cache,
        read_tracks,
        score,
        to_pandas,
        to_supervision,
        track,
        tune,
    )
    from mottool.association.tracks import Tracks
    from mottool.cache.reader import Cache
    from mottool.detections import Detections
    from mottool.errors import MottoolError
    from mottool.online.pipeline import Pipeline
    from mottool.online.tracker import Tracker
    from mottool.sources.camera_motion import SparseFlowMotion

__all__ = [
    "Cache",
    "Detections",
    "MottoolError",
    "Pipeline",
    "SparseFlowMotion",
    "TrackTable",
    "Tracker",
    "Tracks",
    "TuningResult",
    "__version__",
    "compare",
    "draw",
    "open_cache",
    "read_tracks",
    "score",
    "to_pandas",
    "to_supervision",
    "track",
    "tune",
]

# Imported on first use: every command imports `mottool`. All other names are in `mottool.api`.
_MODULES = {
    "Cache": "mottool.cache.reader",
    "Detections": "mottool.detections",
    "MottoolError": "mottool.errors",
    "Pipeline": "mottool.online.pipeline",
    "SparseFlowMotion": "mottool.sources.camera_motion",
    "Tracker": "mottool.online.tracker",
    "Tracks": "mottool.association.tracks",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'mottool' has no attribute {name!r}")
    return getattr(import_module(_MODULES.get(name, "mottool.api")), name)


def __dir__() -> list[str]:
    return __all__
