"""Occlusion centres: where one person hides another, as OUTrack and OTrack see it.

Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, "Online multi-object tracking with unsupervised
re-identification learning and occlusion estimation", Neurocomputing 2022: the occlusion estimation
module. An occlusion centre is the middle of what two people's boxes share, found as a peak of its
own heatmap and refined by an offset, like a person's centre.
"""

import torch
from torch import Tensor

from mottool.models.centre_heads import gather, peaks

__all__ = ["MIN_SCORE", "occlusion_centres"]

MIN_SCORE = 0.1  # the authors' threshold: a hint for the tracker, which has to agree, not a result


def occlusion_centres(heads: dict[str, Tensor], most: int, stride: int) -> list[Tensor]:
    """Each image's occlusion centres, (k, 3) float32 x, y in network pixels and score.

    `heads` are `occlusion` (B, 1, h, w) before its sigmoid and `occlusion_offset` (B, 2, h, w) x y
    in cells of `stride` pixels. Centres that score at least `MIN_SCORE` are given, `most` an image,
    highest first.
    """
    found = peaks(heads["occlusion"], most)
    places = (found.centres + gather(heads["occlusion_offset"], found.cells)) * stride
    rows = torch.cat((places, found.scores[..., None]), 2)  # (B, most, 3)
    counts = (found.scores >= MIN_SCORE).sum(1).tolist()  # scores fall: the first ones are it
    return [row[:n] for row, n in zip(rows, counts, strict=True)]
