"""Identity switches as strips: the same person in the frames before, at and after each switch."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from mottool.boxes import xyxy_from_tlwh
from mottool.drawing.overlay import BoxStyle, Overlay
from mottool.drawing.style import colour_of
from mottool.metrics.box_outcomes import IdentitySwitch
from mottool.motchallenge.rows import Rows
from mottool.sources.sequence import Frame

__all__ = ["StripMaker"]

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

HEIGHT = 300  # pixels of a picture
AROUND = 1.5  # its height, in heights of the person
SHAPE = 0.8  # its width, in its heights
SECONDS = 0.25  # from the first picture to the last hit before, and from the first after on
GAP = 4  # pixels between pictures
PAPER, INK = (255, 255, 255), (32, 32, 32)
TRUTH = BoxStyle((255, 255, 255), dashed=True)


class _Strip(NamedTuple):
    switch: IdentitySwitch
    moments: list[int]  # frames, in order
    pictures: dict[int, Image]


class StripMaker:
    """Collects the pictures of every switch while the frames pass, each once and in order.

    In each picture the person's true box is dashed in white, and the results have the colours of
    their identities: heavy the identity before the switch, and from then on the one after it.
    """

    def __init__(
        self, switches: list[IdentitySwitch], truth: Rows, results: Rows, fps: float
    ) -> None:
        """Prepare the strips of a sequence, whose frames come at `fps` a second."""
        self._truth, self._results = truth, results
        self._by_frame = np.argsort(results.frames, kind="stable")
        self._frames = results.frames[self._by_frame]
        step = max(1, round(SECONDS * fps))
        self._waiting = [_Strip(each, _moments(each, step), {}) for each in switches]
        self.first = min((strip.moments[0] for strip in self._waiting), default=1)

    def strips(self, frames: Iterable[Frame]) -> Iterator[tuple[IdentitySwitch, Image]]:
        """The strip of every switch as soon as its last frame has passed, or the frames end.

        `frames` begin with the number `first` or before; none after the last one needed is read.
        """
        if not self._waiting:
            return
        for frame in frames:
            for strip in [strip for strip in self._waiting if frame.number in strip.moments]:
                image = self._picture(strip.switch, frame.number, frame.image)
                strip.pictures[frame.number] = image
                if frame.number == strip.moments[-1]:
                    self._waiting.remove(strip)
                    yield strip.switch, _joined(strip)
            if not self._waiting:
                return
        yield from ((strip.switch, _joined(strip)) for strip in self._waiting if strip.pictures)

    def _picture(self, switch: IdentitySwitch, number: int, image: Image) -> Image:
        """The person of a switch and what is around, HEIGHT pixels high."""
        box, seen = self._place(switch.object, number)
        tall = AROUND * max(float(box[3] - box[1]), 8.0)
        scale = HEIGHT / tall
        width = round(HEIGHT * SHAPE)
        left, top = (box[:2] + box[2:]) / 2 - [tall * SHAPE / 2, tall / 2]
        shift = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        cut = cv2.warpAffine(
            image, shift, (width, HEIGHT), flags=method, borderValue=(110, 110, 110)
        )
        overlay = Overlay(3 * width, 2 * HEIGHT, trail=0)
        begin, end = self._frames.searchsorted([number, number + 1])
        rows = self._by_frame[begin:end]
        ids = self._results.ids[rows].tolist()
        boxes = xyxy_from_tlwh(self._results.tlwh[rows])  # (n, 4)
        own = switch.before if number < switch.frame else switch.after
        looks = [BoxStyle(colour_of(i), str(i), heavy=i == own) for i in ids]
        if seen:
            boxes, looks = np.concatenate([boxes, box[None]]), [*looks, TRUTH]
        boxes = (boxes - np.tile([left, top], 2)) * scale
        near = ((boxes[:, 2:] > 0) & (boxes[:, :2] < [width, HEIGHT])).all(axis=1)
        looks = [look for look, shown in zip(looks, near.tolist(), strict=True) if shown]
        return overlay.boxes(np.asarray(cut, np.uint8), boxes[near], looks)

    def _place(self, identity: int, number: int) -> tuple[Floats, bool]:
        """The true box x1 y1 x2 y2 of a person, or between its neighbours in time; if it is there.

        Where the ground truth leaves the person out for a while, the box moves evenly.
        """
        own = np.flatnonzero(self._truth.ids == identity)
        own = own[np.argsort(self._truth.frames[own], kind="stable")]
        frames, boxes = self._truth.frames[own], xyxy_from_tlwh(self._truth.tlwh[own])
        between = [np.interp(number, frames, boxes[:, side]) for side in range(4)]
        return np.array(between), number in frames


def _moments(switch: IdentitySwitch, step: int) -> list[int]:
    """Frames that tell the story: before, the last hit, what lay between, the switch, after."""
    between = np.linspace(switch.last, switch.frame, 4)[1:-1].round().astype(int).tolist()
    ends = [switch.last - step, switch.last, switch.frame, switch.frame + step]
    return sorted({moment for moment in (*ends, *between) if moment >= 1})


def _joined(strip: _Strip) -> Image:
    """The pictures side by side on white, each under its frame's number, below a title."""
    switch, band = strip.switch, 30
    parts = []
    for number, picture in sorted(strip.pictures.items()):
        told = cv2.copyMakeBorder(picture, band, GAP, GAP, GAP, cv2.BORDER_CONSTANT, value=PAPER)
        _write(told, f"frame {number}", GAP, band - 9, 0.5)
        if number == switch.frame:
            ends = (GAP, band - 3), (told.shape[1] - GAP - 1, band - 3)
            cv2.line(told, *ends, INK, 3)
        parts.append(told)
    whole = cv2.copyMakeBorder(
        np.concatenate(parts, axis=1), band, 0, 0, 0, cv2.BORDER_CONSTANT, value=PAPER
    )
    title = f"object {switch.object}: identity {switch.before} -> {switch.after}"
    _write(whole, f"{title} in frame {switch.frame}", GAP, band - 9, 0.6)
    return np.asarray(whole, np.uint8)


def _write(image: Any, text: str, x: int, y: int, size: float) -> None:
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, INK, 1, cv2.LINE_AA)
