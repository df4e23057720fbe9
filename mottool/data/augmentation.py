"""Augmentation as in the papers: colour jitter, flip, and a random affine warp of image and boxes.

FairMOT (§4.4), JDE (§4.1) and OUTrack use the same augmentation, by their authors' code: saturation
and value by up to half, rotation by 5 degrees, shifts by a tenth, scales of 0.5 to 1.2, shears of 2
degrees. CSTrack's code has YOLOv5's colours and flips only. TDT (§4.2) has flips and scales of 0.5
to 2, which are done as in Google's RetinaNet: the original frame is scaled, and cropped anywhere if
it is larger than the input, so that people keep their resolution. CenterTrack's code, like
CenterNet's, crops anywhere in the frame at 0.6 to 1.4 of its size and changes colours by up to 0.4;
its contrast and lighting changes are omitted here. The transform of one image is an
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
    "crop_frame",
    "flip",
    "jitter",
    "transform_matrix",
    "recolour",
    "sample_transform",
    "sample_transform_near",
    "warp",
]

Image = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]

GREY = 128  # of the letterbox
# A warped box that is smaller or thinner is dropped, as in JDE's code.
MIN_SIDE, MIN_SHARE, MAX_ASPECT = 4, 0.1, 10  # pixels, part of its former area, longer/shorter side
NEAREST, FARTHEST = 0.05, 0.2  # of the ranges: how far the second look of a pair is from the first


@dataclass(frozen=True)
class ImageTransform:
    """The transform of one image; the default changes nothing.

    `gains` multiply hue, saturation and value; `angle` is in degrees, counter-clockwise; `shift` is
    x y as fractions of width and height; `shear` is x y in degrees. `corner` is the position of a
    crop within a frame larger than the input, x y in [0, 1].
    """

    flipped: bool = False
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    angle: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    shear: tuple[float, float] = (0.0, 0.0)
    corner: tuple[float, float] = (0.5, 0.5)


def sample_transform(ranges: Augmentation, draw: np.random.Generator) -> ImageTransform:
    """Draw a transform uniformly from the ranges."""
    limits = np.array([ranges.hue, ranges.saturation, ranges.value])
    gains = 1 + limits * draw.uniform(-1, 1, 3)
    shift, shear = ranges.shift * draw.uniform(-1, 1, 2), ranges.shear * draw.uniform(-1, 1, 2)
    transform = ImageTransform(
        flipped=bool(draw.random() < ranges.flip),
        gains=(gains[0], gains[1], gains[2]),
        angle=ranges.angle * draw.uniform(-1, 1),
        scale=draw.uniform(ranges.shrink, ranges.grow),
        shift=(shift[0], shift[1]),
        shear=(shear[0], shear[1]),
    )
    return replace(transform, corner=(draw.random(), draw.random())) if ranges.crop else transform


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
    image: Image, boxes: Boxes, transform: ImageTransform, clip: bool = False, border: int = GREY
) -> tuple[Image, Boxes, Bools]:
    """Transform an image (H, W, 3) BGR and its boxes (n, 4) x1 y1 x2 y2.

    Return also which boxes (n,) to keep for training. Colours are not changed: apply `jitter` to
    the frame before its letterbox, so that the margins keep their grey, `border`.
    """
    image, boxes, keep = warp(image, boxes, transform, clip, border)
    if transform.flipped:
        image, boxes = flip(image, boxes)
    return image, boxes, keep


def crop_frame(
    frame: Image, boxes: Boxes, size: tuple[int, int], transform: ImageTransform, border: int = GREY
) -> tuple[Image, Boxes, Bools]:
    """Fit a frame (h, w, 3) BGR into `size` (width, height), scale it, then crop or pad it.

    `boxes` (n, 4) x1 y1 x2 y2 are in pixels of the frame when it is fitted, without margins. Return
    the image (height, width, 3), the boxes in it, clipped to it, and which boxes (n,) to keep. A
    frame smaller than the input is centred.
    """
    (width, height), (h, w) = size, frame.shape[:2]
    scale = min(width / w, height / h) * transform.scale
    inner = max(round(w * scale), 1), max(round(h * scale), 1)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    pixels = cv2.resize(frame, inner, interpolation=interpolation)
    image = np.full((height, width, 3), border, np.uint8)
    # Of the image in the scaled frame; negative where there are margins.
    left, top = (
        round((have - need) * (where if have > need else 0.5))
        for have, need, where in zip(inner, size, transform.corner, strict=True)
    )
    x, y = max(left, 0), max(top, 0)
    cut = pixels[y : y + height, x : x + width]
    image[y - top : y - top + cut.shape[0], x - left : x - left + cut.shape[1]] = cut
    moved = boxes * transform.scale - np.array([left, top] * 2)
    inside = _clip(moved, width, height)
    return image, inside, _kept(inside, inside, (moved[:, 2:] - moved[:, :2]).prod(axis=1))


def flip(image: Image, boxes: Boxes) -> tuple[Image, Boxes]:
    """Mirror an image (H, W, 3) and boxes (n, 4) x1 y1 x2 y2 horizontally."""
    mirrored = boxes.copy()
    mirrored[:, [0, 2]] = image.shape[1] - boxes[:, [2, 0]]
    return np.ascontiguousarray(image[:, ::-1]), mirrored


def jitter(image: Image, gains: tuple[float, float, float]) -> Image:
    """Multiply the hue, saturation and value of an image (H, W, 3) BGR by `gains`."""
    if gains == (1.0, 1.0, 1.0):
        return image
    levels = np.arange(256)[:, None] * np.array(gains)  # (256, 3)
    levels[:, 0] %= 180  # hue in OpenCV has a unit of two degrees
    table = np.clip(levels, 0, 255).astype(np.uint8)[None]  # (1, 256, 3)
    hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), table)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), np.uint8)


def transform_matrix(transform: ImageTransform, width: int, height: int) -> npt.NDArray[np.float64]:
    """Return the matrix (3, 3) of a transform for points x y 1: rotation, shift, then shear."""
    rotation, shift, shear = np.eye(3), np.eye(3), np.eye(3)
    centre = width / 2, height / 2
    rotation[:2] = cv2.getRotationMatrix2D(centre, transform.angle, transform.scale)
    shift[:2, 2] = transform.shift[0] * width, transform.shift[1] * height
    shear[0, 1], shear[1, 0] = (math.tan(math.radians(angle)) for angle in transform.shear)
    combined: npt.NDArray[np.float64] = shear @ shift @ rotation
    return combined


def warp(
    image: Image, boxes: Boxes, transform: ImageTransform, clip: bool = False, border: int = GREY
) -> tuple[Image, Boxes, Bools]:
    """Warp an image (H, W, 3) and boxes (n, 4) x1 y1 x2 y2 by the matrix of a transform.

    Pixels from outside the image get the grey level `border`, in [0, 255]. A box becomes the box
    around its rotated corners; it shrinks with the angle, because people do not fill their corners.
    With `clip` it ends at the image's edge. Return also which boxes (n,) to keep: those in the
    image that are not too small, too thin or cut off too much.
    """
    height, width = image.shape[:2]
    mapping = transform_matrix(transform, width, height)
    if np.array_equal(mapping, np.eye(3)):
        return image, _clip(boxes, width, height) if clip else boxes, np.ones(len(boxes), bool)
    grey = (border, border, border)
    pixels = cv2.warpAffine(image, mapping[:2], (width, height), borderValue=grey)
    unclipped = _warp_boxes(boxes, mapping, transform.angle)
    inside = _clip(unclipped, width, height)
    warped = inside if clip else unclipped
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)  # (n,), before the warp
    return np.asarray(pixels, np.uint8), warped, _kept(warped, inside, area)


def _kept(boxes: Boxes, inside: Boxes, area: Boxes) -> Bools:
    """Return which boxes (n, 4) to keep, given their part in the image and their area before."""
    sides = boxes[:, 2:] - boxes[:, :2]  # (n, 2)
    in_image = (inside[:, 2:] > inside[:, :2]).all(axis=1) & (sides > MIN_SIDE).all(axis=1)
    large = sides.prod(axis=1) > MIN_SHARE * area
    thick = sides.max(axis=1, initial=0) < MAX_ASPECT * sides.min(axis=1, initial=np.inf)
    keep: Bools = in_image & large & thick
    return keep


def _warp_boxes(boxes: Boxes, mapping: npt.NDArray[np.float64], angle: float) -> Boxes:
    """Return the boxes (n, 4) around the mapped corners of boxes (n, 4), shrunk by the angle."""
    points = boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]  # (n, 4 corners, 2)
    points = points @ mapping[:2, :2].T + mapping[:2, 2]
    first, last = points.min(axis=1), points.max(axis=1)  # (n, 2)
    radians = math.radians(angle)
    shrink = math.sqrt(max(abs(math.sin(radians)), abs(math.cos(radians))))
    centre, half = (first + last) / 2, (last - first) / 2 * shrink
    return np.hstack([centre - half, centre + half]).astype(boxes.dtype)


def _clip(boxes: Boxes, width: int, height: int) -> Boxes:
    """Clip boxes (n, 4) to the image."""
    return np.clip(boxes, 0, np.array([width, height, width, height], boxes.dtype))


def _moved(
    first: tuple[float, float], reach: float, step: tuple[float, float]
) -> tuple[float, float]:
    return first[0] + reach * step[0], first[1] + reach * step[1]
