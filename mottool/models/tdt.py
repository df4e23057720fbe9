"""TDT: a RetinaNet that also regresses the embedding a re-ID teacher would give each box.

Yu, Wu, Gu, Fathy, TDT: Teaching Detectors to Track without Fully Annotated Videos, CVPR Workshops
2022 (arXiv 2205.05583): the student of §3.2 and Fig. 2, its inference of §4.2. The authors
published no code. Where a comment names RetinaNet instead, the value is that paper's.
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
    stage_maps,
    strongest,
)
from mottool.networks.registry import identify

__all__ = ["ANCHORS", "TDT", "VARIANTS", "Embedder"]

# Pipelines by backbone and by whether the pyramid has its top-down pathway. The one without
# keeps all five levels, since "no FPN" takes away the exchange between levels, not the levels.
VARIANTS = {
    "tdt-r34": ("resnet34", True),
    "tdt-r50": ("resnet50", True),
    "tdt-mobilenet": ("mobilenet_v2", True),
    "tdt-mobilenet-nofpn": ("mobilenet_v2", False),
}

# §3.2: 3 scales × 3 aspect ratios; people are no wider than they are tall, so width / height.
ANCHORS = AnchorShapes(ratios=(0.25, 0.5, 1.0))
_SUBNET_WIDTH = 128  # §3.2: four convolutions of 128 channels, where RetinaNet has 256
_PRIOR = 0.01  # RetinaNet §4.1
_EMBEDDER_GAIN = 0.1  # of the embedder's batch norm to begin with
_MAX_IOU, _MOST = 0.5, 100  # §4.2: non-maximum suppression, then the top 100


class Embedder(nn.Module):
    """The embedder head (Fig. 2): two 3×3 convolutions, 256 channels and batch norm between.

    Like the subnets it serves every level. The second convolution makes one embedding per
    anchor, 9 · D channels, which is most of the network's work at D = 512 although hardly any of
    it is looked at; so `forward` stops before it and `at` does it for chosen anchors only, with
    the same result.
    """

    def __init__(self, embedding_size: int) -> None:
        """`embedding_size` D: how many leading dimensions of the teacher's it learns."""
        super().__init__()
        width = PYRAMID_CHANNELS
        self.embedding_size = embedding_size
        self.hidden = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.embedding = nn.Conv2d(width, len(ANCHORS) * embedding_size, 3, padding=1)
        # A teacher's embeddings are of length 1. With a gain of 1 those of an untrained student are
        # of 5 to 10, and the L2 loss would drown the two others and be too steep for any step.
        nn.init.constant_(self.norm.weight, _EMBEDDER_GAIN)

    def forward(self, level: Tensor) -> Tensor:
        """One level's map (B, 256, h, w) to the map between the two convolutions, as large."""
        return F.relu(self.norm(self.hidden(level)))

    def at(self, features: list[Tensor], images: Tensor, anchors: Tensor) -> Tensor:
        """Embeddings (n, D), not normalised, of `anchors` (n,) of the `images` (n,) of the batch.

        `features` are `forward`'s maps of all levels; anchors are rows of the N axis.
        """
        patches = features[0].new_zeros(len(anchors), PYRAMID_CHANNELS, 3, 3)
        start = 0
        for level in features:
            height, width = level.shape[2:]
            count = height * width * len(ANCHORS)
            here = torch.nonzero((anchors >= start) & (anchors < start + count)).squeeze(1)
            cell = (anchors[here] - start) // len(ANCHORS)
            patches[here] = _patches(level, images[here], cell // width, cell % width)
            start += count
        # Without padding a 3×3 patch gives the one cell in its middle. The maps may have come in a
        # lower precision than the weights are kept in.
        patches = patches.to(self.embedding.weight.dtype)
        cells = F.conv2d(patches, self.embedding.weight, self.embedding.bias)  # (n, 9·D, 1, 1)
        shapes = cells.reshape(len(anchors), len(ANCHORS), self.embedding_size)  # (n, 9, D)
        # Every level has a whole number of cells, so the remainder is the shape on any of them.
        return shapes[torch.arange(len(anchors), device=anchors.device), anchors % len(ANCHORS)]


def _patches(level: Tensor, images: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """The 3×3 surroundings (n, C, 3, 3) of cells (n,) of a map (B, C, h, w), zero outside."""
    reach = torch.arange(3, device=level.device)
    down, across = y[:, None, None] + reach[:, None], x[:, None, None] + reach
    padded = F.pad(level, (1, 1, 1, 1)).permute(0, 2, 3, 1)  # (B, h+2, w+2, C)
    patches = padded[images[:, None, None], down, across]  # (n, 3, 3, C)
    return patches.permute(0, 3, 1, 2)


class TDT(nn.Module):
    """The student of Fig. 2: backbone, pyramid, and class, box and embedder heads on each level.

    Images are RGB scaled to [0, 1] and normalised by ImageNet's mean and deviation, as the
    backbones were pre-trained; that is part of the pipeline's pre-processing, not done here.
    """

    def __init__(self, variant: str = "tdt-r34", embedding_size: int = 512) -> None:
        """A student with random weights, one of `VARIANTS`.

        `embedding_size` is 64 to 512 in the paper; all 512 dimensions of the OSNet teacher are
        the default, as they cost little here.
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
        """The student with the tensors of one of our files, its D told from them.

        So is its variant, if none is given. Raises `CheckpointError` with the names that are
        missing, unknown or of another shape.
        """
        identified = (name for name in identify(tensors) if name in VARIANTS)
        variant = variant or next(identified, "tdt-r34")
        channels = dimension(tensors, "embedder.embedding.weight", 0, 512 * len(ANCHORS))
        network = cls(variant, channels // len(ANCHORS))
        fit(network, tensors, variant)
        return network

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Raw heads of images (B, 3, H, W), H and W multiples of 32.

        N counts the anchors of levels 3 to 7 (strides 8 to 128, map sizes rounded up), nine per
        cell, in `retinanet`'s order:

        - `scores` (B, N): logits of "a person";
        - `boxes` (B, N, 4): deltas for `retinanet.boxes_from_deltas`;
        - `anchors` (N, 4) float32: x1 y1 x2 y2 in network pixels, the same for every image;
        - `embedder_3` … `embedder_7` (B, 256, H/2^l, W/2^l): what `embed` reads.
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
        """The embedder's output at chosen anchors, (n, D), in the teacher's scale.

        `images` (n,) and `anchors` (n,) int64 say which: places in the batch and rows of the N
        axis. Distillation compares them with the teacher's first D dimensions (§3.3); `decode`
        gives them unit length.
        """
        features = [heads[_map_name(level)] for level in LEVELS]
        return self.embedder.at(features, images, anchors)

    def embed_at(self, heads: dict[str, Tensor], boxes: Sequence[Tensor]) -> list[Tensor]:
        """Unit embeddings (n, D) of each image's boxes (n, 4), at the best fitting anchors."""
        kept = [box_iou(own, heads["anchors"]).argmax(1) for own in boxes]  # (n,)
        images = torch.cat([torch.full_like(row, index) for index, row in enumerate(kept)])
        embeddings = F.normalize(self.embed(heads, images, torch.cat(kept)).float(), dim=1)
        return list(torch.split(embeddings, [len(row) for row in kept]))

    def decode(self, heads: dict[str, Tensor], min_score: float) -> list[Decoded]:
        """People that score above `min_score` (§4.2: 0.05), at most 100 an image, best first."""
        counts = [len(ANCHORS) * heads[_map_name(level)][0, 0].numel() for level in LEVELS]
        scores = heads["scores"].float().sigmoid()  # (B, N)
        boxes = boxes_from_deltas(heads["boxes"], heads["anchors"])  # (B, N, 4)
        kept = [
            strongest(box, score, counts, min_score, _MAX_IOU, _MOST)
            for box, score in zip(boxes, scores, strict=True)
        ]
        images = torch.cat([torch.full_like(row, index) for index, row in enumerate(kept)])
        embeddings = F.normalize(self.embed(heads, images, torch.cat(kept)).float(), dim=1)
        shares = torch.split(embeddings, [len(row) for row in kept])
        return [
            Decoded(box[row], score[row], torch.zeros_like(row), share)
            for box, score, row, share in zip(boxes, scores, kept, shares, strict=True)
        ]


def _map_name(level: int) -> str:
    return f"embedder_{level}"
