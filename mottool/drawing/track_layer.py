"""Boxes of one result file per frame, with the style of each."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import starmap
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mottool.boxes import iou
from mottool.detections import Detections
from mottool.drawing.identity_colours import identity_colours
from mottool.drawing.overlay import BoxStyle, identity_styles, shared_styles
from mottool.metrics.box_outcomes import BoxOutcomes, Outcome
from mottool.metrics.tracker_differences import Differences
from mottool.motchallenge.rows import Rows

__all__ = [
    "OUTCOME_STYLES",
    "TrackLayer",
    "VisibleBoxes",
    "difference_layers",
    "identity_layer",
    "mark_undetected",
    "outcome_layer",
]

Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]

# Okabe and Ito's colours (style.py) in BGR. False negatives are also dashed and identity switches
# heavy, so that the meaning does not depend on colour alone.
OUTCOME_STYLES = {
    Outcome.HIT: (BoxStyle((115, 158, 0)), "hit"),
    Outcome.FALSE: (BoxStyle((0, 94, 213)), "false (FP)"),
    Outcome.MISSED: (BoxStyle((233, 180, 86), dashed=True), "missed (FN)"),
    Outcome.SWITCHED: (BoxStyle((66, 228, 240), heavy=True), "switched (IDs)"),
    Outcome.UNJUDGED: (BoxStyle((170, 170, 170)), "not judged"),
}
OTHER_SIDE = "right", "left"  # of the first and of the second tracker
MIN_IOU = 0.5  # of a track's box with its detection


class VisibleBoxes(NamedTuple):
    """The boxes drawn in a frame: identities (n,), boxes (n, 4) x1 y1 x2 y2 pixels, n styles."""

    ids: npt.NDArray[np.int64]
    boxes: Floats
    styles: list[BoxStyle]


class TrackLayer:
    """The rows of a result file by frame, in pixels of the video."""

    def __init__(
        self,
        rows: Rows,
        styles: Sequence[BoxStyle],
        scale: float,
        legend: Sequence[tuple[BoxStyle, str]],
    ) -> None:
        """Sort rows and their styles by frame; `scale` is the video's size over the source's."""
        order = np.argsort(rows.frames, kind="stable")
        self.frames, self.ids = rows.frames[order], rows.ids[order]  # (n,), (n,)
        self.boxes: Floats = rows.tlwh[order]  # (n, 4), converted in place: it can be large
        self.boxes *= scale
        self.boxes[:, 2:] += self.boxes[:, :2]
        self.styles = [styles[row] for row in map(int, order)]
        self.last = int(self.frames.max(initial=0))
        self.legend = list(legend)

    def at(self, number: int) -> VisibleBoxes:
        """Return the boxes of frame `number`."""
        start, stop = self.frames.searchsorted([number, number + 1])
        rows = slice(start, stop)
        return VisibleBoxes(self.ids[rows], self.boxes[rows], self.styles[rows])


def identity_layer(rows: Rows, scale: float, scores: bool) -> TrackLayer:
    """Style rows by identity; with `scores`, add each row's score unless all are equal."""
    values = rows.rest[:, 0] if scores and rows.rest.shape[1] else None  # (n,)
    varied = values is not None and len(values) and np.ptp(values) > 0
    styles = identity_styles(rows.ids, identity_colours(rows), values if varied else None)
    return TrackLayer(rows, styles, scale, [])


def outcome_layer(
    rows: Rows, ground_truth: Rows, outcomes: BoxOutcomes, scale: float
) -> TrackLayer:
    """Style results by their outcomes, and add the false negatives of the ground truth."""
    before = {(switch.frame, switch.after): switch.before for switch in outcomes.switches}

    def style_of(frame: int, identity: int, outcome: int) -> BoxStyle:
        caption = str(identity)
        if outcome == Outcome.SWITCHED:
            caption = f"{before[frame, identity]}>{identity}"
        return OUTCOME_STYLES[Outcome(outcome)][0]._replace(caption=caption)

    columns = map(np.ndarray.tolist, (rows.frames, rows.ids, outcomes.results))
    styles = shared_styles(starmap(style_of, zip(*columns, strict=True)))
    missed = outcomes.truth == Outcome.MISSED
    both = _join(rows, ground_truth.select(missed))
    styles += [OUTCOME_STYLES[Outcome.MISSED][0]] * int(missed.sum())
    legend = list(OUTCOME_STYLES.values())
    if not (outcomes.results == Outcome.UNJUDGED).any():
        legend.pop()
    return TrackLayer(both, styles, scale, legend)


def difference_layers(
    first: Rows, second: Rows, differences: Differences, scale: float
) -> tuple[TrackLayer, TrackLayer]:
    """Style two trackers with one colour for each person, and heavy lines where they differ.

    A box that agrees has a thin line. Where the identities of two boxes of a person do not
    correspond, a note has the other's; where the other tracker has no box, the line is dashed.
    """
    light = BoxStyle((240, 240, 240))
    legend = [
        (light, "agree (one colour is one person on both sides)"),
        (light._replace(heavy=True), "another identity on the other side"),
        (light._replace(heavy=True, dashed=True), "only on this side"),
    ]
    free = 1 + int(max(first.ids.max(initial=0), second.ids.max(initial=0)))
    names = {i: differences.names.get(i, free + i) for i in np.unique(second.ids).tolist()}
    people = replace(second, ids=np.array([names[i] for i in second.ids.tolist()], np.int64))
    colours = identity_colours(_join(first, people))

    def layer(rows: Rows, people: Rows, side: int) -> TrackLayer:
        masks = differences.alone[side], differences.parted[side], differences.partners[side]
        columns = (column.tolist() for column in (rows.ids, people.ids, *masks))
        styles = shared_styles(
            BoxStyle(
                colours[person],
                str(identity),
                "only here" if only_here else f"{OTHER_SIDE[side]}: {partner}" if differs else "",
                only_here,
                only_here or differs,
            )
            for identity, person, only_here, differs, partner in zip(*columns, strict=True)
        )
        return TrackLayer(rows, styles, scale, legend)

    return layer(first, first, 0), layer(second, people, 1)


def _join(first: Rows, second: Rows) -> Rows:
    """Return the rows of both, without the columns from the seventh on."""
    frames, ids = np.append(first.frames, second.frames), np.append(first.ids, second.ids)
    tlwh = np.concatenate([first.tlwh, second.tlwh])
    return Rows(frames, ids, tlwh, np.zeros((len(ids), 0)))


def mark_undetected(visible: VisibleBoxes, detections: Detections, scale: float) -> VisibleBoxes:
    """Dash every box that matches no detection of the frame.

    The note `refound` is added where an occlusion centre is inside the box: a person found behind
    another. Elsewhere the box was predicted by the tracker, or interpolated afterwards.
    """
    overlaps = iou(visible.boxes, detections.boxes * scale)  # (n, d)
    undetected = overlaps.max(axis=1, initial=0.0) < MIN_IOU  # (n,)
    points = detections.occlusion_centres[:, :2] * scale  # (k, 2)
    low, high = visible.boxes[:, None, :2], visible.boxes[:, None, 2:]  # (n, 1, 2)
    inside = np.logical_and(points >= low, points <= high).all(axis=2)  # (n, k)
    flags = zip(undetected.tolist(), np.any(inside, axis=1).tolist(), strict=True)
    styles = [
        style._replace(dashed=True, note="refound" if occluded else style.note) if dashed else style
        for style, (dashed, occluded) in zip(visible.styles, flags, strict=True)
    ]
    return visible._replace(styles=styles)
