"""Cluster-NMS: greedy non-maximum suppression as a few matrix operations.

Zheng et al., Enhancing Geometric Factors in Model Learning and Inference for Object Detection
and Instance Segmentation, 2020: Cluster-NMS by IoU, which keeps the same boxes as greedy NMS, and
in the form that subtracts the distance of the centres from the IoU. CSTrack raises that distance to
the power 0.7.
"""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["Overlap", "cluster_nms", "diou", "iou"]

Overlap = Callable[[Tensor, Tensor], Tensor]

BLOCK = 1000  # boxes compared with each other at once, which bounds the memory


def cluster_nms(
    boxes: Tensor, scores: Tensor, threshold: float, limit: int, overlap: Overlap
) -> Tensor:
    """Select the rows (k,) int64 of the boxes that remain, best first, at most `limit`.

    `boxes` (n, 4) x1 y1 x2 y2 in pixels, `scores` (n,). A box is suppressed if a kept box of
    higher score overlaps it by more than `threshold` in `overlap`, `iou` or `diou`. Only boxes of
    higher score can suppress a box, so blocks are processed by falling score until `limit` boxes
    are kept.
    """
    order = scores.argsort(descending=True, stable=True)
    kept = order[:0]
    for start in range(0, len(order), BLOCK):
        block = order[start : start + BLOCK]
        unsuppressed = (overlap(boxes[kept], boxes[block]) <= threshold).all(0)  # (B,)
        block = block[unsuppressed]
        overlaps = overlap(boxes[block], boxes[block])  # (B, B)
        kept = torch.cat((kept, block[_unsuppressed(overlaps > threshold)]))
        if len(kept) >= limit:
            break
    return kept[:limit]


def _unsuppressed(overlaps: Tensor) -> Tensor:
    """Return which of n boxes, sorted best first, remain: (n,) bool.

    `overlaps` (n, n) bool is symmetric. First every box suppresses, then only the kept ones do,
    until nothing changes. The number of rounds is the length of the longest chain of boxes that
    suppress each other, at most n.
    """
    suppresses = overlaps.triu(1)  # row suppresses column
    keep = torch.ones(len(overlaps), dtype=torch.bool, device=overlaps.device)
    while True:
        after = ~(suppresses & keep[:, None]).any(0)
        if after.equal(keep):
            return keep
        keep = after


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Compute the intersection over union of boxes (A, 4), (B, 4) x1 y1 x2 y2: (A, B) in [0, 1].

    Two boxes without area have IoU 0.
    """
    a, b = a[:, None], b[None, :]  # (A, 1, 4), (1, B, 4)
    sides = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(0)
    shared = sides.prod(-1)  # (A, B)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - shared
    return torch.where(union > 0, shared / union, 0.0)


def diou(a: Tensor, b: Tensor, power: float = 0.7) -> Tensor:
    """Compute IoU minus the relative centre distance of boxes (A, 4), (B, 4): (A, B) in (-1, 1].

    The distance is the squared one between the centres over the squared diagonal of the box
    around both, raised to `power`. Boxes are x1 y1 x2 y2; two boxes without area have IoU 0.
    """
    overlap = iou(a, b)
    a, b = a[:, None], b[None, :]  # (A, 1, 4), (1, B, 4)
    apart = ((b[..., :2] + b[..., 2:] - a[..., :2] - a[..., 2:]) / 2).square().sum(-1)  # (A, B)
    hull = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    distance = apart / (hull.square().sum(-1) + 1e-7)
    return overlap - distance**power
