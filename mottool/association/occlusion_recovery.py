"""Finding lost people again where the network sees one person hide another.

An occlusion centre lies in the middle of what two boxes share. If one lies where the expected box
of a lost tracklet overlaps that of a tracked one, the lost person stands there, hidden; and as the
tracked box and the centre are seen, the place of the hidden box follows from them.

Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, "Online multi-object tracking with unsupervised
re-identification learning and occlusion estimation", Neurocomputing 2022, Algorithm 1 and
Eq. 15-16; their published code.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mottool.association.registry import RefindSettings
from mottool.association.tracks import SequenceInfo
from mottool.boxes import intersection
from mottool.models.gaussian import radius

__all__ = ["OcclusionRecovery", "RecoveredTracklets", "hidden", "recovered"]

Floats = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.intp]

HIDDEN = 0.2  # share of a box behind others from which on it counts as hidden
BORDER = 0.05  # who is this near the frame's edge may have left it
LEAST_AREA = 1e-30  # square pixels


class RecoveredTracklets(NamedTuple):
    """Which of the lost were found again, (r,) places among them in their order, and where."""

    places: Indices
    boxes: npt.NDArray[np.float64]  # (r, 4) x1 y1 x2 y2


class OcclusionRecovery:
    """Remembers who was behind another lately, and finds the lost among them again."""

    def __init__(self, settings: RefindSettings, video: SequenceInfo, frame_rate: float) -> None:
        """Begin a sequence; a window in seconds is counted at `frame_rate` frames a second."""
        self._settings, self._video = settings, video
        window = settings.lost_frame_range
        self._window = int(window) if window >= 1 else max(1, int(window * frame_rate))
        self._now = 0.0
        self._hidden: dict[int, float] = {}  # when an identity was last hidden

    def refind(
        self,
        lost: npt.NDArray[np.int64],
        lost_boxes: Floats,
        tracked: npt.NDArray[np.int64],
        tracked_boxes: Floats,
        centres: npt.NDArray[np.float32],
        elapsed: float,
    ) -> RecoveredTracklets:
        """The lost who stand hidden in the next frame.

        `lost` (L,) and `tracked` (T,) are identities with their expected and present boxes (L, 4)
        and (T, 4); `centres` (K, 3) x, y, score.
        """
        self._now += elapsed
        points = centres[centres[:, 2] >= self._settings.occlusion_thres, :2]
        seen = RecoveredTracklets(np.zeros(0, np.intp), np.zeros((0, 4)))
        if len(lost) and len(tracked) and len(points):
            lately = [key in self._hidden for key in lost.tolist()]
            found = self._evidence(np.flatnonzero(lately), lost_boxes, tracked_boxes, points)
            seen = found if found is not None else seen
        self._remember(tracked, tracked_boxes)
        return seen

    def _evidence(
        self, candidates: Indices, lost: Floats, tracked: Floats, points: Floats
    ) -> RecoveredTracklets | None:
        """The candidates among the lost whom an occlusion centre speaks for."""
        if not len(candidates):
            return None
        expected, others = lost[candidates].astype(np.float32), tracked.astype(np.float32)
        points = points.astype(np.float32)
        who, point = np.nonzero(_inside(points, expected).T)
        pair, other = np.nonzero(_inside(points, others)[point])
        who, point = who[pair], point[pair]  # (E,) each, with `other`: one piece of evidence
        if not len(who):
            return None
        agreement = _agreement(expected[who], others[other], points[point])  # (E,)
        # The best piece of each candidate, the first one of equals.
        order = np.lexsort((np.arange(len(who)), -agreement, who))
        best = order[np.flatnonzero(np.diff(who[order], prepend=-1))]
        valid = agreement[best] >= self._settings.occlusion_agreement
        if self._settings.form == "code":  # it only asks for evidence, and writes what it expected
            places = candidates[who[best]]
            return RecoveredTracklets(places, lost[places].astype(np.float64))
        best = best[valid]
        places = candidates[who[best]]
        return RecoveredTracklets(
            places, recovered(lost[places], tracked[other[best]], points[point[best]])
        )

    def _remember(self, tracked: npt.NDArray[np.int64], boxes: Floats) -> None:
        """Note who is hidden now, and forget who was too long ago."""
        behind = hidden(boxes, self._video.width, self._video.height)
        self._hidden.update(dict.fromkeys(tracked[behind].tolist(), self._now))
        window, now = self._window, self._now
        self._hidden = {key: at for key, at in self._hidden.items() if now - at <= window}


def hidden(boxes: Floats, width: float, height: float) -> Indices:
    """Which boxes (n, 4) another one covers by more than a fifth, well inside the frame."""
    corners = np.ascontiguousarray(boxes.T, np.float32)  # (4, n), in the authors' precision
    areas = (corners[2] - corners[0]) * (corners[3] - corners[1])
    shared = intersection(corners.T, corners.T)  # (n, n)
    shared.ravel()[:: len(boxes) + 1] = 0  # nobody hides himself
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


def recovered(lost: Floats, tracked: Floats, centres: Floats) -> npt.NDArray[np.float64]:
    """Eq. 15-16: boxes (n, 4) of the size of `lost`, moved so that what each shares with its
    `tracked` box (n, 4) has its middle in `centres` (n, 2), which lie in the tracked ones.
    """
    half = (lost[:, 2:] - lost[:, :2]).astype(np.float64) / 2  # (n, 2), and so on for both axes
    low, high = tracked[:, :2], tracked[:, 2:]
    # A box around the centre shares all of itself. If it reaches out of the tracked one, then on
    # the side that is nearer to the centre, and has to reach out there by as much again.
    before, behind = centres - half - low, centres + half - high
    nearer_low = centres <= (low + high) / 2
    middle = centres + np.where(nearer_low, np.minimum(before, 0), np.maximum(behind, 0))
    return np.concatenate((middle - half, middle + half), axis=1)


def _inside(points: Floats, boxes: Floats) -> npt.NDArray[np.bool_]:
    """Which points (K, 2) lie within which boxes (n, 4), (K, n)."""
    x, y = np.ascontiguousarray(points.T)[:, :, None]  # (K, 1) each
    left, top, right, bottom = np.ascontiguousarray(boxes.T)  # (n,) each
    inside: npt.NDArray[np.bool_] = (left < x) & (x < right)
    inside &= top < y
    inside &= y < bottom
    return inside


def _agreement(lost: Floats, tracked: Floats, points: Floats) -> Floats:
    """How near points (E, 2) are to the middle of what boxes (E, 4) share, from 0 to 1.

    The height at the point of the bump that stands for that occlusion in a training heatmap.
    """
    low = np.maximum(lost[:, :2], tracked[:, :2])  # (E, 2)
    high = np.minimum(lost[:, 2:], tracked[:, 2:])
    shared = (high > low).all(axis=1)
    width, height = np.ceil(np.maximum(high - low, 1)).T.astype(np.float64)
    away = np.square(points - (low + high) / 2).sum(axis=1)  # (E,)
    bump: Floats = np.exp(-away / (2 * radius(width, height) ** 2))
    return bump * shared
