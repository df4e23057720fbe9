"""TDT: a RetinaNet that also regresses the embeddings of a re-identification teacher.

Yu, Wu, Gu, Fathy, TDT: Teaching Detectors to Track without Fully Annotated Videos, CVPR Workshops
2022 (arXiv 2205.05583): the student of §3.2 and Fig. 2, its details of §4.2 and supplement A. The
authors published no code. What the paper leaves open is as in Google's RetinaNet (`retinanet`).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import box_iou, nms

from mottool.checkpoints.fitting import dimension, fit
from mottool.models.candidates import candidates
from mottool.models.device import to_host
from mottool.models.interfaces import Decoded
from mottool.models.retinanet import (
    LAST_LEVEL,
    PYRAMID_CHANNELS,
    AnchorShapes,
    Subnet,
    boxes_from_deltas,
    level_norms,
    level_pyramid,
    per_anchor,
    stage_maps,
    top_candidates,
)
from mottool.networks.registry import identify

__all__ = ["ANCHORS", "TDT", "VARIANTS", "Embedder", "strides_and_cells"]

# Table 5. Name: backbone, and whether the pyramid has a top-down pathway. Without it all levels
# remain, because "no FPN" removes the exchange between levels, not the levels.
VARIANTS = {
    "tdt-r34": ("resnet34", True),
    "tdt-r50": ("resnet50", True),
    "tdt-mobilenet": ("mobilenet_v1", True),
    "tdt-mobilenet-nofpn": ("mobilenet_v1", False),
    "tdt-mobilenet-v2": ("mobilenet_v2", True),
}

# §4.2: 3 scales × 3 aspect ratios width / height; people are not wider than they are tall.
ANCHORS = AnchorShapes(ratios=(0.25, 0.5, 1.0))
FINEST_LEVEL = 3  # §4.2; Fig. 6 also tries features of a larger resolution
_SUBNET_WIDTH = 128  # §4.2: four convolutions of 128 channels; RetinaNet has 256
_PRIOR = 0.01  # RetinaNet §4.1
_MAX_IOU, _MOST = 0.5, 100  # §3.2: non-maximum suppression, then the top 100
_NORM_EPS, _NORM_MOMENTUM = 1e-3, 0.997  # supplement A


def strides_and_cells(
    width: int, height: int, finest_level: int = FINEST_LEVEL
) -> tuple[list[int], list[tuple[int, int]]]:
    """Return the stride and the cells (h, w) of each level for an input in pixels."""
    strides = [2**level for level in range(finest_level, LAST_LEVEL + 1)]
    return strides, [(-(-height // stride), -(-width // stride)) for stride in strides]


class Embedder(nn.Module):
    """The embedder head (Fig. 2): two 3×3 convolutions with 256 channels and batch norm between.

    Its convolutions are shared by all levels, like those of the subnets; the batch norm is the
    level's, and ReLU follows it. The second convolution computes one embedding per anchor, 9 · D
    channels, which is most of the computation at D = 512, although few are used. `forward`
    therefore stops before it, and `at` applies it to selected anchors, with the same result.
    """

    def __init__(self, levels: int, embedding_size: int) -> None:
        """Create the head for the first `embedding_size` D dimensions of the teacher."""
        super().__init__()
        width = PYRAMID_CHANNELS
        self.embedding_size = embedding_size
        self.hidden = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norms = level_norms(width, levels)
        self.embedding = nn.Conv2d(width, len(ANCHORS) * embedding_size, 3, padding=1)
        nn.init.normal_(self.hidden.weight, std=0.01)  # as in the subnets
        nn.init.normal_(self.embedding.weight, std=1e-5)
        nn.init.zeros_(self.embedding.bias)  # type: ignore[arg-type]

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Map levels (B, 256, h, w) to the features between the convolutions, same shapes."""
        return [
            F.relu(norm(self.hidden(level))) for norm, level in zip(self.norms, levels, strict=True)
        ]

    def at(self, features: list[Tensor], images: Tensor, anchors: Tensor) -> Tensor:
        """Compute embeddings (n, D), not normalised, of `anchors` (n,) in `images` (n,) of a batch.

        `features` are the outputs of `forward` for all levels; anchors index the N axis. Indices
        are read on the CPU, which sorts them by level and shape, and used on the network's device.
        """
        images, anchors = to_host([images, anchors])
        widths = torch.tensor([level.shape[3] for level in features])
        ends = torch.tensor([level.shape[2] * level.shape[3] for level in features]).cumsum(0)
        cells = anchors // len(ANCHORS)
        levels = torch.bucketize(cells, ends, right=True)
        cells = cells - torch.cat((ends.new_zeros(1), ends))[levels]
        y, x = cells // widths[levels], cells % widths[levels]
        by_level, level_sizes = _rows_of_each(levels, len(features))
        # Every level has complete cells, so the remainder is the shape on all levels.
        by_shape, shape_sizes = _rows_of_each(anchors % len(ANCHORS), len(ANCHORS))
        indices = torch.stack((images, y, x, by_level, by_shape)).to(features[0].device)
        images, y, x, by_level, by_shape = indices
        patches = features[0].new_zeros(len(anchors), PYRAMID_CHANNELS, 3, 3)
        # Levels without anchors too: their weights get gradients, which processes average.
        for level, rows in zip(features, torch.split(by_level, level_sizes), strict=True):
            patches[rows] = _patches(level, images[rows], y[rows], x[rows])
        # Features can have a lower precision than the weights.
        flat = patches.to(self.embedding.weight.dtype).flatten(1)  # (n, 256·3·3)
        weights = self.embedding.weight.reshape(len(ANCHORS), self.embedding_size, -1)
        biases = self.embedding.bias.reshape(len(ANCHORS), -1)  # type: ignore[union-attr]
        embeddings = flat.new_zeros(len(anchors), self.embedding_size)
        for shape, rows in enumerate(torch.split(by_shape, shape_sizes)):
            embeddings = embeddings.index_add(
                0, rows, F.linear(flat[rows], weights[shape], biases[shape]).to(embeddings.dtype)
            )
        return embeddings


