"""What a pipeline says about one frame: the unit that flows from networks to caches to trackers."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["PERSON", "Detections"]

PERSON = 0

Floats = npt.NDArray[np.float32]


def _no_centres() -> Floats:
    return np.zeros((0, 3), np.float32)


@dataclass(frozen=True)
class Detections:
    """The detections of one frame, in the pixels of the original frame.

    `boxes` (n, 4) float32 x1 y1 x2 y2; `scores` (n,) float32 in [0, 1]; `classes` (n,) uint16;
    `embeddings` (n, D) float32 of unit length, or None where the pipeline has none;
    `occlusion_centres` (k, 3) float32 x, y, score.
    """

    boxes: Floats
    scores: Floats
    classes: npt.NDArray[np.uint16]
    embeddings: Floats | None = None
    occlusion_centres: Floats = field(default_factory=_no_centres)

    def __len__(self) -> int:
        return len(self.boxes)
