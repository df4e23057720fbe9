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
    `occlusion_centres` (k, 3) float32 x, y, score; `occlusion_map` (h, w) uint8, 255 times the
    score of every cell of the network's own grid, or None where it is not kept. A pipeline that
    sees the frame before too says which points it tracks, `centres` (n, 2) float32 x y, and how
    far from each it was in that frame, `offsets` (n, 2) float32 x y; elsewhere both are None.
    """

    boxes: Floats
    scores: Floats
    classes: npt.NDArray[np.uint16]
    embeddings: Floats | None = None
    occlusion_centres: Floats = field(default_factory=_no_centres)
    centres: Floats | None = None
    offsets: Floats | None = None
    occlusion_map: npt.NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> "Detections":
        """The detections of some rows; the occlusion centres, which belong to none, all stay."""

        def of(values: Floats | None) -> Floats | None:
            return None if values is None else values[rows]

        return Detections(
            self.boxes[rows],
            self.scores[rows],
            self.classes[rows],
            of(self.embeddings),
            self.occlusion_centres,
            of(self.centres),
            of(self.offsets),
        )
