"""Image strips of identity switches: one person in the frames before, at and after a switch."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from mottool.boxes import xyxy_from_tlwh
from mottool.drawing.identity_colours import identity_colours
from mottool.drawing.overlay import BoxStyle, Overlay
from mottool.metrics.box_outcomes import IdentitySwitch
from mottool.motchallenge.rows import Rows
from mottool.sources.sequence import Frame

__all__ = ["StripMaker"]

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

HEIGHT = 300  # pixels of an image
ASPECT = 0.8  # width of an image over its height
WIDTH = round(HEIGHT * ASPECT)
CONTEXT = 1.5  # height of an image, in heights of the person
SECONDS = 0.25  # from the first image to the last match before, and from the switch to the last
GAP, BAND = 4, 30  # pixels between images, and of a line of text
WHITE, DARK, GREY = (255, 255, 255), (32, 32, 32), (110, 110, 110)
GROUND_TRUTH = BoxStyle(WHITE, dashed=True)


class _Strip(NamedTuple):
    switch: IdentitySwitch
    frames: list[int]  # numbers, in order
    images: dict[int, Image]  # by frame number


class StripMaker:
    """Collects the images of every switch while the frames are read once, in order.

    In each image the person's ground-truth box is dashed in white, and result boxes have the
    colours of their identities. The line is heavy for the identity before the switch, and from the
    switch on for the one after it.
    """

    def __init__(
        self, switches: list[IdentitySwitch], ground_truth: Rows, results: Rows, fps: float
    ) -> None:
        """Prepare the strips of a sequence of `fps` frames per second."""
        self._ground_truth, self._results = ground_truth, results
        self._colours = identity_colours(results)
        self._by_frame = np.argsort(results.frames, kind="stable")
        self._frames = results.frames[self._by_frame]
        step = max(1, round(SECONDS * fps))
        self._pending = [_Strip(switch, _strip_frames(switch, step), {}) for switch in switches]
        self.first = min((strip.frames[0] for strip in self._pending), default=1)

    def strips(self, frames: Iterable[Frame]) -> Iterator[tuple[IdentitySwitch, Image]]:
        """Yield the strip of every switch once its last frame is read, or the frames end.

        `frames` start with the number `first` or before; no frame after the last needed one is
        read.
        """
        if not self._pending:
            return
        for frame in frames:
            for strip in [strip for strip in self._pending if frame.number in strip.frames]:
                strip.images[frame.number] = self._draw(strip.switch, frame.number, frame.image)
                if frame.number == strip.frames[-1]:
                    self._pending.remove(strip)
                    yield strip.switch, _join(strip)
            if not self._pending:
                return
        yield from ((strip.switch, _join(strip)) for strip in self._pending if strip.images)

    def _draw(self, switch: IdentitySwitch, number: int, image: Image) -> Image:
        """Draw the person of a switch and the surroundings, (HEIGHT, WIDTH, 3)."""
        person_box, in_frame = self._person_box(switch.object, number)
        context = CONTEXT * max(float(person_box[3] - person_box[1]), 8.0)
        scale = HEIGHT / context
        centre = (person_box[:2] + person_box[2:]) / 2
        left, top = centre - [context * ASPECT / 2, context / 2]
        transform = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        crop = cv2.warpAffine(image, transform, (WIDTH, HEIGHT), flags=method, borderValue=GREY)
        start, stop = self._frames.searchsorted([number, number + 1])
        rows = self._by_frame[start:stop]
        boxes = xyxy_from_tlwh(self._results.tlwh[rows])  # (n, 4)
        heavy = switch.before if number < switch.frame else switch.after
        styles = [
            BoxStyle(self._colours[i], str(i), heavy=i == heavy)
            for i in self._results.ids[rows].tolist()
        ]
        if in_frame:
            boxes = np.concatenate([boxes, person_box[None]])
            styles.append(GROUND_TRUTH)
        boxes = (boxes - np.tile([left, top], 2)) * scale
        visible = ((boxes[:, 2:] > 0) & (boxes[:, :2] < [WIDTH, HEIGHT])).all(axis=1)
        styles = [style for style, keep in zip(styles, visible.tolist(), strict=True) if keep]
        overlay = Overlay(3 * WIDTH, 2 * HEIGHT, trail=0)
        return overlay.draw_boxes(np.asarray(crop, np.uint8), boxes[visible], styles)

    def _person_box(self, identity: int, number: int) -> tuple[Floats, bool]:
        """Return a person's ground-truth box x1 y1 x2 y2, and whether it is in the frame.

        In frames without the person the box is interpolated linearly.
        """
        rows = np.flatnonzero(self._ground_truth.ids == identity)
        rows = rows[np.argsort(self._ground_truth.frames[rows], kind="stable")]
        frames = self._ground_truth.frames[rows]
        boxes = xyxy_from_tlwh(self._ground_truth.tlwh[rows])
        box = [np.interp(number, frames, boxes[:, side]) for side in range(4)]
        return np.array(box), number in frames


def _strip_frames(switch: IdentitySwitch, step: int) -> list[int]:
    """Return the frames of a strip: before, the last match, two in between, the switch, after."""
    between = np.linspace(switch.last, switch.frame, 4)[1:-1].round().astype(int).tolist()
    ends = [switch.last - step, switch.last, switch.frame, switch.frame + step]
    return sorted({number for number in (*ends, *between) if number >= 1})


def _join(strip: _Strip) -> Image:
    """Join the images side by side on white, each below its frame number, all below a title."""
    switch = strip.switch
    parts = []
    for number, image in sorted(strip.images.items()):
        part = cv2.copyMakeBorder(image, BAND, GAP, GAP, GAP, cv2.BORDER_CONSTANT, value=WHITE)
        _write(part, f"frame {number}", 0.5)
        if number == switch.frame:
            ends = (GAP, BAND - 3), (part.shape[1] - GAP - 1, BAND - 3)
            cv2.line(part, *ends, DARK, 3)
        parts.append(part)
    row = np.concatenate(parts, axis=1)
    joined = cv2.copyMakeBorder(row, BAND, 0, 0, 0, cv2.BORDER_CONSTANT, value=WHITE)
    title = f"object {switch.object}: identity {switch.before} -> {switch.after}"
    _write(joined, f"{title} in frame {switch.frame}", 0.6)
    return np.asarray(joined, np.uint8)


def _write(image: Any, text: str, scale: float) -> None:
    """Write a text into the band at the top of the image."""
    origin = GAP, BAND - 9
    cv2.putText(image, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, DARK, 1, cv2.LINE_AA)
