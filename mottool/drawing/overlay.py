"""What is drawn over a frame: boxes with labels, trails of foot points, number and legend."""

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from mottool.drawing.style import colour_of, ink_on

__all__ = ["BoxStyle", "Overlay", "beside_each_other", "looks_of"]

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]
Colour = tuple[int, int, int]
FONT = cv2.FONT_HERSHEY_SIMPLEX
SHADE, PAPER = (32, 32, 32), (240, 240, 240)
FAR = 1e5  # pixels; OpenCV's coordinates overflow beyond
SUBPIXEL = 4  # fractional bits of OpenCV's coordinates
DASH = 5  # lengths of a dash in widths of its line; the gap is three


class BoxStyle(NamedTuple):
    """How a box is drawn: its colour (blue, green, red), texts and line.

    `label` stands on the colour, `note` beside it on dark; an empty one is left out.
    """

    colour: Colour
    label: str = ""
    note: str = ""
    dashed: bool = False
    heavy: bool = False


def looks_of(ids: npt.NDArray[np.int64], scores: Floats | None = None) -> list[BoxStyle]:
    """Each identity (n,) in its own colour with its number, its score (n,) beside it."""
    notes = [""] * len(ids) if scores is None else [f"{score:.2f}" for score in scores.tolist()]
    return [
        BoxStyle(colour_of(i), str(i), note) for i, note in zip(ids.tolist(), notes, strict=True)
    ]


