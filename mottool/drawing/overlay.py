"""Overlay of a frame: boxes with captions, trails of foot points, frame number and legend."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import repeat
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from mottool.drawing.style import text_colour_on

__all__ = ["DARK", "BoxStyle", "Overlay", "identity_styles", "shared_styles", "side_by_side"]

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]
Colour = tuple[int, int, int]
FONT = cv2.FONT_HERSHEY_SIMPLEX
DARK, LIGHT = (32, 32, 32), (240, 240, 240)
UNKNOWN = (136, 136, 136)  # colour of boxes without an identity
MAX_COORDINATE = 1e5  # pixels; OpenCV's coordinates overflow beyond
FRACTION_BITS = 4  # of OpenCV's coordinates
DASH_LENGTH = 5  # in line widths, as long as a gap


class BoxStyle(NamedTuple):
    """Style of a box: its colour (blue, green, red), texts and line.

    `caption` is written on the colour and `note` beside it on dark; an empty text is not drawn.
    """

    colour: Colour
    caption: str = ""
    note: str = ""
    dashed: bool = False
    heavy: bool = False


def identity_styles(
    ids: npt.NDArray[np.int64], colours: Mapping[int, Colour], scores: Floats | None = None
) -> list[BoxStyle]:
    """Return a style for each identity (n,): its colour, its number and its score (n,), if any.

    Unknown identities, which are negative, are grey and have a question mark.
    """
    notes = (
        repeat("", len(ids)) if scores is None else (f"{score:.2f}" for score in map(float, scores))
    )
    names = zip(map(int, ids), notes, strict=True)
    return shared_styles(
        BoxStyle(UNKNOWN if i < 0 else colours[i], "?" if i < 0 else str(i), note)
        for i, note in names
    )


def shared_styles(styles: Iterable[BoxStyle]) -> list[BoxStyle]:
    """Return a list of styles with one object for equal ones: most boxes of a video have few."""
    objects: dict[BoxStyle, BoxStyle] = {}
    return [objects.setdefault(style, style) for style in styles]


def side_by_side(images: Sequence[Image]) -> Image:
    """Join images of one size (H, W, 3) in a row, with a white line between two of them."""
    height, width = images[0].shape[:2]
    line = np.full((height, max(2, width // 160), 3), 255, np.uint8)
    parts = [part for image in images for part in (line, image)]
    return np.concatenate(parts[1:], axis=1)


class _TextBox(NamedTuple):
    """A text on a filled rectangle in pixels, with the colours of both."""

    text: str
    left: int
    top: int
    width: int
    height: int
    background: Colour
    colour: Colour


class Overlay:
    """Draws the tracks of one sequence, frame by frame.

    A trail joins the foot points (the middle of a box's lower edge) of the last `trail` frames; 0
    draws none. `title` is written before the frame number. Lines and text grow with the frame;
    lines are at least `min_line_width` pixels wide.
    """

    def __init__(
        self, width: int, height: int, trail: int = 30, title: str = "", min_line_width: int = 1
    ) -> None:
        """Set the size of lines and text for frames of `width` times `height` pixels."""
        size = (width * height) ** 0.5
        self.line_width = max(min_line_width, round(size / 600))
        self.font_scale = max(0.3, size / 1900)  # OpenCV's unit: capitals of 22 pixels
        self.padding = self.line_width + (size > 600)  # pixels around the text of captions
        self.text_thickness = max(1, round(1.6 * self.font_scale))
        self.trail, self.title = trail, title
        self._feet: dict[int, deque[tuple[int, float, float]]] = defaultdict(deque)

    def add_foot_points(self, number: int, ids: npt.NDArray[np.int64], boxes: Floats) -> None:
        """Add the foot points of frame `number` to the trails, and remove those too old.

        `ids` (n,); `boxes` (n, 4) x1 y1 x2 y2 in pixels of the drawn frame.
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
        styles: Sequence[BoxStyle],
    ) -> Image:
        """Return a copy of the BGR image (H, W, 3) with frame `number` drawn over it.

        `ids` (n,); `boxes` (n, 4) x1 y1 x2 y2 in pixels of `image`; n `styles`. Boxes whose lower
        edge is lower in the frame cover those higher up. Only identities in this frame have trails.
        """
        self.add_foot_points(number, ids, boxes)
        colours = {i: style.colour for i, style in zip(ids.tolist(), styles, strict=True)}
        for third, opacity in ((2, 0.35), (1, 0.6), (0, 0.85)):  # the oldest third first
            trails = partial(self._draw_trails, number=number, third=third, colours=colours)
            image = _blend(image, opacity, trails)
        image = self.draw_boxes(image, boxes, styles)
        self._draw_number(image, number)
        return image

    def draw_boxes(self, image: Image, boxes: Floats, styles: Sequence[BoxStyle]) -> Image:
        """Return a copy of the image with boxes (n, 4) and their captions only."""
        order = np.argsort(boxes[:, 3], kind="stable").tolist()
        outlines = partial(self._draw_lines, boxes=boxes, styles=styles, background=True)
        image = _blend(image, 0.45, outlines)
        self._draw_lines(image, boxes[order], [styles[row] for row in order])
        texts = [
            self._caption(image, np.clip(boxes[row], -MAX_COORDINATE, MAX_COORDINATE), styles[row])
            for row in order
        ]
        for index in (1, 0):  # notes below all captions
            for text_boxes in texts:
                self._write(image, text_boxes[index])
        return image

    def _draw_trails(
        self, image: Image, number: int, third: int, colours: Mapping[int, Colour]
    ) -> None:
        """Draw one third of the trail of each identity in `colours`, 0 being the newest."""
        newest = number - third * self.trail / 3
        oldest = newest - self.trail / 3
        for identity, colour in colours.items():
            feet = self._feet[identity]
            part = [(x, y) for frame, x, y in feet if oldest - 1 <= frame <= newest]
            if len(part) > 1:
                line, width = _fixed_point(np.array(part)), self.line_width  # (k, 2)
                cv2.polylines(image, [line], False, colour, width, cv2.LINE_AA, FRACTION_BITS)

    def _draw_lines(
        self, image: Image, boxes: Floats, styles: Sequence[BoxStyle], background: bool = False
    ) -> None:
        """Draw the line of each box, or its `background`, a little wider.

        The background is dark, for contrast with any image. That of a line of one pixel has its
        colour, which a video of half the resolution in colours would lose.
        """
        corners = _fixed_point(boxes.reshape(-1, 2, 2)).tolist()  # n of upper left and lower right
        for (first, second), style in zip(corners, styles, strict=True):
            colour = DARK if background and self.line_width > 1 else style.colour
            width = self.line_width * (3 if style.heavy else 1) + (2 if background else 0)
            if style.dashed:
                self._draw_dashes(image, [first, second], colour, width)
            else:
                cv2.rectangle(image, first, second, colour, width, cv2.LINE_AA, FRACTION_BITS)

    def _draw_dashes(
        self, image: Image, corners: list[list[int]], colour: Colour, width: int
    ) -> None:
        """Draw a dashed rectangle, whose dashes start at its corners."""
        length = DASH_LENGTH * self.line_width << FRACTION_BITS
        limits = [side << FRACTION_BITS for side in image.shape[1::-1]]
        for axis in (0, 1):
            begin, end = (corner[axis] for corner in corners)
            skipped = max(0, -begin // (2 * length)) * 2 * length  # outside the frame
            for start in range(begin + skipped, min(end, limits[axis]), 2 * length):
                for across in (corner[1 - axis] for corner in corners):
                    ends = [[along, across] for along in (start, min(start + length, end))]
                    first, second = (point[::-1] if axis else point for point in ends)
                    cv2.line(image, first, second, colour, width, cv2.LINE_AA, FRACTION_BITS)

    def _caption(self, image: Image, box: Floats, style: BoxStyle) -> list[_TextBox]:
        """Return caption and note of a box (4,), above it if there is room, else inside it."""
        x1, y1 = box[:2].tolist()
        padding = self.padding
        texts = [
            (style.caption, style.colour, text_colour_on(style.colour)),
            (style.note, DARK, LIGHT),
        ]
        widths = [self._text_size(text)[0] + 2 * padding if text else 0 for text, _, _ in texts]
        height = self._text_size("0")[1] + 2 * padding
        left = max(min(round(x1) - self.line_width // 2, image.shape[1] - sum(widths)), 0)
        top = round(y1) - self.line_width - height
        if top < 0:
            top = round(max(y1, 0)) + self.line_width
        return [
            _TextBox(text, start, top, width, height, background, colour)
            for (text, background, colour), start, width in zip(
                texts, (left, left + widths[0]), widths, strict=True
            )
        ]

    def add_legend(self, image: Image, entries: Sequence[tuple[BoxStyle, str]]) -> Image:
        """Return the image above the meaning of styles: for each a line, then the text."""
        if not entries:
            return image
        padding, sample_width = 2 * self.line_width + 3, round(70 * self.font_scale)
        widths = [3 * padding + sample_width + self._text_size(text)[0] for _, text in entries]
        height = self._text_size("0")[1] + 2 * padding
        offsets, left, line = [], 0, 0
        for width in widths:
            if left and left + width > image.shape[1]:
                left, line = 0, line + 1
            offsets.append((left, line * height))
            left += width
        band = np.full(((line + 1) * height, image.shape[1], 3), DARK, np.uint8)
        for (style, text), (left, top) in zip(entries, offsets, strict=True):
            baseline, end = top + height - padding, left + padding + sample_width
            middle = top + height / 2
            sample = np.array([[left + padding, middle, end, middle]])  # a box without height
            self._draw_lines(band, sample, [style])
            self._put_text(band, text, (end + padding, baseline), LIGHT)
        return np.concatenate([image, band])

    def write_text(self, image: Image, text: str, x: float, y: float) -> None:
        """Write a small text on dark, with its lower left corner at `x`, `y` in pixels."""
        padding = self.padding
        width, height = (side + 2 * padding for side in self._text_size(text))
        left, bottom = (round(max(-MAX_COORDINATE, min(side, MAX_COORDINATE))) for side in (x, y))
        self._write(image, _TextBox(text, left, bottom - height, width, height, DARK, LIGHT))

    def _write(self, image: Image, box: _TextBox) -> None:
        if not box.text:
            return
        end = (box.left + box.width - 1, box.top + box.height - 1)
        cv2.rectangle(image, (box.left, box.top), end, box.background, cv2.FILLED)
        padding = self.padding
        self._put_text(image, box.text, (box.left + padding, end[1] + 1 - padding), box.colour)

    def _draw_number(self, image: Image, number: int) -> None:
        """Write title and frame number in the upper left corner, on a darkened background."""
        text = f"{self.title}  frame {number}".strip()
        (width, height), padding = self._text_size(text), 2 * self.line_width + 3
        region = image[: height + 2 * padding, : width + 2 * padding]
        region[:] = region // 3
        self._put_text(image, text, (padding, height + padding), LIGHT)

    def _text_size(self, text: str) -> tuple[int, int]:
        (width, height), _ = cv2.getTextSize(text, FONT, self.font_scale, self.text_thickness)
        return width, height

    def _put_text(self, image: Image, text: str, origin: tuple[int, int], colour: Colour) -> None:
        scale, thickness = self.font_scale, self.text_thickness
        cv2.putText(image, text, origin, FONT, scale, colour, thickness, cv2.LINE_AA)


def _fixed_point(points: Floats) -> npt.NDArray[np.int32]:
    """Convert points (k, 2) to OpenCV's fixed-point pixels, clipped to its range."""
    clipped = np.clip(points, -MAX_COORDINATE, MAX_COORDINATE)
    return np.asarray(np.rint(clipped * 2**FRACTION_BITS), np.int32)


def _blend(image: Image, opacity: float, draw: Callable[[Image], None]) -> Image:
    """Return a copy of the image with what `draw` draws on it, at an opacity in [0, 1]."""
    drawn = image.copy()
    draw(drawn)
    return np.asarray(cv2.addWeighted(drawn, opacity, image, 1 - opacity, 0), np.uint8)
