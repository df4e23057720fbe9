"""CSTrack: a YOLOv5 detector whose features are separated for detection and identity.

Liang, Zhang, Zhou, Li, Zhu, Hu: Rethinking the Competition Between Detection and ReID in
Multiobject Tracking, IEEE Transactions on Image Processing 31, 2022 (arXiv 2010.12138). The
overview figure is the network: backbone and neck, a reciprocal network on each of three levels
that splits its features between the two tasks, detection heads at strides 8, 16 and 32, and one
scale-aware attention network that fuses the three levels into an identity map of stride 8.
"""

from collections.abc import Mapping, Sequence
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import box_convert

from mottool.checkpoints.fitting import dimension, fit
from mottool.errors import SettingError
from mottool.models.backbones.csp import CSPBackbone, CSPConv, PathAggregation
from mottool.models.centre_heads import at_centres
from mottool.models.cluster_nms import cluster_nms
from mottool.models.interfaces import Decoded

__all__ = ["ANCHORS", "PIPELINES", "SIZES", "STRIDES", "CSTrack", "map_tensor_name"]

STRIDES = (8, 16, 32)
IDENTITY_STRIDE = 8

# Width and height in network pixels of the three anchors at strides 8, 16 and 32, for 1088x608.
ANCHORS = (
    ((8, 24), (11, 34), (16, 48)),
    ((32, 96), (45, 135), (64, 192)),
    ((128, 384), (180, 540), (256, 640)),
)

# (width, depth) by the channels of the first layer, which identify a checkpoint: the network of the
# paper's tables, and CSTrack-S with 30 % of its channels and layers.
SIZES = {64: (1.0, 1.0), 24: (0.3, 0.3)}

PIPELINES = {"cstrack": 64, "cstrack-s": 24}

MAX_OVERLAP = 0.6
MAX_PEOPLE = 300
CENTRED_REACH = 10.0  # the value of `reach` for offsets from -0.5 to 1.5 cells

# Prefixes of tensor names: the authors', numbered as in YOLOv5's configuration, and ours.
STAGES = {
    "model.0.": "backbone.stem.",
    "model.1.": "backbone.stage2.0.",
    "model.2.": "backbone.stage2.1.",
    "model.3.": "backbone.stage3.0.",
    "model.4.": "backbone.stage3.1.",
    "model.5.": "backbone.stage4.0.",
    "model.6.": "backbone.stage4.1.",
    "model.7.": "backbone.stage5.0.",
    "model.8.": "backbone.stage5.1.",
    "model.9.": "backbone.stage5.2.",
    "model.10.": "neck.reduce5.",
    "model.13.": "neck.merge4.",
    "model.14.": "neck.reduce4.",
    "model.17.": "neck.out3.",
    "model.18.": "neck.down3.",
    "model.20.": "neck.out4.",
    "model.21.": "neck.down4.",
    "model.23.": "neck.out5.",
    "model.24.": "relations.0.",
    "model.25.": "relations.1.",
    "model.26.": "relations.2.",
    "model.27.proj1.": "attention.levels.0.",
    "model.27.proj2.": "attention.levels.1.",
    "model.27.proj3.": "attention.levels.2.",
    "model.27.node.0.c_attention.": "attention.channels.weigh.",
    "model.27.node.1.": "attention.fuse.",
    "model.27.node.2.": "attention.embed.",
    "model.28.k": "reach",
    "model.28.anchor_grid": "anchors",
    "model.28.m.": "detection.",
}

# Within a stage: the authors' names of parts of the two attentions, and ours.
PARTS = {
    "w1": "detection_share",
    "w2": "identity_share",
    "c_attention1.0.": "detection_map.",
    "c_attention2.0.": "identity_map.",
    "conv_s.0.": "squeeze.",
    "s_attention.": "window.",
}