def beside_each_other(pictures: Sequence[Image]) -> Image:
    """Pictures of one size (H, W, 3) in a row, a white line between two."""
    height, width = pictures[0].shape[:2]
    line = np.full((height, max(2, width // 160), 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (line, picture)]
    return np.concatenate(parts[1:], axis=1)


class _Patch(NamedTuple):
    """A text on its ground: where it lies in pixels, and its colours."""

    text: str
    left: int
    top: int
    width: int
    height: int
    ground: Colour
    ink: Colour


class Overlay:
    """Draws the tracks of one sequence, frame after frame.

    `trail` is how many frames back the line of foot points (the middle of a box's lower edge)
    reaches; 0 draws none. `title` stands before the frame's number. Lines and letters grow with
    the frame; lines are at least `finest` pixels wide.
    """

    def __init__(
        self, width: int, height: int, trail: int = 30, title: str = "", finest: int = 1
    ) -> None:
        """`width` and `height` are pixels of the frames that will be drawn on."""
        size = (width * height) ** 0.5
        self.line = max(finest, round(size / 600))
        self.letters = max(0.36, size / 1900)  # OpenCV's unit: capitals of 22 pixels
        self.weight = max(1, round(1.6 * self.letters))
        self.trail, self.title = trail, title
        self._feet: dict[int, deque[tuple[int, float, float]]] = defaultdict(deque)

    def remember(self, number: int, ids: npt.NDArray[np.int64], boxes: Floats) -> None:
        """Add the foot points of frame `number` to the trails, and forget those too old.

        `ids` (n,), `boxes` (n, 4) x1 y1 x2 y2 in pixels of the frame that is drawn on.
        """
        for identity, (x1, _, x2, y2) in zip(ids.tolist(), boxes.tolist(), strict=True):
            self._feet[identity].append((number, (x1 + x2) / 2, y2))
        for identity in list(self._feet):
            feet = self._feet[identity]
            while feet and feet[0][0] < number - self.trail:
                feet.popleft()
            if not feet:
                del self._feet[identity]

    def draw(
        self,
        image: Image,
        number: int,
        ids: npt.NDArray[np.int64],
        boxes: Floats,
        scores: Floats | None = None,
        looks: Sequence[BoxStyle] | None = None,
    ) -> Image:
        """The BGR image (H, W, 3) with frame `number` drawn over it; the given one is unchanged.

        `ids` (n,), `boxes` (n, 4) x1 y1 x2 y2 in pixels of `image`, `scores` (n,) or None for
        labels without them; n `looks` take the place of those of the identities. Boxes that stand
        lower in the frame lie over those higher up.
        """
        self.remember(number, ids, boxes)
        for age, strength in ((2, 0.35), (1, 0.6), (0, 0.85)):  # the oldest third first
            image = _blended(image, strength, partial(self._trails, number=number, age=age))
        image = self.boxes(image, boxes, looks_of(ids, scores) if looks is None else looks)
        self._number(image, number)
        return image

    def boxes(self, image: Image, boxes: Floats, looks: Sequence[BoxStyle]) -> Image:
        """A copy of the image with boxes (n, 4) and their labels only."""
        order = np.argsort(boxes[:, 3], kind="stable").tolist()
        image = _blended(image, 0.45, partial(self._outlines, boxes=boxes, looks=looks, under=True))
        ranked = [looks[row] for row in order]
        self._outlines(image, boxes[order], ranked)
        labels = [
            self._label(image, np.clip(boxes[row], -FAR, FAR).tolist(), looks[row]) for row in order
        ]
        for part in (1, 0):  # notes under all labels
            for label in labels:
                for patch in label[part : part + 1]:
                    self._write(image, patch)
        return image

    def _trails(self, image: Image, number: int, age: int) -> None:
        """Each trail's part of one third of its length, `age` 0 being the newest."""
        newest = number - age * self.trail / 3
        oldest = newest - self.trail / 3
        for identity, feet in self._feet.items():
            part = [(x, y) for frame, x, y in feet if oldest - 1 <= frame <= newest]
            if len(part) > 1:
                line = _fixed(np.array(part))  # (k, 2)
                colour = colour_of(identity)
                cv2.polylines(image, [line], False, colour, self.line + 1, cv2.LINE_AA, SUBPIXEL)

    def _outlines(
        self, image: Image, boxes: Floats, looks: Sequence[BoxStyle], under: bool = False
    ) -> None:
        """Each box's line, or the dark ground `under` it, so that it is seen on anything."""
        ends = _fixed(boxes.reshape(-1, 2, 2)).tolist()  # n of upper left and lower right
        for (first, second), look in zip(ends, looks, strict=True):
            colour = SHADE if under else look.colour
            width = self.line * (3 if look.heavy else 1) + (2 if under else 0)
            if look.dashed:
                self._dashes(image, [first, second], colour, width)
            else:
                cv2.rectangle(image, first, second, colour, width, cv2.LINE_AA, SUBPIXEL)

    def _dashes(self, image: Image, corners: list[list[int]], colour: Colour, width: int) -> None:
        """A rectangle of dashes, which are counted from its own corners."""
        step = DASH * self.line << SUBPIXEL
        limits = [side << SUBPIXEL for side in image.shape[1::-1]]
        for axis in (0, 1):
            begin, end = (corner[axis] for corner in corners)
            skipped = max(0, -begin // (2 * step)) * 2 * step  # what lies before the frame
            for start in range(begin + skipped, min(end, limits[axis]), 2 * step):
                for across in (corner[1 - axis] for corner in corners):
                    ends = [[at, across] for at in (start, min(start + step, end))]
                    one, other = (place[::-1] if axis else place for place in ends)
                    cv2.line(image, one, other, colour, width, cv2.LINE_AA, SUBPIXEL)

    def _label(self, image: Image, box: list[float], look: BoxStyle) -> list[_Patch]:
        """The label on its colour, then any note on dark: above the box if there is room."""
        pad = self.line + 1
        told = [(look.label, look.colour, ink_on(look.colour)), (look.note, SHADE, PAPER)]
        widths = [self._text_size(text)[0] + 2 * pad if text else 0 for text, _, _ in told]
        height = self._text_size("0")[1] + 2 * pad
        left = min(round(box[0]) - self.line // 2, image.shape[1] - sum(widths))
        left, top = max(left, 0), round(box[1]) - self.line - height
        if top < 0:
            top = round(max(box[1], 0)) + self.line
        lefts = [left, left + widths[0]]
        return [
            _Patch(text, start, top, width, height, ground, ink)
            for (text, ground, ink), start, width in zip(told, lefts, widths, strict=True)
        ]

    def legend(self, image: Image, entries: Sequence[tuple[BoxStyle, str]]) -> None:
        """Write onto the image's lower left what looks mean: a piece of line, then the text."""
        if not entries:
            return
        pad, sample = 2 * self.line + 3, round(90 * self.letters)
        widths = [3 * pad + sample + self._text_size(text)[0] for _, text in entries]
        height = self._text_size("0")[1] + 2 * pad
        places, left, line = [], 0, 0
        for width in widths:
            if left and left + width > image.shape[1]:
                left, line = 0, line + 1
            places.append((left, line * height))
            left += width
        top = image.shape[0] - (line + 1) * height
        image[max(top, 0) :] //= 3
        for (look, text), (left, down) in zip(entries, places, strict=True):
            lower, end = top + down + height - pad, left + pad + sample
            middle = top + down + height / 2
            sample_line = np.array([[left + pad, middle, end, middle]])  # a box without height
            self._outlines(image, sample_line, [look], under=True)
            self._outlines(image, sample_line, [look])
            self._text(image, text, (end + pad, lower), PAPER)

    def tell(self, image: Image, text: str, x: float, y: float) -> None:
        """Write a small text onto the image, on dark, its lower left corner at `x`, `y` pixels."""
        pad = self.line + 1
        width, height = (side + 2 * pad for side in self._text_size(text))
        left, low = round(max(-FAR, min(x, FAR))), round(max(-FAR, min(y, FAR)))
        self._write(image, _Patch(text, left, low - height, width, height, SHADE, PAPER))

    def _write(self, image: Image, patch: _Patch) -> None:
        if not patch.text:
            return
        end = (patch.left + patch.width - 1, patch.top + patch.height - 1)
        cv2.rectangle(image, (patch.left, patch.top), end, patch.ground, cv2.FILLED)
        pad = self.line + 1
        self._text(image, patch.text, (patch.left + pad, end[1] + 1 - pad), patch.ink)

    def _number(self, image: Image, number: int) -> None:
        """The frame's number in the upper left corner, on a darkened patch."""
        text = f"{self.title}  frame {number}".strip()
        (width, height), pad = self._text_size(text), 2 * self.line + 3
        patch = image[: height + 2 * pad, : width + 2 * pad]
        patch[:] = patch // 3
        self._text(image, text, (pad, height + pad), PAPER)

    def _text_size(self, text: str) -> tuple[int, int]:
        (width, height), _ = cv2.getTextSize(text, FONT, self.letters, self.weight)
        return width, height

    def _text(self, image: Image, text: str, place: tuple[int, int], ink: Colour) -> None:
        cv2.putText(image, text, place, FONT, self.letters, ink, self.weight, cv2.LINE_AA)


def _fixed(points: Floats) -> npt.NDArray[np.int32]:
    """Points (k, 2) in OpenCV's fixed-point pixels, kept where they can be drawn."""
    return np.asarray(np.rint(np.clip(points, -FAR, FAR) * 2**SUBPIXEL), np.int32)


def _blended(image: Image, strength: float, draw: Callable[[Image], None]) -> Image:
    """A copy of the image with what `draw` puts on it, opaque by `strength` in [0, 1]."""
    drawn = image.copy()
    draw(drawn)
    return np.asarray(cv2.addWeighted(drawn, strength, image, 1 - strength, 0), np.uint8)
