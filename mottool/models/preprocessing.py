"""Convert frames to network inputs, and boxes from the network back to the frame."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from mottool.models.pixel_formats import CENTERTRACK, planes

__all__ = [
    "CenterWarp",
    "ClampedLetterbox",
    "CornerLetterbox",
    "ImageNetLetterbox",
    "Letterbox",
    "SmoothLetterbox",
    "Stretch",
    "TrainingPreprocessor",
    "Preprocessor",
]

PADDING = 128
SMOOTH_PADDING = 127
YOLOX_PADDING = 114
Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]


class Preprocessor(Protocol):
    """The preprocessing of a network whose input is `width` x `height` pixels.

    `image` is `fitted`, then conversion to the pixel format `pixels` (see `pixel_formats`).
    """

    @property
    def width(self) -> int:
        """See the class."""
        ...

    @property
    def height(self) -> int:
        """See the class."""
        ...

    @property
    def pixels(self) -> str:
        """See the class."""
        ...

    def fitted(self, frame: Image) -> Image:
        """Resize a frame (h, w, 3) BGR to (height, width, 3) BGR, padded if necessary."""
        ...

    def image(self, frame: Image) -> npt.NDArray[np.float32]:
        """Return the network input (3, height, width) of a frame (h, w, 3) BGR."""
        ...

    def to_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """Map points (n, 2) or boxes (n, 4) from network to `width` x `height` frame pixels."""
        ...


class TrainingPreprocessor(Preprocessor, Protocol):
    """A preprocessor for training: `fitted` images can be augmented before `image`.

    `border` is the grey level in [0, 255] around the frame; 0 is black. `image` does not move an
    image that is already `fitted`. `origin` is the coordinate of the first pixel in annotations.
    None uses the coordinates unchanged, as the authors' code does.
    """

    @property
    def border(self) -> int:
        """See the class."""
        ...

    @property
    def origin(self) -> int | None:
        """See the class."""
        ...

    def from_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """Map points (n, 2) or boxes (n, 4) from `width` x `height` frame to network pixels."""
        ...


class _Resized:
    """The network input of a preprocessor that resizes bytes."""

    def image(self: Preprocessor, frame: Image) -> npt.NDArray[np.float32]:
        """Return the network input (3, height, width) of a frame (h, w, 3) BGR."""
        return planes(self.fitted(frame), self.pixels)


@dataclass(frozen=True)
class Letterbox(_Resized):
    """FairMOT, CSTrack and OUTrack: keep the aspect ratio, centre the frame, pad with mid-grey.

    `width` and `height` are the network input's, in pixels. Boxes are mapped by the exact
    scale and margins, although the image's are rounded to whole pixels. YOLO's `scale_coords`
    and CenterNet's inverse affine map agree on this.
    """

    pixels: ClassVar[str] = "rgb1"
    border: ClassVar[int] = PADDING
    origin: ClassVar[int | None] = None
    width: int
    height: int

    def fitted(self, frame: Image) -> Image:
        """Resize a frame (h, w, 3) BGR and pad it with grey to (height, width, 3) BGR."""
        h, w = frame.shape[:2]
        scale = min(self.width / w, self.height / h)
        (left, right), (top, bottom) = self.margins(w, h)
        inner = self.width - left - right, self.height - top - bottom
        small = cv2.resize(frame, inner, interpolation=self._interpolation(scale))
        grey = (self.border, self.border, self.border)
        padded = cv2.copyMakeBorder(
            small, top, bottom, left, right, cv2.BORDER_CONSTANT, value=grey
        )
        return np.asarray(padded, np.uint8)

    def margins(self, width: int, height: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the margins of a frame of `width` x `height` pixels: left, right; top, bottom."""
        scale = min(self.width / width, self.height / height)
        inner = max(round(width * scale), 1), max(round(height * scale), 1)
        return _margins(self.width - inner[0]), _margins(self.height - inner[1])

    def shrinks(self, width: int, height: int) -> bool:
        """Return whether `fitted` averages areas of a frame and enlarges it in no direction."""
        (left, right), (top, bottom) = self.margins(width, height)
        larger = left + right + width < self.width or top + bottom + height < self.height
        scale = min(self.width / width, self.height / height)
        return not larger and self._interpolation(scale) == cv2.INTER_AREA

    def _interpolation(self, scale: float) -> int:
        """Return the interpolation: area averaging at any scale, as in the authors' code."""
        return cv2.INTER_AREA

    def to_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """Map points (n, 2) or boxes (n, 4) from network to `width` x `height` frame pixels."""
        scale = min(self.width / width, self.height / height)
        margin = (self.width - width * scale) / 2, (self.height - height * scale) / 2
        pairs = np.asarray(points, np.float64).reshape(len(points), points.shape[1] // 2, 2)
        mapped = (pairs - margin) / scale
        return mapped.reshape(points.shape).astype(np.float32)

    def from_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """Map points (n, 2) or boxes (n, 4) from `width` x `height` frame to network pixels."""
        scale = min(self.width / width, self.height / height)
        margin = (self.width - width * scale) / 2, (self.height - height * scale) / 2
        pairs = np.asarray(points, np.float64).reshape(len(points), points.shape[1] // 2, 2)
        return (pairs * scale + margin).reshape(points.shape).astype(np.float32)


class ClampedLetterbox(Letterbox):
    """JDE: clamp coordinates to at least 0; right and bottom sides may exceed the frame."""

    def to_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """Map as `Letterbox.to_frame` and clamp to at least 0."""
        return np.maximum(super().to_frame(points, width, height), 0)


class SmoothLetterbox(Letterbox):
    """mottool-s: enlarge small frames by linear interpolation; frame pixels start at 1.

    The network is trained on coordinates that start at 0. Those of MOTChallenge, and therefore
    of caches, start at 1.
    """

    border: ClassVar[int] = SMOOTH_PADDING
    origin: ClassVar[int | None] = 1

    def to_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """Map as `Letterbox.to_frame` to coordinates that start at 1."""
        return super().to_frame(points, width, height) + np.float32(1)

    def from_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """Map as `Letterbox.from_frame` from coordinates that start at 1."""
        return super().from_frame(np.asarray(points) - 1, width, height)

    def _interpolation(self, scale: float) -> int:
        return cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR


class ImageNetLetterbox(Letterbox):
    """TDT: normalise colours as for ImageNet, on which its backbones were trained."""

    pixels: ClassVar[str] = "imagenet"


@dataclass(frozen=True)
class CornerLetterbox(_Resized):
    """YOLOX: keep the aspect ratio, align the frame to the upper left corner, pad with grey.

    `pixels` is the pixel format of the network input, one of `FORMS`.
    """

    width: int
    height: int
    pixels: str

    def fitted(self, frame: Image) -> Image:
        """Resize a frame (h, w, 3) BGR and pad it with grey to (height, width, 3) BGR."""
        h, w = frame.shape[:2]
        scale = min(self.width / w, self.height / h)
        inner = max(int(w * scale), 1), max(int(h * scale), 1)
        padded = np.full((self.height, self.width, 3), YOLOX_PADDING, np.uint8)
        padded[: inner[1], : inner[0]] = cv2.resize(frame, inner, interpolation=cv2.INTER_LINEAR)
        return padded

    def to_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """Map points (n, 2) or boxes (n, 4) from network to `width` x `height` frame pixels."""
        scale = min(self.width / width, self.height / height)
        return (np.asarray(points, np.float64) / scale).astype(np.float32)


@dataclass(frozen=True)
class Stretch(_Resized):
    """Resize the whole frame without keeping its aspect ratio, as in the training of most SSDs.

    `pixels` as in `CornerLetterbox`.
    """

    width: int
    height: int
    pixels: str

    def fitted(self, frame: Image) -> Image:
        """Resize a frame (h, w, 3) BGR to (height, width, 3) BGR."""
        small = cv2.resize(frame, (self.width, self.height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(small, np.uint8)

    def to_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """Map points (n, 2) or boxes (n, 4) from network to `width` x `height` frame pixels."""
        scale = np.array([width / self.width, height / self.height] * 2)[: points.shape[1]]
        mapped: npt.NDArray[np.float64] = np.asarray(points, np.float64) * scale
        return mapped.astype(np.float32)


@dataclass(frozen=True)
class CenterWarp(_Resized):
    """CenterTrack: scale the frame about its centre, pad with black and normalise its colours.

    `width` and `height` are the network input's, in pixels. The whole frame is kept by default.
    `crop` scales by the frame's longer side alone, as the authors' code does. This cuts off the
    top and bottom of a frame narrower than the input (a quarter of 640x480 at 960x544). For
    frames of 16:9 at 960x544 there is no difference.
    """

    pixels: ClassVar[str] = CENTERTRACK
    border: ClassVar[int] = 0
    origin: ClassVar[int | None] = None
    width: int
    height: int
    crop: bool = False

    def fitted(self, frame: Image) -> Image:
        """Scale a frame (h, w, 3) BGR and pad it with black to (height, width, 3) BGR."""
        h, w = frame.shape[:2]
        scale, shift = self._scale_and_shift(w, h)
        matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
        size = self.width, self.height
        return np.asarray(cv2.warpAffine(frame, matrix, size, flags=cv2.INTER_LINEAR), np.uint8)

    def to_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """Map points (n, 2) or boxes (n, 4) from network to `width` x `height` frame pixels."""
        scale, shift = self._scale_and_shift(width, height)
        pairs = np.asarray(points, np.float64).reshape(len(points), points.shape[1] // 2, 2)
        mapped = (pairs - shift) / scale
        return mapped.reshape(points.shape).astype(np.float32)

    def from_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """Map points (n, 2) or boxes (n, 4) from `width` x `height` frame to network pixels."""
        scale, shift = self._scale_and_shift(width, height)
        pairs = np.asarray(points, np.float64).reshape(len(points), points.shape[1] // 2, 2)
        return (pairs * scale + shift).reshape(points.shape).astype(np.float32)

    def _scale_and_shift(self, width: int, height: int) -> tuple[float, tuple[float, float]]:
        """Return the scale of a frame and its shift in x and y after scaling."""
        if self.crop:
            scale = self.width / max(width, height)
        else:
            scale = min(self.width / width, self.height / height)
        return scale, ((self.width - width * scale) / 2, (self.height - height * scale) / 2)


def _margins(space: int) -> tuple[int, int]:
    """Split `space` pixels into two margins; an odd pixel goes to the second."""
    return round(space / 2 - 0.1), round(space / 2 + 0.1)
