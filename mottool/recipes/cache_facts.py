"""What plans need of caches and camera motion, as JSON values.

Imports no numpy or h5py until a file is read, because a plan of unchanged files reads none.
"""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mottool.pixel_range import recorded_range

__all__ = ["describe_cache", "describe_motion", "header_of"]


def describe_cache(path: Path) -> dict[str, Any]:
    """Return what plans need of a complete cache, as JSON values. Raises `CacheError`.

    `seconds` are those of all its frames: decoding, networks and embedding.
    """
    from mottool.cache.reader import Cache

    with Cache(path) as cache:
        header = cache.header
        recorded_range(header.settings)
        return {
            "sequence": header.sequence,
            "pipeline": header.pipeline,
            "settings": dict(header.settings),
            "header": cache.header_digest,
            "frames": cache.frame_count,
            "detections": cache.detection_count,
            "fields": [
                *(["embeddings"] if cache.has_embeddings else []),
                *(["offsets"] if cache.has_offsets else []),
            ],
            "seconds": float(cache.timing.sum()),
        }


def describe_motion(path: Path) -> dict[str, Any]:
    """Return the settings and the source of a file of camera motion. Raises `CacheError`."""
    from mottool.cache.camera_motion import CameraMotion

    header = CameraMotion(path).header
    recorded_range(header.settings)
    return {"settings": dict(header.settings), "source_hash": header.source_hash}


def header_of(facts: Mapping[str, Any]) -> SimpleNamespace:
    """Return the parts of a cache's header that choose the settings of a tracker."""
    return SimpleNamespace(**{name: facts[name] for name in ("sequence", "pipeline", "settings")})
