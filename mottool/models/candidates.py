"""Candidates of non-maximum suppression: the anchors of a batch that score enough, on the CPU."""

from collections.abc import Iterator

import torch
from torch import Tensor

from mottool.models.device import to_host

__all__ = ["candidates"]


def candidates(scores: Tensor, min_score: float, *values: Tensor) -> Iterator[list[Tensor]]:
    """Yield, for each image, the anchors that score above `min_score`, copied to the CPU.

    `scores` are (B, N) and `values` (B, N, ...). An image has the rows (n,) int64 of its
    candidates, in increasing order, their scores (n,), and the candidates' part of each of
    `values`. A batch needs a single transfer, since few anchors score enough.
    """
    images, rows = (scores > min_score).nonzero().unbind(1)
    chosen = [value[images, rows] for value in (scores, *values)]
    of_image, *columns = to_host([images, rows, *chosen])
    sizes: list[int] = torch.bincount(of_image, minlength=len(scores)).tolist()
    parts = [torch.split(column, sizes) for column in columns]
    yield from map(list, zip(*parts, strict=True))
