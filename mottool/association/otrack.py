"""OTrack's association: CenterTrack's, by where the network says each object was before.

Zhou, Koltun & Krähenbühl, "Tracking objects as points", ECCV 2020, §4.2, as the published code
does it; the lost people who stand hidden are found again as in OUTrack (Liu et al.,
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
    """The m objects that are known, in the order of the published code."""

    ids: npt.NDArray[np.int64]
    boxes: Floats  # (m, 4) x1 y1 x2 y2
    centres: Floats  # (m, 2) x y of the points that are tracked
    classes: npt.NDArray[np.uint16]
    scores: Floats
    last: Floats  # time of the latest detection, in frames

    def take(self, rows: npt.NDArray[Any]) -> "Objects":
        """Some of them."""
        return Objects(**{name: values[rows] for name, values in vars(self).items()})

    def and_then(self, other: "Objects") -> "Objects":
        """These, and then the others."""
        both = ((name, (mine, vars(other)[name])) for name, mine in vars(self).items())
        return Objects(**{name: np.concatenate(values) for name, values in both})


class OTrackTracker:
    """Tracks one sequence. It knows no motion but the offsets: what is lost stays where it was."""

    needs: tuple[str, ...] = ("offsets",)
    uses: tuple[str, ...] = ("occlusion_centres",)

    def __init__(self, settings: OTrackSettings, video: SequenceInfo) -> None:
        """Begin a sequence."""
        self.settings = settings
        self._video = video
        self._refinder = OcclusionRecovery(settings, video, video.frame_rate)
        self._now, self._frame, self._named = 0.0, 0, 0
        self._known = self._objects(np.zeros(0, np.int64), _nothing())

    def step(self, detections: Detections, elapsed: float = 1.0) -> Tracks:
        """The tracks of the next frame: those detected, then the lost that are hidden."""
        self._now += elapsed
        self._frame += 1
        found, before = self._found(detections)
        rows, partners = self._match(found, before)
        alone = np.setdiff1d(np.arange(len(found)), rows)
        born = self._newborn(alone, found, before)
        ids = np.arange(self._named + 1, self._named + len(born) + 1)
        self._named += len(born)

        tracked = self._objects(
            np.concatenate((self._known.ids[partners], ids)), found.take(np.append(rows, born))
        )
        kept = self._now - self._known.last < self.settings.max_age
        kept[partners] = False
        lost = self._known.take(kept)
        tracks = self._shown(tracked, lost, detections, elapsed)
        self._known = tracked.and_then(lost)
        return tracks

    def _found(self, detections: Detections) -> tuple[Detections, Floats]:
        """The detections that are looked at, surest first, and where each was before, (n, 2)."""
        rows = (detections.scores >= self.settings.track_thresh).nonzero()[0]
        # The order of CenterTrack's decoder: greedy matching depends on it.
        found = detections.take(rows[np.argsort(-detections.scores[rows], kind="stable")])
        if found.centres is None or found.offsets is None:
            if len(found):
                fix = "run detect-embed with --pipeline otrack, or use another --tracker"
                raise CacheError("the detections have no offsets to match by", fix)
            return found, np.zeros((0, 2), np.float32)
        return found, found.centres + found.offsets

    def _objects(self, ids: npt.NDArray[np.int64], seen: Detections) -> Objects:
        centres = np.zeros((0, 2), np.float32) if seen.centres is None else seen.centres
        last = np.full(len(ids), self._now)
        return Objects(ids, seen.boxes, centres, seen.classes, seen.scores, last)

    def _match(self, found: Detections, before: Floats) -> tuple[Indices, Indices]:
        """§4.2: greedily, each detection in its order takes the nearest object still free.

        An object is near if both its box and the detection's reach it: if the squared distance is
        at most the area of either.
        """
        known = self._known
        was, now = np.ascontiguousarray(before.T), np.ascontiguousarray(known.centres.T)
        x, y = now[:, None] - was[:, :, None]  # (n, m) each
        distances = x * x + y * y
        reach = np.minimum(_areas(found.boxes)[:, None], _areas(known.boxes))
        near = (distances <= reach) & (found.classes[:, None] == known.classes)
        rows, cols = near.nonzero()
        order = np.lexsort((distances[rows, cols], rows))
        partners: dict[int, int] = {}
        taken: set[int] = set()
        for row, col in zip(rows[order].tolist(), cols[order].tolist(), strict=True):
            if row not in partners and col not in taken:
                partners[row] = col
                taken.add(col)
        return np.array([*partners], np.intp), np.array([*partners.values()], np.intp)

    def _newborn(self, alone: Indices, found: Detections, before: Floats) -> Indices:
        """Which of the detections that are alone begin tracks."""
        if self._video.public is not None and self.settings.track_type == "public_track":
            public = self._video.public(self._frame)
            alone = alone[near_public(before[alone], _areas(found.boxes[alone]), public)]
        return alone[found.scores[alone] > self.settings.creation_threshold]

    def _shown(
        self, tracked: Objects, lost: Objects, detections: Detections, elapsed: float
    ) -> Tracks:
        boxes, shown = tracked.boxes, tracked
        if self.settings.occlusion:
            refound = self._refinder.refind(
                lost.ids, lost.boxes, tracked.ids, boxes, detections.occlusion_centres, elapsed
            )
            shown = tracked.and_then(lost.take(refound.places))
            boxes = np.concatenate((boxes, refound.boxes))
        real = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)  # amodal boxes may be inside out
        scores = shown.scores[real].astype(np.float64)
        return Tracks(shown.ids[real], boxes[real].astype(np.float64), scores)


def _nothing() -> Detections:
    none = np.zeros((0, 4), np.float32)
    return Detections(none, none[:, 0], none[:, 0].astype(np.uint16))


def _areas(boxes: Floats) -> Floats:
    areas: Floats = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return areas
