"""One result file over the frames: which boxes lie in a frame, and how each of them looks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mottool.boxes import iou, xyxy_from_tlwh
from mottool.detections import Detections
from mottool.drawing.overlay import BoxStyle, looks_of
from mottool.drawing.style import colour_of
from mottool.metrics.box_outcomes import Outcome, Verdicts
from mottool.metrics.tracker_differences import Differences
from mottool.motchallenge.rows import Rows

__all__ = ["TrackLayer", "VisibleBoxes", "VERDICTS", "compared", "judged", "plain", "unseen"]

Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]

# Okabe & Ito, "Color universal design", 2008, in BGR: apart for colour-blind eyes too. Missed ones
# are dashed and switches heavy, so that nobody depends on the colours alone.
VERDICTS = {
    Outcome.HIT: (BoxStyle((115, 158, 0)), "hit"),
    Outcome.FALSE: (BoxStyle((0, 94, 213)), "false (FP)"),
    Outcome.MISSED: (BoxStyle((233, 180, 86), dashed=True), "missed (FN)"),
    Outcome.SWITCHED: (BoxStyle((66, 228, 240), heavy=True), "switched (IDs)"),
    Outcome.UNJUDGED: (BoxStyle((170, 170, 170)), "not judged"),
}
OVERLAP = 0.5  # the IoU from which a detection is that of a track's box


class VisibleBoxes(NamedTuple):
    """What is drawn in a frame: identities (n,), boxes (n, 4) x1 y1 x2 y2 pixels, n looks."""

    ids: npt.NDArray[np.int64]
    boxes: Floats
    looks: list[BoxStyle]


class TrackLayer:
    """The rows of a result file by frame, in pixels of the video."""

    def __init__(
        self,
        rows: Rows,
        looks: Sequence[BoxStyle],
        scale: float,
        legend: Sequence[tuple[BoxStyle, str]],
    ) -> None:
        """`looks` are the rows', in their order; `scale` is the video's share of the source."""
        order = np.argsort(rows.frames, kind="stable")
        self.frames, self.ids = rows.frames[order], rows.ids[order]  # (n,), (n,)
        self.boxes: Floats = xyxy_from_tlwh(rows.tlwh[order] * scale)  # (n, 4)
        self.looks = [looks[row] for row in order.tolist()]
        self.last = int(self.frames.max(initial=0))
        self.legend = list(legend)

    def at(self, number: int) -> VisibleBoxes:
        """What belongs to one frame."""
        begin, end = self.frames.searchsorted([number, number + 1])
        here = slice(begin, end)
        return VisibleBoxes(self.ids[here], self.boxes[here], self.looks[here])


def plain(rows: Rows, scale: float, scores: bool) -> TrackLayer:
    """Every identity in its colour; with `scores` each row's, unless all are the same."""
    told = rows.rest[:, 0] if scores and rows.rest.shape[1] else None  # (n,)
    telling = told is not None and len(told) and np.ptp(told) > 0
    return TrackLayer(rows, looks_of(rows.ids, told if telling else None), scale, [])


def judged(rows: Rows, truth: Rows, found: Verdicts, scale: float) -> TrackLayer:
    """The results by their verdicts, and over them what of the ground truth was missed."""
    before = {(switch.frame, switch.after): switch.before for switch in found.switches}
    looks = []
    keys = zip(rows.frames.tolist(), rows.ids.tolist(), found.results.tolist(), strict=True)
    for frame, identity, verdict in keys:
        label = str(identity)
        if verdict == Outcome.SWITCHED:
            label = f"{before[frame, identity]}>{identity}"
        looks.append(VERDICTS[Outcome(verdict)][0]._replace(label=label))
    missed = found.truth == Outcome.MISSED
    both = Rows(
        np.concatenate([rows.frames, truth.frames[missed]]),
        np.concatenate([rows.ids, truth.ids[missed]]),
        np.concatenate([rows.tlwh, truth.tlwh[missed]]),
        np.zeros((len(rows) + int(missed.sum()), 0)),
    )
    looks += [VERDICTS[Outcome.MISSED][0]] * int(missed.sum())
    shown = list(VERDICTS.values())
    if not (found.results == Outcome.UNJUDGED).any():
        shown.pop()
    return TrackLayer(both, looks, scale, shown)


def compared(
    first: Rows, second: Rows, found: Differences, scale: float
) -> tuple[TrackLayer, TrackLayer]:
    """Two trackers in the colours of the first's identities; what differs is heavy.

    A box that agrees has a thin line. `only here`: the other has none for it; `other identity`: it
    has one, whose identity does not belong to this one's.
    """
    legend = [
        (BoxStyle((240, 240, 240)), "as in the other"),
        (BoxStyle((240, 240, 240), heavy=True), "other identity"),
        (BoxStyle((240, 240, 240), heavy=True, dashed=True), "only here"),
    ]

    def panel(rows: Rows, alone: Bools, parted: Bools, names: dict[int, int]) -> TrackLayer:
        keys = zip(rows.ids.tolist(), alone.tolist(), parted.tolist(), strict=True)
        looks = [
            BoxStyle(colour_of(names.get(i, i)), str(i), dashed=lone, heavy=lone or apart)
            for i, lone, apart in keys
        ]
        return TrackLayer(rows, looks, scale, legend)

    ours = panel(first, found.alone[0], found.parted[0], {})
    return ours, panel(second, found.alone[1], found.parted[1], found.names)


def unseen(shown: VisibleBoxes, detections: Detections, scale: float) -> VisibleBoxes:
    """The same with every box dashed that lies on no detection of the frame.

    `refound` is noted where one of its occlusion centres lies in the box: a person found behind
    another. Elsewhere the place is the tracker's guess, or filled in afterwards.
    """
    overlaps = iou(shown.boxes, detections.boxes * scale)  # (n, d)
    guessed = overlaps.max(axis=1, initial=0.0) < OVERLAP  # (n,)
    points = detections.occlusion_centres[:, :2] * scale  # (k, 2)
    low, high = shown.boxes[:, None, :2], shown.boxes[:, None, 2:]  # (n, 1, 2)
    inside = np.logical_and(points >= low, points <= high).all(axis=2)  # (n, k)
    behind = np.any(inside, axis=1)  # (n,)
    looks = [
        look._replace(dashed=True, note="refound" if hidden else look.note) if guess else look
        for look, guess, hidden in zip(shown.looks, guessed.tolist(), behind.tolist(), strict=True)
    ]
    return shown._replace(looks=looks)
