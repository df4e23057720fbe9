"""Convert frames to network inputs, and boxes from the network back to the frame."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import cv2
import numpy as np
import numpy.typing as npt

__all__ = [
    "CenterWarp",
    "ClampedLetterbox",
    "CornerLetterbox",
    "FORMS",
    "IMAGENET_DEVIATION",
    "IMAGENET_MEAN",
    "ImageNetLetterbox",
    "Letterbox",
    "SmoothLetterbox",
    "Stretch",
    "TrainingView",
    "View",
    "planes",
]

PADDING = 128
SMOOTH_PADDING = 127
YOLOX_PADDING = 114
# CenterTrack's, of blue, green and red in [0, 1], as COCO has them.
MEAN = np.array([0.40789654, 0.44719302, 0.47026115], np.float32)
DEVIATION = np.array([0.28863828, 0.27408164, 0.27809835], np.float32)
Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]


# Blue, green, red from 0 to 255; red, green, blue; the latter from 0 to 1; and that normalised.
FORMS = ("bgr255", "rgb255", "rgb1", "imagenet")
# Of red, green and blue from 0 to 1, over the images of ImageNet.
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


class View(Protocol):
    """How a network sees frames: `width` and `height` are its input's, in pixels."""

    @property
    def width(self) -> int:
        """See the class."""
        ...

    @property
    def height(self) -> int:
        """See the class."""
        ...

    def image(self, frame: Image) -> npt.NDArray[np.float32]:
        """Network input (3, height, width) of a frame (h, w, 3) BGR."""
        ...

    def to_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """Network pixels (n, 2) x y, or boxes (n, 4), in those of a frame `width` x `height`."""
        ...


class TrainingView(View, Protocol):
    """A view that training images are made for: in it they are moved about before `image`.

    `border` is the grey in [0, 255] that surrounds the frame, 0 for black. `image` leaves what is
    `fitted` in its place. `origin` is the number of the first pixel of a row in the frames' points;
    None takes them as they come, as the authors' code does.
    """

    @property
    def border(self) -> int:
        """See the class."""
        ...

    @property
    def origin(self) -> int | None:
        """See the class."""
        ...

    def fitted(self, frame: Image) -> Image:
        """The frame in its border: (height, width, 3) BGR of a frame (h, w, 3) BGR."""
        ...

    def from_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """Points (n, 2) x y, or boxes (n, 4), of a frame `width` x `height` in network pixels."""
        ...