def _rows_of_each(keys: Tensor, count: int) -> tuple[Tensor, list[int]]:
    """Return the rows of keys (n,) int64 by rising key, and how many have each of `count` keys."""
    return keys.argsort(stable=True), torch.bincount(keys, minlength=count).tolist()


def _patches(level: Tensor, images: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Return the 3×3 patches (n, C, 3, 3) of cells (n,) of a map (B, C, h, w), zero outside.

    The map is not padded, which would copy all of it for a few patches.
    """
    height, width = level.shape[2:]
    offsets = torch.arange(-1, 2, device=level.device)
    down, across = y[:, None, None] + offsets[:, None], x[:, None, None] + offsets  # (n, 3, 3)
    inside = (down >= 0) & (down < height) & (across >= 0) & (across < width)
    down, across = down.clamp(0, height - 1), across.clamp(0, width - 1)
    patches = level.permute(0, 2, 3, 1)[images[:, None, None], down, across]  # (n, 3, 3, C)
    return torch.where(inside[..., None], patches, 0).permute(0, 3, 1, 2)


class TDT(nn.Module):
    """The student of Fig. 2: backbone, pyramid, and class, box and embedder heads on each level.

    Without an embedder it is the RetinaNet of the paper's two-stage tracker (Table 1). Images are
    RGB in [0, 1], normalised by ImageNet's mean and deviation; preprocessing does this.
    """

    def __init__(
        self,
        variant: str = "tdt-r34",
        embedding_size: int = 128,
        finest_level: int = FINEST_LEVEL,
        norm_momentum: float = _NORM_MOMENTUM,
    ) -> None:
        """Create one of `VARIANTS` with random weights.

        `embedding_size` is 64 to 512 in the paper (Table 6) and 128 in its benchmark entry (§4.2);
        0 makes no embedder. `finest_level` is 2 or 3. `norm_momentum` is the decay of the moving
        averages of batch norm (supplement A).
        """
        backbone, top_down = VARIANTS[variant]
        super().__init__()
        self.levels = tuple(range(finest_level, LAST_LEVEL + 1))
        count = len(self.levels)
        self.backbone = stage_maps(backbone, self.levels)
        self.pyramid = level_pyramid(backbone, self.levels, top_down)
        prior = -math.log((1 - _PRIOR) / _PRIOR)
        self.classes = Subnet(count, _SUBNET_WIDTH, len(ANCHORS), bias=prior)  # one class: person
        self.boxes = Subnet(count, _SUBNET_WIDTH, len(ANCHORS) * 4)
        self.embedder = Embedder(count, embedding_size) if embedding_size else None
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps, module.momentum = _NORM_EPS, 1 - norm_momentum

    @property
    def embeds(self) -> bool:
        """Return whether there is an embedder."""
        return self.embedder is not None

    @classmethod
    def from_checkpoint(cls, tensors: Mapping[str, Tensor], variant: str | None = None) -> Self:
        """Build the network with the tensors of one of our files, which determine its heads.

        The variant is identified from them if none is given. Raises `CheckpointError` with the
        names that are missing, unknown or of another shape.
        """
        identified = (name for name in identify(tensors) if name in VARIANTS)
        variant = variant or next(identified, "tdt-r34")
        channels = dimension(tensors, "embedder.embedding.weight", 0, 0)
        finer = "pyramid.norm.5.weight" in tensors  # a sixth level
        network = cls(variant, channels // len(ANCHORS), FINEST_LEVEL - finer)
        fit(network, tensors, variant)
        return network

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the raw heads of images (B, 3, H, W), H and W multiples of 32.

        N is the number of anchors of levels 3 to 7 (strides 8 to 128, map sizes rounded up), nine
        per cell, in `retinanet`'s order:

        - `scores` (B, N): logits of "a person";
        - `boxes` (B, N, 4): deltas for `retinanet.boxes_from_deltas`;
        - `anchors` (N, 4) float32: x1 y1 x2 y2 in network pixels, the same for every image;
        - `embedder_3` … `embedder_7` (B, 256, H/2^l, W/2^l): the input of `embed`, if there is an
          embedder.
        """
        levels: list[Tensor] = self.pyramid(self.backbone(images))
        cells = [(level.shape[2], level.shape[3]) for level in levels]
        strides = [2**level for level in self.levels]
        heads = {
            "scores": per_anchor(self.classes(levels), len(ANCHORS))[..., 0],
            "boxes": per_anchor(self.boxes(levels), len(ANCHORS)),
            "anchors": ANCHORS.boxes(cells, strides, images.device),
        }
        if self.embedder is None:
            return heads
        features = self.embedder(levels)
        return heads | dict(zip(map(_map_name, self.levels), features, strict=True))

    def embed(self, heads: dict[str, Tensor], images: Tensor, anchors: Tensor) -> Tensor:
        """Compute the embeddings (n, D) of selected anchors, in the teacher's scale.

        `images` (n,) and `anchors` (n,) int64 index the batch and the N axis. Distillation compares
        them with the teacher's first D dimensions (§3.4); `decode` normalises them. They have D = 0
        without an embedder.
        """
        if self.embedder is None:
            return heads["scores"].new_zeros(len(anchors), 0)
        features = [heads[_map_name(level)] for level in self.levels]
        embeddings: Tensor = self.embedder.at(features, images, anchors)
        return embeddings

    def embed_at(self, heads: dict[str, Tensor], boxes: Sequence[Tensor]) -> list[Tensor]:
        """Compute L2-normalised embeddings (n, D) of each image's boxes (n, 4), at their anchors.

        The anchor of a box is the one with the highest IoU.
        """
        kept = [box_iou(rows, heads["anchors"]).argmax(1) for rows in boxes]  # (n,)
        images = torch.cat([torch.full_like(row, index) for index, row in enumerate(kept)])
        embeddings = F.normalize(self.embed(heads, images, torch.cat(kept)).float(), dim=1)
        return list(torch.split(embeddings, [len(row) for row in kept]))

    def decode(self, heads: dict[str, Tensor], min_score: float) -> list[Decoded]:
        """Decode people that score above `min_score` (§3.2: 0.05), at most 100 per image."""
        scores = heads["scores"].float().sigmoid()  # (B, N)
        anchors = heads["anchors"].expand(len(scores), -1, -1)  # (B, N, 4)
        levels = _level_of_anchors(heads["anchors"]).expand(len(scores), -1)  # (B, N)
        kept, boxes, box_scores = [], [], []
        for rows, score, deltas, anchor, level in candidates(
            scores, min_score, heads["boxes"], anchors, levels
        ):
            counts = torch.bincount(level, minlength=len(self.levels)).tolist()
            top = top_candidates(score, counts)
            decoded = boxes_from_deltas(deltas[top], anchor[top])
            best = nms(decoded, score[top], _MAX_IOU)[:_MOST]
            kept.append(rows[top][best])
            boxes.append(decoded[best])
            box_scores.append(score[top][best])
        images = torch.cat([torch.full_like(row, index) for index, row in enumerate(kept)])
        embeddings = F.normalize(self.embed(heads, images, torch.cat(kept)).float(), dim=1)
        parts = torch.split(to_host([embeddings])[0], [len(row) for row in kept])
        return [
            Decoded(box, score, torch.zeros_like(row), part if self.embeds else None)
            for box, score, row, part in zip(boxes, box_scores, kept, parts, strict=True)
        ]


def _level_of_anchors(anchors: Tensor) -> Tensor:
    """Return the index of the level (N,) int64 of each anchor, from the areas of anchors (N, 4).

    The first shape of a level has a quarter of the area of the next level's.
    """
    first = anchors[:: len(ANCHORS)]  # (N / 9, 4)
    areas = (first[:, 2] - first[:, 0]) * (first[:, 3] - first[:, 1])
    levels = torch.log2(areas / areas[0]).div(2).round().long()
    return levels.repeat_interleave(len(ANCHORS))


def _map_name(level: int) -> str:
    """Return the name of the embedder's features of a level."""
    return f"embedder_{level}"
