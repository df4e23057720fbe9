"""What is drawn over a frame: boxes with identities, trails of foot points, the frame's number."""

from collections import defaultdict, deque
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from mottool.drawing.colours import colour_of, ink_on

__all__ = ["Overlay"]

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]
Colour = tuple[int, int, int]
FONT = cv2.FONT_HERSHEY_SIMPLEX
SHADE, PAPER = (32, 32, 32), (240, 240, 240)
FAR = 1e5  # pixels; OpenCV's coordinates overflow beyond
SUBPIXEL = 4  # fractional bits of OpenCV's coordinates


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
    reaches; 0 draws none. Lines and letters grow with the frame.
    """

    def __init__(self, width: int, height: int, trail: int = 30) -> None:
        """`width` and `height` are pixels of the frames that will be drawn on."""
        size = (width * height) ** 0.5
        self.line = max(1, round(size / 600))
        self.letters = max(0.36, size / 1900)  # OpenCV's unit: capitals of 22 pixels
        self.weight = max(1, round(1.6 * self.letters))
        self.trail = trail
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
    ) -> Image:
        """The BGR image (H, W, 3) with frame `number` drawn over it; the given one is unchanged.

        `ids` (n,), `boxes` (n, 4) x1 y1 x2 y2 in pixels of `image`, `scores` (n,) or None for
        labels without them. Boxes that stand lower in the frame lie over those higher up.
        """
        self.remember(number, ids, boxes)
        for age, strength in ((2, 0.35), (1, 0.6), (0, 0.85)):  # the oldest third first
            image = _blended(image, strength, partial(self._trails, number=number, age=age))
        order = np.argsort(boxes[:, 3], kind="stable").tolist()
        corners = [_fixed(boxes[row].reshape(2, 2)).tolist() for row in order]
        image = _blended(image, 0.45, partial(self._edges, corners=corners))
        for row, (first, second) in zip(order, corners, strict=True):
            colour = colour_of(int(ids[row]))
            cv2.rectangle(image, first, second, colour, self.line, cv2.LINE_AA, SUBPIXEL)
        told = [None] * len(ids) if scores is None else scores.tolist()
        labels = [
            self._label(image, np.clip(boxes[row], -FAR, FAR).tolist(), int(ids[row]), told[row])
            for row in order
        ]
        for part in (1, 0):  # scores under all identities
            for label in labels:
                for patch in label[part : part + 1]:
                    self._write(image, patch)
        self._number(image, number)
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

    def _edges(self, image: Image, corners: list[list[list[int]]]) -> None:
        """The dark ground under each box's line, so that it is seen on anything."""
        for first, second in corners:
            cv2.rectangle(image, first, second, SHADE, self.line + 2, cv2.LINE_AA, SUBPIXEL)

    def _label(
        self, image: Image, box: list[float], identity: int, score: float | None
    ) -> list[_Patch]:
        """The identity on its colour, then any score on dark: above the box if there is room."""
        colour, pad = colour_of(identity), self.line + 1
        told = [(str(identity), colour, ink_on(colour))]
        if score is not None:
            told.append((f"{score:.2f}", SHADE, PAPER))
        widths = [self._text_size(text)[0] + 2 * pad for text, _, _ in told]
        height = self._text_size("0")[1] + 2 * pad
        left = min(round(box[0]) - self.line // 2, image.shape[1] - sum(widths))
        left, top = max(left, 0), round(box[1]) - self.line - height
        if top < 0:
            top = round(max(box[1], 0)) + self.line
        lefts = [left, left + widths[0]]
        return [
            _Patch(text, start, top, width, height, ground, ink)
            for (text, ground, ink), start, width in zip(told, lefts, widths, strict=False)
        ]

    def _write(self, image: Image, patch: _Patch) -> None:
        end = (patch.left + patch.width - 1, patch.top + patch.height - 1)
        cv2.rectangle(image, (patch.left, patch.top), end, patch.ground, cv2.FILLED)
        pad = self.line + 1
        self._text(image, patch.text, (patch.left + pad, end[1] + 1 - pad), patch.ink)

    def _number(self, image: Image, number: int) -> None:
        """The frame's number in the upper left corner, on a darkened patch."""
        text = f"frame {number}"
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
