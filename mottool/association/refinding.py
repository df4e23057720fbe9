"""Refinding of lost tracklets by occlusion centres, as in OUTrack's paper.

An occlusion centre is the centre of the region that the boxes of two people share. If one lies
inside the predicted box of a lost tracklet, near the middle of what that box shares with a
detected box, then the detected person occludes the lost one. The box of the lost one follows from
its size, the detected box and the centre.

Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, "Online multi-object tracking with unsupervised
re-identification learning and occlusion estimation", Neurocomputing 2022, §3.2.2, Algorithm 1
(step 5) and Eq. 15-16. The form of the published code is `occlusion_recovery`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.association.occlusion_recovery import RecoveredTracklets
from mottool.association.registry import OcclusionRecoverySettings
from mottool.models.gaussian import radius

__all__ = ["gaussian_score", "occluded_boxes", "refind"]

Floats = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]


def refind(
    lost: Floats, detected: Floats, centres: Floats, settings: OcclusionRecoverySettings
) -> RecoveredTracklets:
    """Return which lost tracklets are occluded, and their boxes (Algorithm 1, lines 19-21).

    `lost` (L, 4) are predicted boxes b̃, `detected` (D, 4) the boxes b of the frame, both x1 y1 x2
    y2; `centres` (K, 3) are x, y, score. A lost tracklet is refound if the best score G of a
    detected box and a centre inside b̃ exceeds `occlusion_agreement` (τ_o). Of equal scores the
    first box and centre count.
    """
    points = centres[centres[:, 2] >= settings.occlusion_thres, :2].astype(np.float64)  # (K, 2)
    if not (len(lost) and len(detected) and len(points)):
        return RecoveredTracklets(np.zeros(0, np.intp), np.zeros((0, 4)))
    predicted, boxes = lost.astype(np.float64), detected.astype(np.float64)
    row, box, point = _triples(predicted, boxes, points)
    scores = gaussian_score(predicted[row], boxes[box], points[point])  # (T,)
    order = np.lexsort((-scores, row))  # stable: of equal scores the first
    best = order[np.unique(row[order], return_index=True)[1]]  # a triple of each lost tracklet
    best = best[scores[best] > settings.occlusion_agreement]
    rows = row[best]
    return RecoveredTracklets(
        rows, occluded_boxes(predicted[rows], boxes[box[best]], points[point[best]])
    )


def _triples(lost: Floats, detected: Floats, points: Floats) -> tuple[Indices, Indices, Indices]:
    """Return lost boxes (L, 4), detected boxes (D, 4) and points (K, 2) that belong together.

    The detected box shares an area with the lost one, and the point is inside the lost one. All
    others score 0. The indices, (T,) each, are in ascending order.
    """
    low, high = lost[:, None, :2], lost[:, None, 2:]  # (L, 1, 2)
    within = (points > low) & (points < high)  # (L, K, 2)
    inside: Bools = within[..., 0] & within[..., 1]  # (L, K)
    with_points = np.flatnonzero(inside.any(axis=1))
    low, high = low[with_points], high[with_points]
    sides = np.minimum(high, detected[:, 2:]) - np.maximum(low, detected[:, :2])
    shared: Bools = (sides[..., 0] > 0) & (sides[..., 1] > 0)
    row, box = shared.nonzero()  # (P,) each
    row = with_points[row]
    counts, point = inside.sum(axis=1), inside.nonzero()[1]
    pair = np.repeat(np.arange(len(row)), counts[row])  # (T,)
    firsts = (counts.cumsum() - counts)[row]  # of the points of a pair's lost box
    nth = np.arange(len(pair)) - np.repeat(counts[row].cumsum() - counts[row], counts[row])
    return row[pair], box[pair], point[firsts[pair] + nth]


def gaussian_score(lost: Floats, detected: Floats, points: Floats) -> Floats:
    """Return G(O(b̃, b), p) in [0, 1] of Eq. 10, for boxes (..., 4) and points (..., 2).

    G is a Gaussian around the centre of what the boxes share; its standard deviation is a third of
    CornerNet's radius for a box of that size (Law & Deng, ECCV 2018, §3.2), in pixels. It is 0 for
    boxes that share nothing.
    """
    low = np.maximum(lost[..., :2], detected[..., :2])  # (..., 2)
    high = np.minimum(lost[..., 2:], detected[..., 2:])
    overlaps = np.all(high > low, axis=-1, keepdims=True)  # (..., 1)
    width, height = np.moveaxis(np.where(overlaps, high - low, 1.0), -1, 0)
    deviation = radius(width, height) / 3
    distance = np.square(points - (low + high) / 2).sum(axis=-1)
    score: Floats = np.exp(-distance / (2 * deviation**2)) * overlaps[..., 0]
    return score


def occluded_boxes(lost: Floats, detected: Floats, centres: Floats) -> npt.NDArray[np.float64]:
    """Compute the occluded boxes (n, 4) by Eq. 15 and 16.

    Each has the size of its predicted box `lost` (n, 4). `detected` (n, 4) are the boxes in front
    of them and `centres` (n, 2) the occlusion centres. Eq. 16, per axis, with a = `lost`,
    b = `detected` and z = the centre, gives the low side:

        2z - b1 - (a2 - a1)  if a1 ≤ b1 and a2 ≤ b2
        z - (a2 - a1) / 2    if a1 > b1 and a2 ≤ b2
        2z - b2              if a1 > b1 and a2 > b2
        a1                   otherwise
    """
    a1, a2 = lost[:, :2].astype(np.float64), lost[:, 2:].astype(np.float64)  # (n, 2) x y each
    b1, b2 = detected[:, :2], detected[:, 2:]
    z, side = centres, a2 - a1
    low = np.select(
        [(a1 <= b1) & (a2 <= b2), (a1 > b1) & (a2 <= b2), (a1 > b1) & (a2 > b2)],
        [2 * z - b1 - side, z - side / 2, 2 * z - b2],
        default=a1,
    )
    return np.concatenate((low, low + side), axis=1)
