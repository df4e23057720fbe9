"""OTrack's association: CenterTrack's, by the predicted position in the previous frame.

Zhou, Koltun & Krähenbühl, "Tracking objects as points", ECCV 2020, §4.2, as the published code
does it; occluded tracklets are recovered as in OUTrack (Liu et al.,
Neurocomputing 2022, Algorithm 1). With form paper a Kalman filter predicts the boxes of lost
objects (§3.2.2); with form code, or without occlusion centres, they do not move.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.association.motion import POSITION, VELOCITY, HeightFilter
from mottool.association.occlusion_recovery import OcclusionRecovery, RecoveredTracklets
from mottool.association.refinding import refind
from mottool.association.registry import OTrackSettings
from mottool.association.tracks import SequenceInfo, Tracks
from mottool.boxes import areas
from mottool.detections import Detections
from mottool.errors import CacheError
from mottool.motchallenge.public_detections import near_public

__all__ = ["OTrackTracker"]

Floats = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.intp]
States = npt.NDArray[np.float64]


@dataclass
class Objects:
    """The m tracked and lost objects, in the order of the published code."""

    ids: npt.NDArray[np.int64]
    boxes: Floats  # (m, 4) x1 y1 x2 y2
    centres: Floats  # (m, 2) x y of the points that are tracked
    classes: npt.NDArray[np.uint16]
    scores: Floats
    last: Floats  # time of the latest detection, in frames
    motion: States  # (m, 4, 5), states of a `motion.Filter`, used by form paper

    def take(self, rows: npt.NDArray[Any]) -> "Objects":
        """Select these rows."""
        return Objects(**{name: values[rows] for name, values in vars(self).items()})

    def and_then(self, other: "Objects") -> "Objects":
        """Append `other`."""
        both = ((name, (mine, vars(other)[name])) for name, mine in vars(self).items())
        return Objects(**{name: np.concatenate(values) for name, values in both})


class OTrackTracker:
    """Tracker of one sequence; tracked objects are matched by their offsets alone."""

    def __init__(self, settings: OTrackSettings, sequence: SequenceInfo) -> None:
        """Set up the tracker of one sequence."""
        self.settings = settings
        self._sequence = sequence
        self._recovery = OcclusionRecovery(settings, sequence, sequence.frame_rate)
        self._filter = HeightFilter()
        self._time, self._frame, self._created = 0.0, 0, 0
        self._known = self._objects(np.zeros(0, np.int64), _nothing())

    def update(self, detections: Detections, elapsed: float = 1.0) -> Tracks:
        """Track the next frame; return the detected objects, then the recovered ones."""
        self._time += elapsed
        self._frame += 1
        candidates, before = self._candidates(detections)
        rows, matched = self._match(candidates, before)
        unmatched = np.setdiff1d(np.arange(len(candidates)), rows)
        created = self._new_tracks(unmatched, candidates, before)
        ids = np.arange(self._created + 1, self._created + len(created) + 1)
        self._created += len(created)

        tracked = self._objects(
            np.concatenate((self._known.ids[matched], ids)),
            candidates.take(np.append(rows, created)),
        )
        kept = self._time - self._known.last < self.settings.max_age
        kept[matched] = False
        lost = self._known.take(kept)
        if self.settings.occlusion and self.settings.form == "paper":
            tracked.motion[: len(rows)] = self._corrected(
                self._predicted(self._known.motion[matched], elapsed), tracked.boxes[: len(rows)]
            )
            self._move(lost, elapsed)
        recovered = self._recover(lost, tracked, candidates, detections, elapsed)
        self._known = tracked.and_then(lost)
        return _tracks(tracked, lost.take(recovered.rows), recovered.boxes)

    def _move(self, lost: Objects, elapsed: float) -> None:
        """Predict the lost objects, in place; they keep their height."""
        lost.motion[:, HeightFilter.HEIGHT, VELOCITY] = 0
        before = lost.motion[:, :2, POSITION]  # (m, 2)
        lost.motion = self._predicted(lost.motion, elapsed)
        lost.centres = lost.centres + (lost.motion[:, :2, POSITION] - before)
        lost.boxes = self._filter.boxes(lost.motion[..., POSITION].T).astype(lost.boxes.dtype)

    def _predicted(self, motion: States, elapsed: float) -> States:
        """Return states (m, 4, 5) after `elapsed` frames."""
        states = motion.T.copy()  # (5, 4, m)
        self._filter.predict(states, elapsed)
        return states.T

    def _corrected(self, motion: States, boxes: Floats) -> States:
        """Return states (m, 4, 5) corrected by one box (m, 4) each."""
        states = motion.T.copy()  # (5, 4, m)
        self._filter.update(states, _measurements(boxes))
        return states.T

    def _recover(
        self,
        lost: Objects,
        tracked: Objects,
        candidates: Detections,
        detections: Detections,
        elapsed: float,
    ) -> RecoveredTracklets:
        """Return the recovered of `lost`; form paper stores their boxes (Algorithm 1, step 5)."""
        settings, centres = self.settings, detections.occlusion_centres
        if not settings.occlusion:
            return RecoveredTracklets(np.zeros(0, np.intp), np.zeros((0, 4)))
        if settings.form == "code":
            return self._recovery.recover(
                lost.ids, lost.boxes, tracked.ids, tracked.boxes, centres, elapsed
            )
        within = np.arange(len(lost.ids))
        if settings.lost_window is not None:
            frames_lost = self._time - elapsed - lost.last  # w before this frame
            within = np.flatnonzero(frames_lost < settings.lost_window)
        refound = refind(lost.boxes[within], candidates.boxes, centres, settings)
        refound = refound._replace(rows=within[refound.rows])
        rows, boxes = refound
        lost.centres[rows] += (_middles(boxes) - _middles(lost.boxes[rows])).astype(np.float32)
        lost.boxes[rows] = boxes
        lost.motion[rows] = self._corrected(lost.motion[rows], boxes)
        lost.last[rows] += elapsed
        return refound

    def _candidates(self, detections: Detections) -> tuple[Detections, Floats]:
        """Return candidates by descending score, and their centres (n, 2) in the frame before."""
        rows = (detections.scores >= self.settings.track_thresh).nonzero()[0]
        # The order of CenterTrack's decoder: greedy matching depends on it.
        candidates = detections.take(rows[np.argsort(-detections.scores[rows], kind="stable")])
        if candidates.centres is None or candidates.offsets is None:
            if len(candidates):
                fix = "run detect-embed with --pipeline otrack, or use another --tracker"
                raise CacheError("the detections have no offsets to match by", fix)
            return candidates, np.zeros((0, 2), np.float32)
        return candidates, candidates.centres + candidates.offsets

    def _objects(self, ids: npt.NDArray[np.int64], seen: Detections) -> Objects:
        centres = np.zeros((0, 2), np.float32) if seen.centres is None else seen.centres
        last = np.full(len(ids), self._time)
        motion = self._filter.initiate(_measurements(seen.boxes)).T  # (m, 4, 5)
        return Objects(ids, seen.boxes, centres, seen.classes, seen.scores, last, motion)

    def _match(self, candidates: Detections, before: Floats) -> tuple[Indices, Indices]:
        """Match greedily (§4.2): each detection, in order, takes the nearest unmatched object.

        A pair can match if the squared distance is at most the area of either box.
        """
        known = self._known
        was, now = np.ascontiguousarray(before.T), np.ascontiguousarray(known.centres.T)
        x, y = now[:, None] - was[:, :, None]  # (n, m) each
        distances = x * x + y * y
        reach = np.minimum(areas(candidates.boxes)[:, None], areas(known.boxes))
        near = (distances <= reach) & (candidates.classes[:, None] == known.classes)
        rows, cols = near.nonzero()
        order = np.lexsort((distances[rows, cols], rows))
        matched: dict[int, int] = {}
        taken: set[int] = set()
        for row, col in zip(rows[order].tolist(), cols[order].tolist(), strict=True):
            if row not in matched and col not in taken:
                matched[row] = col
                taken.add(col)
        return np.array([*matched], np.intp), np.array([*matched.values()], np.intp)

    def _new_tracks(self, unmatched: Indices, candidates: Detections, before: Floats) -> Indices:
        """Return which unmatched detections start tracks."""
        if self._sequence.public is not None and self.settings.track_type == "public_track":
            public = self._sequence.public(self._frame)
            unmatched = unmatched[
                near_public(before[unmatched], areas(candidates.boxes[unmatched]), public)
            ]
        return unmatched[candidates.scores[unmatched] > self.settings.creation_threshold]


def _tracks(tracked: Objects, recovered: Objects, recovered_boxes: Floats) -> Tracks:
    """Return the tracked objects, then the recovered ones with their boxes (r, 4)."""
    shown = tracked.and_then(recovered)
    boxes = np.concatenate((tracked.boxes, recovered_boxes))
    real = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)  # amodal boxes may be inside out
    scores = shown.scores[real].astype(np.float64)
    return Tracks(shown.ids[real], boxes[real].astype(np.float64), scores)


def _nothing() -> Detections:
    none = np.zeros((0, 4), np.float32)
    return Detections(none, none[:, 0], none[:, 0].astype(np.uint16))


def _middles(boxes: Floats) -> Floats:
    middles: Floats = (boxes[:, :2] + boxes[:, 2:]) / 2
    return middles


def _measurements(boxes: Floats) -> npt.NDArray[np.float64]:
    """Return the filter's coordinates (4, m); sides of less than a pixel count as one pixel."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1)
    middles = _middles(boxes)
    return HeightFilter.measurements(np.concatenate((middles - sides / 2, middles + sides / 2), 1))
