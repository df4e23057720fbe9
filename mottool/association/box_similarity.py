"""Similarities of boxes by which OC-SORT matches in its second and third round.

Each is (A, 4) and (B, 4) x1 y1 x2 y2 to (A, B), scaled to [0, 1] as in the published code of
OC-SORT (Cao et al., CVPR 2023).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.boxes import areas, intersection, iou

__all__ = ["SIMILARITIES", "ciou", "ct_dist", "diou", "giou"]

Floats = npt.NDArray[np.floating[Any]]


def giou(a: Floats, b: Floats) -> Floats:
    """Compute the generalised IoU (Rezatofighi et al., CVPR 2019): IoU minus empty hull."""
    shared = intersection(a, b)
    union = areas(a)[:, None] + areas(b) - shared
    width, height = _hull_sides(a, b)
    hull = width * height
    scaled: Floats = (shared / union - (hull - union) / hull + 1) / 2
    return scaled


def diou(a: Floats, b: Floats) -> Floats:
    """Compute the distance IoU (Zheng et al., AAAI 2020): IoU minus squared relative distance."""
    return (iou(a, b) - _relative_distance(a, b) + 1) / 2


def ciou(a: Floats, b: Floats) -> Floats:
    """Compute the complete IoU (Zheng et al., AAAI 2020): distance IoU minus unlike shapes.

    As in the published code of OC-SORT, heights have one pixel more in the angle of a diagonal.
    """
    overlaps = iou(a, b)
    angles_a, angles_b = (
        np.arctan((box[:, 2] - box[:, 0]) / (box[:, 3] - box[:, 1] + 1)) for box in (a, b)
    )
    unlike = 4 / np.pi**2 * (angles_b - angles_a[:, None]) ** 2  # (A, B)
    weights = unlike / np.maximum(1 - overlaps + unlike, np.finfo(float).tiny)
    return (overlaps - _relative_distance(a, b) - weights * unlike + 1) / 2


def ct_dist(a: Floats, b: Floats) -> Floats:
    """Compute 1 minus the distance of centres, divided by the largest of all pairs.

    A single pair, or all of one distance, has a similarity of 0.
    """
    distances = np.sqrt(_squared_distances(a, b))
    largest = distances.max(initial=0)
    return 1 - distances / largest if largest > 0 else np.zeros_like(distances)


SIMILARITIES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "iou": iou,
    "giou": giou,
    "diou": diou,
    "ciou": ciou,
    "ct_dist": ct_dist,
}


def _hull_sides(a: Floats, b: Floats) -> Floats:
    """Compute width and height of the smallest box around each pair, (2, A, B)."""
    a, b = a.T[:, :, None], b.T[:, None, :]  # (4, A, 1), (4, 1, B)
    sides: Floats = np.maximum(a[2:], b[2:]) - np.minimum(a[:2], b[:2])
    return sides


def _squared_distances(a: Floats, b: Floats) -> Floats:
    """Compute the squared distance of the centres of each pair, (A, B)."""
    centres_a, centres_b = ((box[:, :2] + box[:, 2:]) / 2 for box in (a, b))
    steps = centres_a[:, None] - centres_b
    squared: Floats = steps[..., 0] ** 2 + steps[..., 1] ** 2
    return squared


def _relative_distance(a: Floats, b: Floats) -> Floats:
    """Compute the squared distance of centres over the squared diagonal of the hull, (A, B)."""
    sides = _hull_sides(a, b)
    ratio: Floats = _squared_distances(a, b) / (sides[0] ** 2 + sides[1] ** 2)
    return ratio
