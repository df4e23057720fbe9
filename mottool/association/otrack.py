"""OTrack's association: CenterTrack's, by the predicted position in the previous frame.

Zhou, Koltun & Krähenbühl, "Tracking objects as points", ECCV 2020, §4.2, as the published code
does it; occluded tracklets are recovered as in OUTrack (Liu et al.,
Neurocomputing 2022, Algorithm 1).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.association.occlusion_recovery import OcclusionRecovery
from mottool.association.registry import OTrackSettings
from mottool.association.tracks import SequenceInfo, Tracks
from mottool.detections import Detections
from mottool.errors import CacheError
from mottool.motchallenge.public_detections import near_public

__all__ = ["OTrackTracker"]

Floats = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.intp]


@dataclass
class Objects:
    """The m tracked and lost objects, in the order of the published code."""

    ids: npt.NDArray[np.int64]
    boxes: Floats  # (m, 4) x1 y1 x2 y2
    centres: Floats  # (m, 2) x y of the points that are tracked
    classes: npt.NDArray[np.uint16]
    scores: Floats
    last: Floats  # time of the latest detection, in frames

    def take(self, rows: npt.NDArray[Any]) -> "Objects":
        """Select these rows."""
        return Objects(**{name: values[rows] for name, values in vars(self).items()})

    def and_then(self, other: "Objects") -> "Objects":
        """Append `other`."""
        both = ((name, (mine, vars(other)[name])) for name, mine in vars(self).items())
        return Objects(**{name: np.concatenate(values) for name, values in both})


class OTrackTracker:
    """Tracker of one sequence; the offsets are the only motion, so lost objects do not move."""

    def __init__(self, settings: OTrackSettings, sequence: SequenceInfo) -> None:
        """Set up the tracker of one sequence."""
        self.settings = settings
        self._sequence = sequence
        self._recovery = OcclusionRecovery(settings, sequence, sequence.frame_rate)
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
        tracks = self._shown(tracked, lost, detections, elapsed)
        self._known = tracked.and_then(lost)
        return tracks

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
        return Objects(ids, seen.boxes, centres, seen.classes, seen.scores, last)

    def _match(self, candidates: Detections, before: Floats) -> tuple[Indices, Indices]:
        """Match greedily (§4.2): each detection, in order, takes the nearest unmatched object.

        A pair can match if the squared distance is at most the area of either box.
        """
        known = self._known
        was, now = np.ascontiguousarray(before.T), np.ascontiguousarray(known.centres.T)
        x, y = now[:, None] - was[:, :, None]  # (n, m) each
        distances = x * x + y * y
        reach = np.minimum(_areas(candidates.boxes)[:, None], _areas(known.boxes))
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
                near_public(before[unmatched], _areas(candidates.boxes[unmatched]), public)
            ]
        return unmatched[candidates.scores[unmatched] > self.settings.creation_threshold]

    def _shown(
        self, tracked: Objects, lost: Objects, detections: Detections, elapsed: float
    ) -> Tracks:
        boxes, shown = tracked.boxes, tracked
        if self.settings.occlusion:
            recovered = self._recovery.recover(
                lost.ids, lost.boxes, tracked.ids, boxes, detections.occlusion_centres, elapsed
            )
            shown = tracked.and_then(lost.take(recovered.rows))
            boxes = np.concatenate((boxes, recovered.boxes))
        real = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)  # amodal boxes may be inside out
        scores = shown.scores[real].astype(np.float64)
        return Tracks(shown.ids[real], boxes[real].astype(np.float64), scores)


def _nothing() -> Detections:
    none = np.zeros((0, 4), np.float32)
    return Detections(none, none[:, 0], none[:, 0].astype(np.uint16))


def _areas(boxes: Floats) -> Floats:
    areas: Floats = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return areas