class ReciprocalNetwork(nn.Module):
    """REN: re-weight the features of a level for detection and for identity.

    The features are pooled to 6 by 10 for both tasks. Products between the channels of a task's map
    (self-relation) and with those of the other task (cross-relation) become weights by softmax.
    Their learned mixture re-weights the channels of the features, and the features are added.
    """

    POOLED = (6, 10)

    def __init__(self, channels: int) -> None:
        """Create the module; the number of `channels` does not change."""
        super().__init__()
        self.detection_map = nn.Conv2d(channels, channels, 3, padding=1)
        self.identity_map = nn.Conv2d(channels, channels, 3, padding=1)
        self.detection_share = nn.Parameter(torch.full((1,), 0.5))  # lambda of self-relation
        self.identity_share = nn.Parameter(torch.full((1,), 0.5))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map features (B, C, H, W) to those for detection and identity, of the same shape."""
        pooled = F.adaptive_avg_pool2d(x, self.POOLED)  # (B, C, 6, 10)
        detection = self._task(self.detection_map(pooled))
        identity = self._task(self.identity_map(pooled))
        return (
            x + self._weighted(x, detection, identity, self.detection_share),
            x + self._weighted(x, identity, detection, self.identity_share),
        )

    @staticmethod
    def _task(x: Tensor) -> Tensor:
        return F.leaky_relu(F.instance_norm(x), 0.3).flatten(2)  # (B, C, 60)

    @staticmethod
    def _weighted(x: Tensor, task: Tensor, other: Tensor, share: Tensor) -> Tensor:
        self_relation = (task @ task.mT).softmax(-1)  # (B, C, C)
        cross_relation = (task @ other.mT).softmax(-1)
        weights = share * self_relation + (1 - share) * cross_relation
        weighted: Tensor = weights @ x.flatten(2)
        return weighted.view_as(x)


class Shared(nn.Module):
    """Replacement of REN in ablations: both tasks use the same features."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features twice."""
        return x, x


