"""Compose a training scene from tiles of images and from cut-out people.

Bochkovskiy, Wang & Liao, "YOLOv4: Optimal speed and accuracy of object detection", 2020, §3.3
(mosaic); Dwibedi, Misra & Hebert, "Cut, paste and learn: Surprisingly easy synthesis for instance
detection", ICCV 2017. Every box is moved with its pixels. The box of a person that is no longer
recognisable becomes a region to ignore, which counts neither as foreground nor as background.
"""

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mottool.data.dataset import AnnotatedImage

__all__ = ["Canvas", "Region", "Tile", "resize"]

Image = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Region = tuple[int, int, int, int]  # x1 y1 x2 y2 in pixels of the canvas

MIN_WIDTH, MIN_HEIGHT = 4, 10  # pixels: smaller boxes are ignored
MIN_VISIBILITY = 0.2  # as annotated: less visible boxes are ignored
MAX_MARGIN = 0.4  # of a full box around its visible part, as a fraction of its sides
MAX_COVER = 0.8  # of a visible part: boxes that a cut-out covers more are ignored


@dataclass(frozen=True)
class Tile:
    """The placement of an image in a region of the canvas.

    The image is `flipped` and scaled by `scale` in x and y; then its upper left corner is at
    `corner` x y, in pixels of the canvas.
    """

    region: Region
    scale: tuple[float, float]
    corner: tuple[float, float]
    flipped: bool = False


@dataclass
class Canvas:
    """A scene: its pixels and their annotations.

    `boxes` (n, 4) x1 y1 x2 y2 of whole people and `visible` (n, 4) of their visible parts are in
    pixels of the canvas. `rows` (n,) are the indices of the boxes in the dataset; `identities` (n,)
    and `ignored` (k, 4) are as in `AnnotatedImage`.
    """

    pixels: Image
    boxes: Boxes = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    visible: Boxes = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    rows: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    identities: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    ignored: Boxes = field(default_factory=lambda: np.zeros((0, 4), np.float32))

    @classmethod
    def empty(cls, width: int, height: int, grey: int) -> "Canvas":
        """Return a canvas of one grey level, in [0, 255], without boxes."""
        return cls(np.full((height, width, 3), grey, np.uint8))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def add_image(self, image: AnnotatedImage, tile: Tile, min_share: float) -> None:
        """Draw the part of an image inside a tile's region, and add its boxes.

        A box becomes ignored if the region contains `min_share` or less of its area.
        """
        pixels = image.pixels()
        boxes, ignored = image.boxes - image.origin, image.ignored - image.origin
        if tile.flipped:
            pixels = pixels[:, ::-1]
            boxes, ignored = _mirrored(boxes, image.width), _mirrored(ignored, image.width)
        _draw(self.pixels, pixels, tile)
        scale, corner = np.array(tile.scale * 2, np.float32), np.array(tile.corner * 2, np.float32)
        clear = image.visibility >= MIN_VISIBILITY
        boxes = boxes * scale + corner
        self._add(boxes, image.rows, image.identities, tile.region, min_share, clear)
        self._ignore(_clip(ignored * scale + corner, tile.region))

    def paste(
        self,
        cutout: Image,
        opacity: npt.NDArray[np.float32],
        corner: tuple[float, float],
        row: int,
        identity: int,
        min_share: float,
    ) -> None:
        """Draw a cut-out person (h, w, 3) with `opacity` (h, w) in [0, 1] over the scene.

        `corner` x y is the position of its upper left pixel. Boxes that it covers become ignored.
        """
        width, height = self.size
        left, top = round(corner[0]), round(corner[1])
        box = np.array([[left, top, left + cutout.shape[1], top + cutout.shape[0]]], np.float32)
        x1, y1, x2, y2 = _clip(box, (0, 0, width, height))[0].astype(int)
        if x2 <= x1 or y2 <= y1:
            return
        window = self.pixels[y1:y2, x1:x2]
        source = slice(y1 - top, y2 - top), slice(x1 - left, x2 - left)
        alpha = opacity[source][..., None]
        window[:] = (window * (1 - alpha) + cutout[source] * alpha).round()
        covered = _covered_share(self.visible, np.array([x1, y1, x2, y2], np.float32)) > MAX_COVER
        self._ignore(self.visible[covered])
        for name in ("boxes", "visible", "rows", "identities"):
            setattr(self, name, getattr(self, name)[~covered])
        canvas = (0, 0, width, height)
        rows, identities = np.array([row]), np.array([identity])
        self._add(box, rows, identities, canvas, min_share, np.ones(1, bool))

    def _add(
        self,
        boxes: Boxes,
        rows: Ints,
        identities: Ints,
        region: Region,
        min_share: float,
        clear: npt.NDArray[np.bool_],
    ) -> None:
        """Add boxes (n, 4), or ignore those that are not `clear` (n,), too small or cut off."""
        visible = _clip(boxes, region)
        sides = boxes[:, 2:] - boxes[:, :2]  # (n, 2)
        visible_sides = visible[:, 2:] - visible[:, :2]  # (n, 2)
        inside = (visible_sides > 1).all(axis=1)
        share = visible_sides.prod(axis=1) / np.maximum(sides.prod(axis=1), 1e-6)
        keep = inside & clear & (share > min_share)
        keep &= (sides[:, 0] >= MIN_WIDTH) & (sides[:, 1] >= MIN_HEIGHT)
        # Limit the margin of a full box around its visible part, as in annotations.
        low, high = visible[:, :2] - MAX_MARGIN * sides, visible[:, 2:] + MAX_MARGIN * sides
        limited = np.hstack((np.maximum(boxes[:, :2], low), np.minimum(boxes[:, 2:], high)))
        self._ignore(visible[inside & ~keep])
        self.boxes = np.concatenate((self.boxes, limited[keep].astype(np.float32)))
        self.visible = np.concatenate((self.visible, visible[keep]))
        self.rows = np.concatenate((self.rows, rows[keep]))
        self.identities = np.concatenate((self.identities, identities[keep]))

    def _ignore(self, regions: Boxes) -> None:
        """Ignore the regions (k, 4) that are larger than a pixel."""
        regions = regions[(regions[:, 2:] - regions[:, :2] > 1).all(axis=1)]
        self.ignored = np.concatenate((self.ignored, regions))


