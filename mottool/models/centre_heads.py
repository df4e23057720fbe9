"""Heads of centre-point networks (FairMOT, OUTrack, OTrack) and how to decode them.

An object is the peak of a heatmap at its centre; its other attributes are in the same cell of the
other heads (Zhou, Wang & Krähenbühl, "Objects as points", 2019, §3-4).

An occlusion centre is the middle of the overlap of two people's boxes: the peak of a heatmap of
its own, refined by an offset (Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, "Online multi-object tracking
with unsupervised re-identification learning and occlusion estimation", Neurocomputing 2022,
occlusion estimation module).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mottool.models.device import to_host
from mottool.models.interfaces import Decoded

__all__ = [
    "MIN_SCORE",
    "PRIOR",
    "Peaks",
    "at_centres",
    "boxes_around",
    "decoded_peaks",
    "gather",
    "head",
    "occlusion_centres",
    "peaks",
    "people_at_peaks",
]

PRIOR = -2.19  # logit of a tenth: an untrained heatmap has few peaks (Zhou et al. 2019, §5)
MIN_SCORE = 0.1  # the authors' threshold: a hint that the tracker must confirm


def head(
    inputs: int,
    hidden: int,
    outputs: int,
    bias: float = 0.0,
    activation: type[nn.Module] = nn.ReLU,
) -> nn.Sequential:
    """Create a head: 3x3 convolution, activation, 1x1 convolution.

    `bias` is the initial bias of the outputs, `PRIOR` for a heatmap.
    """
    last = nn.Conv2d(hidden, outputs, 1)
    nn.init.constant_(last.get_parameter("bias"), bias)
    return nn.Sequential(nn.Conv2d(inputs, hidden, 3, padding=1), activation(), last)


@dataclass(frozen=True)
class Peaks:
    """The k highest peaks of each image's heatmaps, highest first; each tensor is (B, k).

    `scores` float32 in [0, 1]; `classes` int64; `cells` int64, row·w + column; `centres`
    (B, k, 2) float32 x y of the cells in the grid.
    """

    scores: Tensor
    classes: Tensor
    cells: Tensor
    centres: Tensor


def peaks(heatmap: Tensor, k: int) -> Peaks:
    """Find the `k` highest local maxima of a heatmap (B, classes, h, w) before its sigmoid.

    A cell is a maximum if none of its eight neighbours is higher (Zhou et al. 2019, §4). There
    are fewer than `k` only if the heatmap has fewer cells; other cells score 0.
    """
    h, w = heatmap.shape[-2:]
    heat = heatmap.float().sigmoid()
    highest = F.max_pool2d(heat, 3, stride=1, padding=1) == heat
    heat = torch.where(highest, heat, 0).flatten(1)  # (B, classes·h·w)
    scores, index = heat.topk(min(k, heat.shape[1]))  # (B, k)
    cells = index % (h * w)
    centres = torch.stack((cells % w, cells // w), 2).float()  # (B, k, 2)
    return Peaks(scores, index // (h * w), cells, centres)


def gather(head: Tensor, cells: Tensor) -> Tensor:
    """Read a head (B, C, h, w) at `cells` (B, k): (B, k, C) float32."""
    index = cells[:, None].expand(-1, head.shape[1], -1)  # (B, C, k)
    return head.flatten(2).gather(2, index).mT.float()


def people_at_peaks(heads: Mapping[str, Tensor], stride: int, most: int) -> dict[str, Tensor]:
    """Read the `most` highest peaks of each image: fields of `Decoded`, (B, most, ...) each.

    `heads` are `heatmap` (B, classes, h, w) before its sigmoid, `offset` (B, 2, h, w), `size`
    (B, 2 or 4, h, w) in cells of `stride` pixels, and `identity` (B, D, h, w), whose
    value in the cell of a peak is the embedding. Without it there are no embeddings. With heads of
    occlusion centres there are four centres for each peak.
    """
    top = peaks(heads["heatmap"], most)
    centres = top.centres + gather(heads["offset"], top.cells)  # (B, k, 2)
    boxes = boxes_around(centres, gather(heads["size"], top.cells)) * stride  # (B, k, 4)
    people = {"boxes": boxes, "scores": top.scores, "classes": top.classes}
    if "identity" in heads:
        people["embeddings"] = F.normalize(gather(heads["identity"], top.cells), dim=2)  # (B, k, D)
    if "occlusion" in heads:
        people["occlusion_centres"] = occlusion_centres(heads, 4 * most, stride)
    return people


def decoded_peaks(people: Mapping[str, Tensor], min_score: float) -> list[Decoded]:
    """Copy what was read at peaks, in one transfer, and keep the people above `min_score`.

    `people` are fields of `Decoded`, (B, k, ...) each, by falling score. Occlusion centres that
    score at least `MIN_SCORE` are kept.
    """
    copies = dict(zip(people, to_host([*people.values()]), strict=True))
    counts = dict.fromkeys(copies, (copies["scores"] > min_score).sum(1).tolist())
    if "occlusion_centres" in copies:
        scores = copies["occlusion_centres"][..., 2]  # (B, m)
        counts["occlusion_centres"] = (scores >= MIN_SCORE).sum(1).tolist()
    return [
        Decoded(**{name: rows[i, : counts[name][i]] for name, rows in copies.items()})
        for i in range(len(copies["scores"]))
    ]


def at_centres(head: Tensor, boxes: Tensor, stride: int) -> Tensor:
    """Read the head (C, h, w) of an image in the cells of the boxes' centres: (n, C) float32.

    Boxes (n, 4) are in network pixels. A centre outside the map is moved to the nearest cell.
    """
    height, width = head.shape[1:]
    x = ((boxes[:, 0] + boxes[:, 2]) / 2 // stride).clamp(0, width - 1).long()
    y = ((boxes[:, 1] + boxes[:, 3]) / 2 // stride).clamp(0, height - 1).long()
    return head[:, y, x].T.float()


def boxes_around(centres: Tensor, size: Tensor) -> Tensor:
    """Decode boxes x1 y1 x2 y2 (B, k, 4) from `centres` (B, k, 2) and the size head.

    `size` is (B, k, 4), the distances to the left, top, right and bottom side, or (B, k, 2),
    width and height.
    """
    if size.shape[2] == 2:
        size = torch.cat((size, size), 2) / 2
    return torch.cat((centres - size[..., :2], centres + size[..., 2:]), 2)


def occlusion_centres(heads: Mapping[str, Tensor], most: int, stride: int) -> Tensor:
    """Read the `most` highest occlusion centres: (B, most, 3) float32 x, y, score, highest first.

    `heads` are `occlusion` (B, 1, h, w) before its sigmoid and `occlusion_offset` (B, 2, h, w) x y
    in cells of `stride` pixels. Centres are in network pixels.
    """
    top = peaks(heads["occlusion"], most)
    points = (top.centres + gather(heads["occlusion_offset"], top.cells)) * stride
    return torch.cat((points, top.scores[..., None]), 2)
