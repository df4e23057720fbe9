"""Detections of one frame, passed from networks to caches to trackers."""

from dataclasses import dataclass, field, replace

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
    `embeddings` (n, D) float32 L2-normalised, or None if the pipeline makes none;
    `occlusion_centres` (k, 3) float32 x, y, score; `occlusion_map` (h, w) uint8, 255 times the
    score of every cell of the network's grid, or None if it is not kept. A pipeline that reads the
    previous frame too returns the tracked points, `centres` (n, 2) float32 x y, and the offset of
    each to its position in that frame, `offsets` (n, 2) float32 x y; otherwise both are None.
    `camera_motion` (2, 3) float64 maps pixels of the background from the previous frame to this
    one, or is None if it is unknown.
    """

    boxes: Floats
    scores: Floats
    classes: npt.NDArray[np.uint16]
    embeddings: Floats | None = None
    occlusion_centres: Floats = field(default_factory=_no_centres)
    centres: Floats | None = None
    offsets: Floats | None = None
    occlusion_map: npt.NDArray[np.uint8] | None = None
    camera_motion: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> "Detections":
        """Return some rows, with all occlusion centres and the camera's motion but no map."""

        def select(values: Floats | None) -> Floats | None:
            return None if values is None else values[rows]

        return Detections(
            self.boxes[rows],
            self.scores[rows],
            self.classes[rows],
            select(self.embeddings),
            self.occlusion_centres,
            select(self.centres),
            select(self.offsets),
            camera_motion=self.camera_motion,
        )

    def none(self) -> "Detections":
        """Return no detections, with arrays of the same kinds and no occlusion."""
        empty = self.take(np.zeros(0, np.intp))
        blank = None if self.occlusion_map is None else np.zeros_like(self.occlusion_map)
        return replace(empty, occlusion_centres=_no_centres(), occlusion_map=blank)
