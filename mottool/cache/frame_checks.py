"""Check a frame before it is written: its values, and that it is consistent with earlier frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.cache.layout import TIMING, TRACKED
from mottool.detections import Detections

__all__ = ["FrameConsistency", "check_frame"]


def check_frame(detections: Detections, seconds: float, timing: Sequence[float]) -> str:
    """Return what is wrong with the values of a frame, or "".

    `seconds` is its presentation time and `timing` its cost in seconds, in the order of `TIMING`.
    """
    count = len(detections)
    arrays: dict[str, tuple[npt.NDArray[Any], tuple[int, ...]]] = {
        "boxes": (detections.boxes, (count, 4)),
        "scores": (detections.scores, (count,)),
        "classes": (detections.classes, (count,)),
        "occlusion centres": (
            detections.occlusion_centres,
            (len(detections.occlusion_centres), 3),
        ),
        "presentation time": (np.asarray(seconds), ()),
        "timing": (np.asarray(timing), (len(TIMING),)),
    }
    for name in TRACKED:
        points = getattr(detections, name)
        if points is not None:
            arrays[name] = points, (count, 2)
    if detections.embeddings is not None and count:
        size = detections.embeddings.shape[-1]
        with np.errstate(over="ignore"):
            arrays["embeddings"] = detections.embeddings.astype(np.float16), (count, size)
    for name, (values, shape) in arrays.items():
        if values.shape != shape:
            return f"its {name} are of shape {values.shape}, not {shape}"
        if not np.isfinite(values).all():
            return f"its {name} hold a NaN or an infinite value"
    if count and not (detections.scores.min() >= 0 and detections.scores.max() <= 1):
        return "its scores are not in [0, 1]"
    return ""


@dataclass
class FrameConsistency:
    """What all frames of a cache must have in common.

    `stride` is that of the occlusion maps, 0 for none. The other fields are set by the first frames
    that define them, and None until then: `embedding_size` (0: no embeddings), `tracks` (whether
    there are offsets) and `map_shape` (height and width of the occlusion maps).
    """

    stride: int
    embedding_size: int | None = None
    tracks: bool | None = None
    map_shape: tuple[int, ...] | None = None

    def check(self, detections: Detections) -> str:
        """Return how a frame that passed `check_frame` differs from earlier frames, or ""."""
        return (
            self._check_embeddings(detections)
            or self._check_offsets(detections)
            or self._check_map(detections.occlusion_map)
        )

    def _check_embeddings(self, detections: Detections) -> str:
        embeddings = detections.embeddings
        size = 0 if embeddings is None else embeddings.shape[1]
        if size == 0 and len(detections) == 0:
            return ""  # an empty frame does not define the size
        if self.embedding_size not in {None, size}:
            return f"its embeddings are {size}-d, those before {self.embedding_size}-d"
        self.embedding_size = size
        return ""

    def _check_offsets(self, detections: Detections) -> str:
        tracks = detections.offsets is not None and detections.centres is not None
        if len(detections) == 0:
            return ""
        if self.tracks not in {None, tracks}:
            return "it has offsets, those before have none" if tracks else "it has no offsets"
        self.tracks = tracks
        return ""

    def _check_map(self, occlusion_map: npt.NDArray[np.uint8] | None) -> str:
        if (occlusion_map is None) != (self.stride == 0):
            return f"it has {'no' if occlusion_map is None else 'an'} occlusion map"
        if occlusion_map is None:
            return ""
        shape = self.map_shape or occlusion_map.shape
        if occlusion_map.ndim != 2 or occlusion_map.shape != shape or occlusion_map.dtype != "u1":
            actual = f"{occlusion_map.dtype} {occlusion_map.shape}"
            return f"its occlusion map is {actual}, not uint8 {shape}"
        self.map_shape = shape
        return ""
