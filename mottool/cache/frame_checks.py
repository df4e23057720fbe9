"""What a frame must be to be kept in a cache: sound by itself, and like those before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.cache.layout import TIMING, TRACKED
from mottool.detections import Detections

__all__ = ["Uniformity", "wrong_frame"]


def wrong_frame(detections: Detections, seconds: float, timing: Sequence[float]) -> str:
    """What is wrong with a frame's values, or "".

    `seconds` is its presentation time and `timing` what it cost, in the order of `TIMING`.
    """
    count = len(detections)
    parts: dict[str, tuple[npt.NDArray[Any], tuple[int, ...]]] = {
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
            parts[name] = points, (count, 2)
    if detections.embeddings is not None and count:
        size = detections.embeddings.shape[-1]
        with np.errstate(over="ignore"):
            parts["embeddings"] = detections.embeddings.astype(np.float16), (count, size)
    for name, (values, shape) in parts.items():
        if values.shape != shape:
            return f"its {name} are of shape {values.shape}, not {shape}"
        if not np.isfinite(values).all():
            return f"its {name} hold a NaN or an infinite value"
    if count and not (detections.scores.min() >= 0 and detections.scores.max() <= 1):
        return "its scores are not in [0, 1]"
    return ""


@dataclass
class Uniformity:
    """What the frames of one cache have in common.

    `stride` is that of their occlusion maps, 0 where there are none. The others are learnt from
    the frames: `embedding_size` (0: there are none), whether there are offsets (`tracks`), and
    the maps' height and width (`map_shape`); None while it is not known.
    """

    stride: int
    embedding_size: int | None = None
    tracks: bool | None = None
    map_shape: tuple[int, ...] | None = None

    def wrong(self, detections: Detections) -> str:
        """How a sound frame differs from those before it, or ""; what it tells is learnt."""
        return (
            self._wrong_size(detections)
            or self._wrong_offsets(detections)
            or self._wrong_map(detections.occlusion_map)
        )

    def _wrong_size(self, detections: Detections) -> str:
        found = detections.embeddings
        size = 0 if found is None else found.shape[1]
        if size == 0 and len(detections) == 0:
            return ""  # an empty frame need not know
        if self.embedding_size not in {None, size}:
            return f"its embeddings are {size}-d, those before {self.embedding_size}-d"
        self.embedding_size = size
        return ""

    def _wrong_offsets(self, detections: Detections) -> str:
        given = detections.offsets is not None and detections.centres is not None
        if len(detections) == 0:
            return ""
        if self.tracks not in {None, given}:
            return "it has offsets, those before have none" if given else "it has no offsets"
        self.tracks = given
        return ""

    def _wrong_map(self, found: npt.NDArray[np.uint8] | None) -> str:
        if (found is None) != (self.stride == 0):
            return "it has no occlusion map" if found is None else "it has an occlusion map"
        if found is None:
            return ""
        expected = self.map_shape or found.shape
        if found.ndim != 2 or found.shape != expected or found.dtype != np.uint8:
            return f"its occlusion map is {found.dtype} {found.shape}, not uint8 {expected}"
        self.map_shape = found.shape
        return ""