class SpatialAttention(nn.Module):
    """SAAN, first step: spatial attention within a level."""

    def __init__(self, channels: int) -> None:
        """Create the module; the number of `channels` does not change."""
        super().__init__()
        self.squeeze = CSPConv(channels, channels // 4)
        self.window = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Re-weight features (B, C, H, W)."""
        squeezed = self.squeeze(x)
        summaries = squeezed.mean(1, keepdim=True), squeezed.amax(1, keepdim=True)
        weights = self.window(torch.cat(summaries, 1)).sigmoid()  # (B, 1, H, W)
        attended: Tensor = x * weights + x
        return attended


class ChannelAttention(nn.Module):
    """SAAN, second step: attention over the channels of all levels."""

    def __init__(self, channels: int) -> None:
        """Create the module for the `channels` of all levels together."""
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Conv1d(1, 1, 3, padding=1, bias=False),
            nn.LayerNorm([1, channels]),
            nn.LeakyReLU(0.3),
            nn.Linear(channels, channels, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Re-weight features (B, C, H, W)."""
        summaries = x.mean((2, 3)), x.amax((2, 3))  # (B, C) each
        logits: Tensor = sum(self.weigh(summary[:, None]) for summary in summaries)  # (B, 1, C)
        return x * logits.sigmoid().mT[..., None] + x


class ScaleAwareAttention(nn.Module):
    """SAAN: resize three levels to stride 8, apply attention, and fuse them into embeddings."""

    WIDTH = 256

    def __init__(
        self,
        channels: tuple[int, int, int],
        embedding_size: int,
        spatial: bool = True,
        channelwise: bool = True,
    ) -> None:
        """Create the module for the `channels` of the levels at strides 8, 16 and 32.

        Both attentions can be omitted.
        """
        super().__init__()
        self.levels = nn.ModuleList()
        for level, inside in enumerate(channels):
            steps: list[nn.Module] = [CSPConv(inside, self.WIDTH, 3)]
            if level:
                steps.append(self._enlarge(2**level))
            if spatial:
                steps.append(SpatialAttention(self.WIDTH))
            self.levels.append(nn.Sequential(*steps))
        self.channels = ChannelAttention(3 * self.WIDTH) if channelwise else nn.Identity()
        self.fuse = CSPConv(3 * self.WIDTH, self.WIDTH, 3)
        self.embed = nn.Conv2d(self.WIDTH, embedding_size, 1)

    def _enlarge(self, factor: int) -> nn.Module:
        size, padding, groups = 2 * factor, factor // 2, self.WIDTH
        return nn.ConvTranspose2d(
            self.WIDTH, self.WIDTH, size, factor, padding, groups=groups, bias=False
        )

    def forward(self, pyramid: list[Tensor]) -> Tensor:
        """Fuse features at strides 8, 16 and 32 into embeddings (B, D, H/8, W/8)."""
        levels = [attend(x) for attend, x in zip(self.levels, pyramid, strict=True)]
        embeddings: Tensor = self.embed(self.fuse(self.channels(torch.cat(levels, 1))))
        return embeddings


class CSTrack(nn.Module):
    """CSTrack for letterboxed RGB images in [0, 1], of any size in multiples of 32.

    `forward` returns

    detection_8, _16, _32 (B, 18, H/s, W/s): for each of three anchors the logits of the box's
        centre x, y and size w, h, of objectness, and of the class person;
    identity (B, D, H/8, W/8): the embedding of each cell, not normalised.

    Batch norm has epsilon 1e-3, as in YOLOv5.
    """

    anchors: Tensor

    def __init__(
        self,
        width: float = 1.0,
        depth: float = 1.0,
        embedding_size: int = 512,
        related: bool = True,
        spatial: bool = True,
        channelwise: bool = True,
    ) -> None:
        """Create the network with random weights.

        `width` scales the channels of backbone and neck, and `depth` their layers: 0.3 is
        CSTrack-S. The attention network keeps its width, as in the authors' code. For the paper's
        ablations, REN (`related`) and both attentions of SAAN can be omitted.
        """
        super().__init__()
        self.backbone = CSPBackbone(width, depth)
        channels = self.backbone.channels
        self.neck = PathAggregation(channels, depth)
        self.relations = nn.ModuleList(
            ReciprocalNetwork(inside) if related else Shared() for inside in channels
        )
        self.attention = ScaleAwareAttention(channels, embedding_size, spatial, channelwise)
        self.detection = nn.ModuleList(nn.Conv2d(inside, 3 * 6, 1) for inside in channels)
        self.register_buffer("anchors", torch.tensor(ANCHORS).float().view(3, 1, 3, 1, 1, 2))
        self.reach = nn.Parameter(torch.full((1,), CENTRED_REACH))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the four raw heads of images (B, 3, H, W).

        Raises `SettingError` unless H and W are multiples of 32.
        """
        height, width = images.shape[-2:]
        if height % 32 or width % 32:
            raise SettingError(
                f"CSTrack does not support an input of {width}x{height}",
                "choose a width and a height that are multiples of 32, such as 1088x608",
            )
        heads, identity_features = {}, []
        levels = zip(
            STRIDES, self.neck(self.backbone(images)), self.relations, self.detection, strict=True
        )
        for stride, features, relation, detect in levels:
            detection, identity = relation(features)
            heads[f"detection_{stride}"] = detect(detection)
            identity_features.append(identity)
        heads["identity"] = self.attention(identity_features)
        return heads

    def proposals(self, heads: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Decode all anchors: boxes (B, N, 4) x1 y1 x2 y2, objectness and person score (B, N).

        Boxes are in network pixels and can extend beyond the image; the scores are in [0, 1]. N is
        ordered by stride (8, 16, 32), then by anchor, row and column.
        """
        boxes, levels = [], []
        centred = bool(self.reach == CENTRED_REACH)
        for stride, anchors in zip(STRIDES, self.anchors, strict=True):
            head = heads[f"detection_{stride}"].float().sigmoid()  # (B, 18, h, w)
            grid = head.shape[2:]
            head = head.view(-1, 3, 6, *grid).permute(0, 1, 3, 4, 2)  # (B, 3, h, w, 6)
            centre, size, scores = head[..., :2], head[..., 2:4], head[..., 4:]
            rows, columns = (torch.arange(n, device=head.device) for n in grid)
            y, x = torch.meshgrid(rows, columns, indexing="ij")
            cell = torch.stack((x, y), dim=-1)  # (h, w, 2)
            offset = 2 * centre - 0.5 if centred else (centre - 0.5) * self.reach
            box = torch.cat(((offset + cell) * stride, (2 * size).square() * anchors), dim=-1)
            boxes.append(box.flatten(1, 3))  # (B, 3hw, 4) centre and size
            levels.append(scores.flatten(1, 3))  # (B, 3hw, 2)
        objectness, person = torch.cat(levels, dim=1).unbind(-1)
        return box_convert(torch.cat(boxes, dim=1), "cxcywh", "xyxy"), objectness, person

    def decode(self, heads: dict[str, Tensor], min_score: float) -> list[Decoded]:
        """Decode people whose objectness × person score exceeds `min_score`, best first.

        At most 300 remain after cluster-DIoU NMS. The embedding is that of the cell of the box's
        centre, or of the nearest cell outside the map. It is L2-normalised here; the authors'
        tracker normalises it later.
        """
        decoded = []
        boxes, objectness, person = self.proposals(heads)
        for box, score, identity in zip(boxes, objectness * person, heads["identity"], strict=True):
            box, score = box[score > min_score], score[score > min_score]
            chosen = cluster_nms(box, score, MAX_OVERLAP, MAX_PEOPLE)
            box, score = box[chosen], score[chosen]  # (n, 4), (n,)
            embeddings = self._embeddings(identity, box)  # (n, D)
            decoded.append(Decoded(box, score, torch.zeros_like(chosen), embeddings))
        return decoded

    def embed_at(self, heads: dict[str, Tensor], boxes: Sequence[Tensor]) -> list[Tensor]:
        """Read the L2-normalised embeddings (n, D) of each image's boxes (n, 4), as `decode`."""
        pairs = zip(heads["identity"], boxes, strict=True)
        return [self._embeddings(identity, rows) for identity, rows in pairs]

    def _embeddings(self, identity: Tensor, boxes: Tensor) -> Tensor:
        return F.normalize(at_centres(identity, boxes, IDENTITY_STRIDE), dim=1)  # (n, D)

    @classmethod
    def from_checkpoint(cls, tensors: Mapping[str, Tensor], pipeline: str | None = None) -> Self:
        """Build one of `PIPELINES` with the tensors of a checkpoint.

        Without a `pipeline` it is identified by their shapes. The authors' names and ours are
        accepted; only files with ours can lack REN or an attention. Raises `CheckpointError` with
        the names that are missing, unknown or of another shape.
        """
        named = {map_tensor_name(name): tensor for name, tensor in tensors.items()}
        channels = dimension(named, "backbone.stem.conv.conv.weight", axis=0, default=64)
        first = PIPELINES[pipeline] if pipeline else channels
        embedding_size = dimension(named, "attention.embed.weight", axis=0, default=512)
        ablated = "attention.embed.weight" in tensors
        parts = [
            not ablated or any(name.startswith(part) for name in tensors)
            for part in ("relations.", "attention.levels.0.1.", "attention.channels.")
        ]
        network = cls(*SIZES.get(first, SIZES[64]), embedding_size, *parts)
        # The ignored tensor repeats the anchors in cells; they follow from anchor_grid and strides.
        fit(
            network, named, pipeline or "cstrack", unused=r"model\.28\.anchors$", file_names=tensors
        )
        return network


def map_tensor_name(name: str) -> str:
    """Map CSTrack's or YOLOv5's name of a tensor to ours; return other names unchanged."""
    stage = next((prefix for prefix in STAGES if name.startswith(prefix)), "")
    rest = name.removeprefix(stage)
    for theirs, ours in PARTS.items():
        rest = rest.replace(theirs, ours)
    return STAGES.get(stage, "") + rest
