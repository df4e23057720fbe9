"""Augmentation as the papers train: colour, flip, and a random affine map of image and boxes.

FairMOT (§4.4), JDE (§4.1) and OUTrack augment alike, by their authors' code: saturation and value
by up to half, rotation by 5 degrees, shifts by a tenth, scales of 0.5 to 1.2, shears of 2 degrees.
CSTrack's code has YOLOv5's colours and flips and no more. TDT is a RetinaNet, whose paper (Lin et
al., ICCV 2017, §4.1) flips. CenterTrack's code looks, as CenterNet's, from anywhere in the frame at
0.6 to 1.4 of its size, in colours changed by up to 0.4 (of which contrast and the hue of the light
are left out here). The transform of one image is an
`ImageTransform`; the second image of a pair gets a similar one (OUTrack, CenterTrack).
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mottool.networks.learning import Augmentation

__all__ = [
    "ImageTransform",
    "augment",
    "flip",
    "jitter",
    "matrix",
    "recolour",
    "sample_transform",
    "sample_transform_near",
    "warp",
]

Image = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]

GREY = 128  # of the letterbox
# A warped box is dropped when little is left of it, by JDE's rule.
LEAST_SIDE, LEAST_SHARE, MOST_ASPECT = 4, 0.1, 10  # pixels, of its area before, longer by shorter
NEAREST, FARTHEST = 0.05, 0.2  # of the ranges: how far the second look of a pair is from the first


@dataclass(frozen=True)
class ImageTransform:
    """How one image is to look; the default changes nothing.

    `gains` multiply hue, saturation and value; `angle` is in degrees, counter-clockwise; `shift`
    is x y in parts of width and height; `shear` is x y in degrees.
    """

    flipped: bool = False
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    angle: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    shear: tuple[float, float] = (0.0, 0.0)


def sample_transform(ranges: Augmentation, draw: np.random.Generator) -> ImageTransform:
    """Draw a transform uniformly from the ranges."""
    limits = np.array([ranges.hue, ranges.saturation, ranges.value])
    gains = 1 + limits * draw.uniform(-1, 1, 3)
    shift, shear = ranges.shift * draw.uniform(-1, 1, 2), ranges.shear * draw.uniform(-1, 1, 2)
    return ImageTransform(
        flipped=bool(draw.random() < ranges.flip),
        gains=(gains[0], gains[1], gains[2]),
        angle=ranges.angle * draw.uniform(-1, 1),
        scale=draw.uniform(ranges.shrink, ranges.grow),
        shift=(shift[0], shift[1]),
        shear=(shear[0], shear[1]),
    )


def sample_transform_near(
    ranges: Augmentation, first: ImageTransform, draw: np.random.Generator
) -> ImageTransform:
    """Draw a transform for the second image of a pair whose first image has `first`.

    It flips as `first`, has colours of its own, and is shifted from `first` by 5 to 20 % of the
    ranges.
    """
    other = sample_transform(ranges, draw)
    reach = draw.uniform(NEAREST, FARTHEST)
    middle = (ranges.shrink + ranges.grow) / 2
    return ImageTransform(
        flipped=first.flipped,
        gains=other.gains,
        angle=first.angle + reach * other.angle,
        scale=max(first.scale + reach * (other.scale - middle), ranges.shrink),
        shift=_moved(first.shift, reach, other.shift),
        shear=_moved(first.shear, reach, other.shear),
    )


def recolour(
    ranges: Augmentation, first: ImageTransform, draw: np.random.Generator
) -> ImageTransform:
    """Draw other colours for the transform `first`, as for a frame of the same video."""
    return replace(first, gains=sample_transform(ranges, draw).gains)


def augment(
    image: Image, boxes: Boxes, look: ImageTransform, clip: bool = False, border: int = GREY
) -> tuple[Image, Boxes, Bools]:
    """An image (H, W, 3) BGR and its boxes (n, 4) x1 y1 x2 y2 as a look asks.

    Also which boxes (n,) are still worth learning. Colours are not touched: `jitter` does it, on
    the frame before its letterbox, so that the margins stay as they are. `border` is their grey.
    """
    image, boxes, keep = warp(image, boxes, look, clip, border)
    if look.flipped:
        image, boxes = flip(image, boxes)
    return image, boxes, keep


def flip(image: Image, boxes: Boxes) -> tuple[Image, Boxes]:
    """An image (H, W, 3) and boxes (n, 4) x1 y1 x2 y2 with left and right swapped."""
    mirrored = boxes.copy()
    mirrored[:, [0, 2]] = image.shape[1] - boxes[:, [2, 0]]
    return np.ascontiguousarray(image[:, ::-1]), mirrored


def jitter(image: Image, gains: tuple[float, float, float]) -> Image:
    """An image (H, W, 3) BGR with its hue, saturation and value multiplied by `gains`."""
    if gains == (1.0, 1.0, 1.0):
        return image
    levels = np.arange(256)[:, None] * np.array(gains)  # (256, 3)
    levels[:, 0] %= 180  # OpenCV counts hue in steps of two degrees
    table = np.clip(levels, 0, 255).astype(np.uint8)[None]  # (1, 256, 3)
    hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), table)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), np.uint8)


def matrix(look: ImageTransform, width: int, height: int) -> npt.NDArray[np.float64]:
    """The map of a look for points x y 1 of an image, (3, 3): turned, shifted, then sheared."""
    turn, move, lean = np.eye(3), np.eye(3), np.eye(3)
    turn[:2] = cv2.getRotationMatrix2D((width / 2, height / 2), look.angle, look.scale)
    move[:2, 2] = look.shift[0] * width, look.shift[1] * height
    lean[0, 1], lean[1, 0] = (math.tan(math.radians(angle)) for angle in look.shear)
    whole: npt.NDArray[np.float64] = lean @ move @ turn
    return whole


def warp(
    image: Image, boxes: Boxes, look: ImageTransform, clip: bool = False, border: int = GREY
) -> tuple[Image, Boxes, Bools]:
    """An image (H, W, 3) and boxes (n, 4) x1 y1 x2 y2 under the map of a look.

    What comes in from outside the image is as grey as `border` says, in [0, 255].
    A box becomes the one about its turned corners, a little smaller the more it is turned, for
    people do not fill their corners. With `clip` it ends at the image's edge. Also which boxes
    (n,) stay: those in the image that are not too small, too thin or too much cut off.
    """
    height, width = image.shape[:2]
    mapping = matrix(look, width, height)
    if np.array_equal(mapping, np.eye(3)):
        return image, _cut(boxes, width, height) if clip else boxes, np.ones(len(boxes), bool)
    grey = (border, border, border)
    moved = cv2.warpAffine(image, mapping[:2], (width, height), borderValue=grey)
    whole = _about(boxes, mapping, look.angle)
    inside = _cut(whole, width, height)
    warped = inside if clip else whole
    sides = warped[:, 2:] - warped[:, :2]  # (n, 2)
    before = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    keep = (inside[:, 2:] > inside[:, :2]).all(axis=1) & (sides > LEAST_SIDE).all(axis=1)
    keep &= sides.prod(axis=1) > LEAST_SHARE * before
    keep &= sides.max(axis=1, initial=0) < MOST_ASPECT * sides.min(axis=1, initial=np.inf)
    return np.asarray(moved, np.uint8), warped, keep


def _about(boxes: Boxes, mapping: npt.NDArray[np.float64], angle: float) -> Boxes:
    """The boxes (n, 4) about the mapped corners of boxes (n, 4), smaller for the angle."""
    points = boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]  # (n, 4 corners, 2)
    points = points @ mapping[:2, :2].T + mapping[:2, 2]
    first, last = points.min(axis=1), points.max(axis=1)  # (n, 2)
    turn = math.radians(angle)
    smaller = math.sqrt(max(abs(math.sin(turn)), abs(math.cos(turn))))
    centre, half = (first + last) / 2, (last - first) / 2 * smaller
    return np.hstack([centre - half, centre + half]).astype(boxes.dtype)


def _cut(boxes: Boxes, width: int, height: int) -> Boxes:
    """Boxes (n, 4) within the image."""
    return np.clip(boxes, 0, np.array([width, height, width, height], boxes.dtype))


def _moved(
    first: tuple[float, float], reach: float, step: tuple[float, float]
) -> tuple[float, float]:
    return first[0] + reach * step[0], first[1] + reach * step[1]
