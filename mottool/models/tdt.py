"""TDT: a RetinaNet that also regresses the embeddings of a re-identification teacher.

Yu, Wu, Gu, Fathy, TDT: Teaching Detectors to Track without Fully Annotated Videos, CVPR Workshops
2022 (arXiv 2205.05583): the student of §3.2 and Fig. 2, its inference of §4.2. The authors
published no code. Values marked RetinaNet are from that paper.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import box_iou

from mottool.checkpoints.fitting import dimension, fit
from mottool.models.interfaces import Decoded
from mottool.models.retinanet import (
    LEVELS,
    PYRAMID_CHANNELS,
    AnchorShapes,
    Subnet,
    boxes_from_deltas,
    level_pyramid,
    per_anchor,
    select_detections,
    stage_maps,
)
from mottool.networks.registry import identify

__all__ = ["ANCHORS", "TDT", "VARIANTS", "Embedder"]

# Name: backbone, and whether the pyramid has a top-down pathway. Without it all five levels remain,
# because "no FPN" removes the exchange between levels, not the levels.
VARIANTS = {
    "tdt-r34": ("resnet34", True),
    "tdt-r50": ("resnet50", True),
    "tdt-mobilenet": ("mobilenet_v2", True),
    "tdt-mobilenet-nofpn": ("mobilenet_v2", False),
}

# §3.2: 3 scales × 3 aspect ratios width / height; people are not wider than they are tall.
ANCHORS = AnchorShapes(ratios=(0.25, 0.5, 1.0))
_SUBNET_WIDTH = 128  # §3.2: four convolutions of 128 channels; RetinaNet has 256
_PRIOR = 0.01  # RetinaNet §4.1
_EMBEDDER_GAIN = 0.1  # initial gain of the embedder's batch norm
_MAX_IOU, _MOST = 0.5, 100  # §4.2: non-maximum suppression, then the top 100


class Embedder(nn.Module):
    """The embedder head (Fig. 2): two 3×3 convolutions with 256 channels and batch norm between.

    It is shared by all levels, like the subnets. The second convolution computes one embedding per
    anchor, 9 · D channels, which is most of the computation at D = 512, although few are used.
    `forward` therefore stops before it, and `at` applies it to selected anchors, with the same
    result.
    """

    def __init__(self, embedding_size: int) -> None:
        """Create the head for the first `embedding_size` D dimensions of the teacher."""
        super().__init__()
        width = PYRAMID_CHANNELS
        self.embedding_size = embedding_size
        self.hidden = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.embedding = nn.Conv2d(width, len(ANCHORS) * embedding_size, 3, padding=1)
        # A teacher's embeddings have norm 1. With a gain of 1, those of an untrained student have
        # norms of 5 to 10, and the L2 loss would dominate the others and diverge.
        nn.init.constant_(self.norm.weight, _EMBEDDER_GAIN)

    def forward(self, level: Tensor) -> Tensor:
        """Map a level (B, 256, h, w) to the features between the convolutions, same shape."""
        return F.relu(self.norm(self.hidden(level)))

    def at(self, features: list[Tensor], images: Tensor, anchors: Tensor) -> Tensor:
        """Compute embeddings (n, D), not normalised, of `anchors` (n,) in `images` (n,) of a batch.

        `features` are the outputs of `forward` for all levels; anchors index the N axis.
        """
        patches = features[0].new_zeros(len(anchors), PYRAMID_CHANNELS, 3, 3)
        start = 0
        for level in features:
            height, width = level.shape[2:]
            count = height * width * len(ANCHORS)
            rows = torch.nonzero((anchors >= start) & (anchors < start + count)).squeeze(1)
            cell = (anchors[rows] - start) // len(ANCHORS)
            patches[rows] = _patches(level, images[rows], cell // width, cell % width)
            start += count
        # Without padding, a 3×3 patch yields its centre cell. Features can have a lower precision
        # than the weights.
        patches = patches.to(self.embedding.weight.dtype)
        cells = F.conv2d(patches, self.embedding.weight, self.embedding.bias)  # (n, 9·D, 1, 1)
        shapes = cells.reshape(len(anchors), len(ANCHORS), self.embedding_size)  # (n, 9, D)
        # Every level has complete cells, so the remainder is the shape on all levels.
        return shapes[torch.arange(len(anchors), device=anchors.device), anchors % len(ANCHORS)]


def _patches(level: Tensor, images: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Return the 3×3 patches (n, C, 3, 3) of cells (n,) of a map (B, C, h, w), zero outside."""
    offsets = torch.arange(3, device=level.device)
    down, across = y[:, None, None] + offsets[:, None], x[:, None, None] + offsets
    padded = F.pad(level, (1, 1, 1, 1)).permute(0, 2, 3, 1)  # (B, h+2, w+2, C)
    patches = padded[images[:, None, None], down, across]  # (n, 3, 3, C)
    return patches.permute(0, 3, 1, 2)


