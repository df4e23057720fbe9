"""Recovery of lost tracklets by occlusion centres, as in OUTrack's published code.

An occlusion centre is the centre of the intersection of two boxes. If one lies where the predicted
box of a lost tracklet overlaps a tracked box, and the tracklet was occluded when it was last
tracked, its predicted box is written. The tracklet itself does not change.

Published code of Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, "Online multi-object tracking with
unsupervised re-identification learning and occlusion estimation", Neurocomputing 2022. The form
of the paper is `refinding`.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mottool.association.registry import OcclusionRecoverySettings
from mottool.association.tracks import SequenceInfo
from mottool.boxes import intersection

__all__ = ["OcclusionRecovery", "RecoveredTracklets", "find_occluded"]

Floats = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.intp]

HIDDEN = 0.2  # a box counts as occluded if another covers more than this fraction
BORDER = 0.05  # a box this close to the edge, relative to the frame, may have left it
LEAST_AREA = 1e-30  # square pixels


class RecoveredTracklets(NamedTuple):
    """The recovered tracklets: their `rows` (r,) among the lost ones, ascending, and boxes."""

    rows: Indices
    boxes: npt.NDArray[np.float64]  # (r, 4) x1 y1 x2 y2


class OcclusionRecovery:
    """Keeps which tracklets were occluded recently, and recovers the lost ones among them."""

    def __init__(
        self, settings: OcclusionRecoverySettings, sequence: SequenceInfo, frame_rate: float
    ) -> None:
        """Set up one sequence; a window in seconds is converted at `frame_rate` per second."""
        self._settings, self._sequence = settings, sequence
        window = settings.lost_frame_range
        self._window = int(window) if window >= 1 else max(1, int(window * frame_rate))
        self._time = 0.0
        self._hidden: dict[int, float] = {}  # when an identity was last hidden

    def recover(
        self,
        lost: npt.NDArray[np.int64],
        lost_boxes: Floats,
        tracked: npt.NDArray[np.int64],
        tracked_boxes: Floats,
        centres: npt.NDArray[np.float32],
        elapsed: float,
    ) -> RecoveredTracklets:
        """Return the lost tracklets that are occluded in the next frame.

        `lost` (L,) and `tracked` (T,) are identities with their predicted and current boxes (L, 4)
        and (T, 4); `centres` (K, 3) x, y, score.
        """
        self._time += elapsed
        points = centres[centres[:, 2] >= self._settings.occlusion_thres, :2]
        recovered = RecoveredTracklets(np.zeros(0, np.intp), np.zeros((0, 4)))
        if len(lost) and len(tracked) and len(points):
            lately = np.flatnonzero([key in self._hidden for key in lost.tolist()])
            recovered = _supported(lately, lost_boxes, tracked_boxes, points)
        self._remember(tracked, tracked_boxes)
        return recovered

    def _remember(self, tracked: npt.NDArray[np.int64], boxes: Floats) -> None:
        """Record which tracklets are occluded now, and drop those of longer ago than the window."""
        behind = find_occluded(boxes, self._sequence.width, self._sequence.height)
        self._hidden.update(dict.fromkeys(tracked[behind].tolist(), self._time))
        window, now = self._window, self._time
        self._hidden = {key: at for key, at in self._hidden.items() if now - at <= window}


def _supported(
    candidates: Indices, lost: Floats, tracked: Floats, points: Floats
) -> RecoveredTracklets:
    """Return the `candidates` among the lost that share a centre of `points` with a tracked box."""
    expected, others = lost[candidates].astype(np.float32), tracked.astype(np.float32)
    points = points.astype(np.float32)
    in_tracked = np.flatnonzero(np.any(_inside(points, others), axis=1))  # rows of points
    supported = _inside(points, expected)[in_tracked].any(axis=0)  # (C,)
    rows = candidates[supported]
    return RecoveredTracklets(rows, lost[rows].astype(np.float64))


def find_occluded(boxes: Floats, width: float, height: float) -> Indices:
    """Return which boxes (n, 4) inside the border another box covers by more than `HIDDEN`."""
    corners = np.ascontiguousarray(boxes.T, np.float32)  # (4, n), in the authors' precision
    areas = (corners[2] - corners[0]) * (corners[3] - corners[1])
    shared = intersection(corners.T, corners.T)  # (n, n)
    shared.ravel()[:: len(boxes) + 1] = 0  # a box does not occlude itself
    covered = shared.max(axis=1, initial=0) / np.maximum(areas, LEAST_AREA)
    behind: Indices = (covered > HIDDEN).nonzero()[0]
    if not len(behind):
        return behind
    limits = np.array([width, height])
    low, high = (np.clip(boxes[behind, i : i + 2], 0, limits - 1) for i in (0, 2))
    centre = (low + high) / 2 / limits  # (b, 2) from 0 to 1
    inside = ((centre > BORDER) & (centre < 1 - BORDER)).all(axis=1)
    well_inside: Indices = behind[inside]
    return well_inside


def _inside(points: Floats, boxes: Floats) -> npt.NDArray[np.bool_]:
    """Return which points (K, 2) lie within which boxes (n, 4), (K, n)."""
    x, y = np.ascontiguousarray(points.T)[:, :, None]  # (K, 1) each
    left, top, right, bottom = np.ascontiguousarray(boxes.T)  # (n,) each
    inside: npt.NDArray[np.bool_] = (left < x) & (x < right)
    inside &= top < y
    inside &= y < bottom
    return inside
