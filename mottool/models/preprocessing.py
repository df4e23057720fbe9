"""Frames into network inputs, and the networks' boxes back onto the frame."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["ClampedLetterbox", "Letterbox"]

PADDING = 128
Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Letterbox:
    """FairMOT's, CSTrack's and OUTrack's: the whole frame, its aspect kept, centred on mid-grey.

    `width` and `height` are the network input's, in pixels. Boxes go back by the exact scale and
    margins, though those of the image were rounded to whole pixels: this is at once YOLO's
    `scale_coords` and the inverse affine map of CenterNet, which agree.
    """

    width: int
    height: int

    def image(self, frame: Image) -> npt.NDArray[np.float32]:
        """Network input (3, height, width) RGB in [0, 1], of a frame (h, w, 3) BGR."""
        rgb = self.fitted(frame)[..., ::-1]  # (height, width, 3)
        planes = np.ascontiguousarray(rgb.transpose(2, 0, 1), np.float32)
        planes /= 255
        return planes

    def fitted(self, frame: Image) -> Image:
        """The frame in its grey margins: (height, width, 3) BGR of a frame (h, w, 3) BGR."""
        h, w = frame.shape[:2]
        scale = min(self.width / w, self.height / h)
        inner = max(round(w * scale), 1), max(round(h * scale), 1)
        left, right = _margins(self.width - inner[0])
        top, bottom = _margins(self.height - inner[1])
        small = cv2.resize(frame, inner, interpolation=cv2.INTER_AREA)
        grey = (PADDING, PADDING, PADDING)
        padded = cv2.copyMakeBorder(
            small, top, bottom, left, right, cv2.BORDER_CONSTANT, value=grey
        )
        return np.asarray(padded, np.uint8)

    def to_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """Network pixels (n, 2) x y, or boxes (n, 4), in those of a frame `width` x `height`."""
        scale = min(self.width / width, self.height / height)
        margin = (self.width - width * scale) / 2, (self.height - height * scale) / 2
        pairs = np.asarray(points, np.float64).reshape(len(points), points.shape[1] // 2, 2)
        placed = (pairs - margin) / scale
        return placed.reshape(points.shape).astype(np.float32)


class ClampedLetterbox(Letterbox):
    """JDE's: no coordinate is below 0, while the right and bottom sides may leave the frame."""

    def to_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """As `Letterbox.to_frame`, at least 0."""
        return np.maximum(super().to_frame(points, width, height), 0)


def _margins(space: int) -> tuple[int, int]:
    """Left and right of `space` pixels; the second one has the odd pixel."""
    return round(space / 2 - 0.1), round(space / 2 + 0.1)