class TDT(nn.Module):
    """The student of Fig. 2: backbone, pyramid, and class, box and embedder heads on each level.

    Images are RGB in [0, 1], normalised by ImageNet's mean and deviation, as for the pre-training
    of the backbones; preprocessing does this.
    """

    def __init__(self, variant: str = "tdt-r34", embedding_size: int = 512) -> None:
        """Create one of `VARIANTS` with random weights.

        `embedding_size` is 64 to 512 in the paper; the default is all 512 dimensions of the OSNet
        teacher, because they cost little here.
        """
        backbone, top_down = VARIANTS[variant]
        super().__init__()
        self.backbone = stage_maps(backbone)
        self.pyramid = level_pyramid(backbone, top_down)
        prior = -math.log((1 - _PRIOR) / _PRIOR)
        self.classes = Subnet(_SUBNET_WIDTH, len(ANCHORS), bias=prior)  # one class: person
        self.boxes = Subnet(_SUBNET_WIDTH, len(ANCHORS) * 4)
        self.embedder = Embedder(embedding_size)

    @classmethod
    def from_checkpoint(cls, tensors: Mapping[str, Tensor], variant: str | None = None) -> Self:
        """Build the network with the tensors of one of our files, which determine D.

        The variant is identified from them if none is given. Raises `CheckpointError` with the
        names that are missing, unknown or of another shape.
        """
        identified = (name for name in identify(tensors) if name in VARIANTS)
        variant = variant or next(identified, "tdt-r34")
        channels = dimension(tensors, "embedder.embedding.weight", 0, 512 * len(ANCHORS))
        network = cls(variant, channels // len(ANCHORS))
        fit(network, tensors, variant)
        return network

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the raw heads of images (B, 3, H, W), H and W multiples of 32.

        N is the number of anchors of levels 3 to 7 (strides 8 to 128, map sizes rounded up), nine
        per cell, in `retinanet`'s order:

        - `scores` (B, N): logits of "a person";
        - `boxes` (B, N, 4): deltas for `retinanet.boxes_from_deltas`;
        - `anchors` (N, 4) float32: x1 y1 x2 y2 in network pixels, the same for every image;
        - `embedder_3` … `embedder_7` (B, 256, H/2^l, W/2^l): the input of `embed`.
        """
        levels = list(self.pyramid(self.backbone(images)).values())
        cells = [(level.shape[2], level.shape[3]) for level in levels]
        strides = [2**level for level in LEVELS]
        return {
            "scores": per_anchor([self.classes(level) for level in levels], len(ANCHORS))[..., 0],
            "boxes": per_anchor([self.boxes(level) for level in levels], len(ANCHORS)),
            "anchors": ANCHORS.boxes(cells, strides, images.device),
        } | {
            _map_name(level): self.embedder(features)
            for level, features in zip(LEVELS, levels, strict=True)
        }

    def embed(self, heads: dict[str, Tensor], images: Tensor, anchors: Tensor) -> Tensor:
        """Compute the embeddings (n, D) of selected anchors, in the teacher's scale.

        `images` (n,) and `anchors` (n,) int64 index the batch and the N axis. Distillation compares
        them with the teacher's first D dimensions (§3.3); `decode` normalises them.
        """
        features = [heads[_map_name(level)] for level in LEVELS]
        return self.embedder.at(features, images, anchors)

    def embed_at(self, heads: dict[str, Tensor], boxes: Sequence[Tensor]) -> list[Tensor]:
        """Compute L2-normalised embeddings (n, D) of each image's boxes (n, 4), at their anchors.

        The anchor of a box is the one with the highest IoU.
        """
        kept = [box_iou(rows, heads["anchors"]).argmax(1) for rows in boxes]  # (n,)
        images = torch.cat([torch.full_like(row, index) for index, row in enumerate(kept)])
        embeddings = F.normalize(self.embed(heads, images, torch.cat(kept)).float(), dim=1)
        return list(torch.split(embeddings, [len(row) for row in kept]))

    def decode(self, heads: dict[str, Tensor], min_score: float) -> list[Decoded]:
        """Decode people that score above `min_score` (§4.2: 0.05), at most 100 per image."""
        counts = [len(ANCHORS) * heads[_map_name(level)][0, 0].numel() for level in LEVELS]
        scores = heads["scores"].float().sigmoid()  # (B, N)
        boxes = boxes_from_deltas(heads["boxes"], heads["anchors"])  # (B, N, 4)
        kept = [
            select_detections(box, score, counts, min_score, _MAX_IOU, _MOST)
            for box, score in zip(boxes, scores, strict=True)
        ]
        images = torch.cat([torch.full_like(row, index) for index, row in enumerate(kept)])
        embeddings = F.normalize(self.embed(heads, images, torch.cat(kept)).float(), dim=1)
        parts = torch.split(embeddings, [len(row) for row in kept])
        return [
            Decoded(box[row], score[row], torch.zeros_like(row), part)
            for box, score, row, part in zip(boxes, scores, kept, parts, strict=True)
        ]


def _map_name(level: int) -> str:
    """Return the name of the embedder's features of a level."""
    return f"embedder_{level}"