@dataclass(frozen=True)
class Letterbox:
    """FairMOT's, CSTrack's and OUTrack's: the whole frame, its aspect kept, centred on mid-grey.

    `width` and `height` are the network input's, in pixels. Boxes go back by the exact scale and
    margins, though those of the image were rounded to whole pixels: this is at once YOLO's
    `scale_coords` and the inverse affine map of CenterNet, which agree.
    """

    border: ClassVar[int] = PADDING
    origin: ClassVar[int | None] = None
    width: int
    height: int

    def image(self, frame: Image) -> npt.NDArray[np.float32]:
        """Network input (3, height, width) RGB in [0, 1], of a frame (h, w, 3) BGR."""
        blue, green, red = cv2.split(self.fitted(frame))
        planes = np.stack((red, green, blue))  # (3, height, width)
        return planes / np.float32(255)

    def fitted(self, frame: Image) -> Image:
        """The frame in its grey margins: (height, width, 3) BGR of a frame (h, w, 3) BGR."""
        h, w = frame.shape[:2]
        scale = min(self.width / w, self.height / h)
        inner = max(round(w * scale), 1), max(round(h * scale), 1)
        left, right = _margins(self.width - inner[0])
        top, bottom = _margins(self.height - inner[1])
        small = cv2.resize(frame, inner, interpolation=self._interpolation(scale))
        grey = (self.border, self.border, self.border)
        padded = cv2.copyMakeBorder(
            small, top, bottom, left, right, cv2.BORDER_CONSTANT, value=grey
        )
        return np.asarray(padded, np.uint8)

    def _interpolation(self, scale: float) -> int:
        """How a frame is resized: as the authors' code does, which averages areas at any scale."""
        return cv2.INTER_AREA

    def to_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """Network pixels (n, 2) x y, or boxes (n, 4), in those of a frame `width` x `height`."""
        scale = min(self.width / width, self.height / height)
        margin = (self.width - width * scale) / 2, (self.height - height * scale) / 2
        pairs = np.asarray(points, np.float64).reshape(len(points), points.shape[1] // 2, 2)
        placed = (pairs - margin) / scale
        return placed.reshape(points.shape).astype(np.float32)

    def from_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """The way back: points or boxes of a frame `width` x `height` in network pixels."""
        scale = min(self.width / width, self.height / height)
        margin = (self.width - width * scale) / 2, (self.height - height * scale) / 2
        pairs = np.asarray(points, np.float64).reshape(len(points), points.shape[1] // 2, 2)
        return (pairs * scale + margin).reshape(points.shape).astype(np.float32)


class ClampedLetterbox(Letterbox):
    """JDE's: no coordinate is below 0, while the right and bottom sides may leave the frame."""

    def to_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """As `Letterbox.to_frame`, at least 0."""
        return np.maximum(super().to_frame(points, width, height), 0)


class SmoothLetterbox(Letterbox):
    """mottool-s's: small frames are enlarged by linear interpolation, and pixels count from 1.

    Its boxes are learned with pixels that count from 0. Those of MOTChallenge, and so of caches,
    count from 1.
    """

    border: ClassVar[int] = SMOOTH_PADDING
    origin: ClassVar[int | None] = 1

    def to_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """As `Letterbox.to_frame`, counted from 1."""
        return super().to_frame(points, width, height) + np.float32(1)

    def from_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """As `Letterbox.from_frame`, of points that count from 1."""
        return super().from_frame(np.asarray(points) - 1, width, height)

    def _interpolation(self, scale: float) -> int:
        return cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR


class ImageNetLetterbox(Letterbox):
    """TDT's: its backbones were trained on ImageNet, so the colours are normalised as there."""

    def image(self, frame: Image) -> npt.NDArray[np.float32]:
        """Network input (3, height, width) RGB, normalised, of a frame (h, w, 3) BGR."""
        return planes(self.fitted(frame), "imagenet")


@dataclass(frozen=True)
class CornerLetterbox:
    """YOLOX's: the whole frame in the upper left corner, its aspect kept, grey to fill up.

    `pixels` is the form the network takes its colours in (`mottool.models.preprocessing`).
    """

    width: int
    height: int
    pixels: str

    def image(self, frame: Image) -> npt.NDArray[np.float32]:
        """Network input (3, height, width) of a frame (h, w, 3) BGR."""
        h, w = frame.shape[:2]
        scale = min(self.width / w, self.height / h)
        inner = max(int(w * scale), 1), max(int(h * scale), 1)
        padded = np.full((self.height, self.width, 3), YOLOX_PADDING, np.uint8)
        padded[: inner[1], : inner[0]] = cv2.resize(frame, inner, interpolation=cv2.INTER_LINEAR)
        return planes(padded, self.pixels)

    def to_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """Network pixels (n, 2) x y, or boxes (n, 4), in those of a frame `width` x `height`."""
        scale = min(self.width / width, self.height / height)
        return (np.asarray(points, np.float64) / scale).astype(np.float32)


@dataclass(frozen=True)
class Stretch:
    """The whole frame, its aspect given up: as most single-shot detectors are trained.

    `pixels` as in `CornerLetterbox`.
    """

    width: int
    height: int
    pixels: str

    def image(self, frame: Image) -> npt.NDArray[np.float32]:
        """Network input (3, height, width) of a frame (h, w, 3) BGR."""
        small = cv2.resize(frame, (self.width, self.height), interpolation=cv2.INTER_LINEAR)
        return planes(np.asarray(small, np.uint8), self.pixels)

    def to_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """Network pixels (n, 2) x y, or boxes (n, 4), in those of a frame `width` x `height`."""
        scale = np.array([width / self.width, height / self.height] * 2)[: points.shape[1]]
        placed: npt.NDArray[np.float64] = np.asarray(points, np.float64) * scale
        return placed.astype(np.float32)


@dataclass(frozen=True)
class CenterWarp:
    """CenterTrack's: the frame scaled about its centre onto black, its colours normalised.

    `width` and `height` are the network input's, in pixels. The whole frame is seen. The authors'
    code scales by the frame's longer side alone, which cuts off what is above and below in a frame
    narrower than the input (a quarter of 640x480 at 960x544): that is `crop`. For frames of 16:9
    at 960x544 there is no difference.
    """

    border: ClassVar[int] = 0
    origin: ClassVar[int | None] = None
    width: int
    height: int
    crop: bool = False

    def image(self, frame: Image) -> npt.NDArray[np.float32]:
        """Network input (3, height, width) BGR, normalised, of a frame (h, w, 3) BGR."""
        # The authors' values to the last bit, which a recurrent network enlarges: in double
        # precision, and for 256 values of each channel instead of for every pixel.
        values = (np.arange(256)[:, None] / 255 - MEAN) / DEVIATION  # (256, 3) float64
        normalised = cv2.LUT(self.fitted(frame), values.astype(np.float32)[None])
        return np.ascontiguousarray(normalised.transpose(2, 0, 1), np.float32)

    def fitted(self, frame: Image) -> Image:
        """The frame on black: (height, width, 3) BGR of a frame (h, w, 3) BGR."""
        h, w = frame.shape[:2]
        scale, shift = self._onto(w, h)
        matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
        size = self.width, self.height
        return np.asarray(cv2.warpAffine(frame, matrix, size, flags=cv2.INTER_LINEAR), np.uint8)

    def to_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """Network pixels (n, 2) x y, or boxes (n, 4), in those of a frame `width` x `height`."""
        scale, shift = self._onto(width, height)
        pairs = np.asarray(points, np.float64).reshape(len(points), points.shape[1] // 2, 2)
        placed = (pairs - shift) / scale
        return placed.reshape(points.shape).astype(np.float32)

    def from_frame(self, points: Floats, width: int, height: int) -> npt.NDArray[np.float32]:
        """The way back: points or boxes of a frame `width` x `height` in network pixels."""
        scale, shift = self._onto(width, height)
        pairs = np.asarray(points, np.float64).reshape(len(points), points.shape[1] // 2, 2)
        return (pairs * scale + shift).reshape(points.shape).astype(np.float32)

    def _onto(self, width: int, height: int) -> tuple[float, tuple[float, float]]:
        """How much a frame is scaled, and then shifted in x and y."""
        if self.crop:
            scale = self.width / max(width, height)
        else:
            scale = min(self.width / width, self.height / height)
        return scale, ((self.width - width * scale) / 2, (self.height - height * scale) / 2)


def _margins(space: int) -> tuple[int, int]:
    """Left and right of `space` pixels; the second one has the odd pixel."""
    return round(space / 2 - 0.1), round(space / 2 + 0.1)


def planes(image: npt.NDArray[np.uint8], form: str) -> npt.NDArray[np.float32]:
    """An image (h, w, 3) BGR as planes (3, h, w) float32 in one of `FORMS`."""
    channels = cv2.split(image)
    if form != "bgr255":
        channels = channels[::-1]
    stacked = np.stack(channels).astype(np.float32)  # (3, h, w)
    if form in {"rgb1", "imagenet"}:
        stacked /= 255
    if form == "imagenet":
        stacked -= IMAGENET_MEAN[:, None, None]
        stacked /= IMAGENET_DEVIATION[:, None, None]
    return stacked