def _draw(canvas: Image, image: Image, tile: Tile) -> None:
    """Scale the part of an image (H, W, 3) inside a tile's region, and draw it on the canvas."""
    (left, top, right, bottom), (sx, sy), (x, y) = tile.region, tile.scale, tile.corner
    height, width = image.shape[:2]
    u1, u2 = _span((left - x) / sx, (right - x) / sx, width)
    v1, v2 = _span((top - y) / sy, (bottom - y) / sy, height)
    if u2 <= u1 or v2 <= v1:
        return
    x1, x2 = round(x + u1 * sx), max(round(x + u2 * sx), round(x + u1 * sx) + 1)
    y1, y2 = round(y + v1 * sy), max(round(y + v2 * sy), round(y + v1 * sy) + 1)
    part = resize(image[v1:v2, u1:u2], (x2 - x1, y2 - y1))
    a1, a2, b1, b2 = max(x1, left), min(x2, right), max(y1, top), min(y2, bottom)
    if a2 > a1 and b2 > b1:
        canvas[b1:b2, a1:a2] = part[b1 - y1 : b2 - y1, a1 - x1 : a2 - x1]


def resize(image: Any, size: tuple[int, int]) -> Any:
    """Resize an image (H, W) or (H, W, 3) to `size` (width, height); shrink by averaging."""
    shrinks = size[0] < image.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(image), size, interpolation=interpolation)


def _span(first: float, last: float, length: int) -> tuple[int, int]:
    """Return the range of pixels, within `length`, that a span touches."""
    return max(int(np.floor(first)), 0), min(int(np.ceil(last)), length)


def _mirrored(boxes: Boxes, width: int) -> Boxes:
    return np.stack((width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]), axis=1)


def _clip(boxes: Boxes, region: Region) -> Boxes:
    """Clip boxes (n, 4) to a region; those outside have no area."""
    low, high = np.array(region[:2] * 2), np.array(region[2:] * 2)
    return np.clip(boxes, low, high).astype(np.float32)


def _covered_share(boxes: Boxes, cover: Boxes) -> npt.NDArray[np.float32]:
    """Return the fraction of each box (n, 4) that the box `cover` (4,) covers."""
    shared = np.minimum(boxes[:, 2:], cover[2:]) - np.maximum(boxes[:, :2], cover[:2])
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return np.asarray(np.maximum(shared, 0).prod(axis=1) / np.maximum(area, 1e-6), np.float32)
