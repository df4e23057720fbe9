"""CSTrack: a YOLOv5 detector whose features are separated for detection and identity.

Liang, Zhang, Zhou, Li, Zhu, Hu: Rethinking the Competition Between Detection and ReID in
Multi-Object Tracking, IEEE Transactions on Image Processing 31, 2022 (arXiv 2010.12138). The
overview figure is the network: backbone and neck, a reciprocal network on each of three levels
that splits its features between the two tasks, detection heads at strides 8, 16 and 32, and one
scale-aware attention network that fuses the three levels into an identity map of stride 8.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import box_convert

from mottool.checkpoints.fitting import dimension, fit
from mottool.errors import SettingError
from mottool.models.backbones.csp import C3Block, CSPBackbone, CSPBlock, PathAggregation
from mottool.models.candidates import candidates
from mottool.models.centre_heads import at_centres
from mottool.models.cluster_nms import cluster_nms, diou
from mottool.models.device import to_host
from mottool.models.grid import cell_grid
from mottool.models.interfaces import Decoded
from mottool.models.reciprocal import ReciprocalNetwork, split_features
from mottool.models.scale_attention import BasicHead, ScaleAwareAttention

__all__ = ["ANCHORS", "PIPELINES", "SIZES", "STRIDES", "CSTrack", "Structure", "map_tensor_name"]

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

# The last weights of the embeddings under our names: of SAAN, or of the basic head.
EMBEDDINGS = ("attention.embed.weight", "identity.levels.0.weight")

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


@dataclass(frozen=True)
class Structure:
    """Which parts the network consists of, for the rows of the paper's tables.

    `form` is `code`, the structure of the authors' code with 78.9 M parameters, or `paper`, that of
    the text: REN and SAAN as written and YOLOv5's blocks of release 4.0, which together have the
    74.6 M parameters that the paper prints. `relation` is `ren`, `cnn` or `none` (Table II). `head`
    is `saan` or `basic`. `level` and `fused` are SAAN's attentions, `sam` and `cam`, of each level
    and after their concatenation (Table III).
    """

    form: str = "code"
    relation: str = "ren"
    head: str = "saan"
    level: tuple[str, ...] = ("sam",)
    fused: tuple[str, ...] = ("cam",)

    @classmethod
    def of(cls, tensors: Collection[str]) -> Self:
        """Return the structure of a network with such tensor names, which are ours."""

        def has(part: str) -> bool:
            return any(part in name for name in tensors)

        relations = {"ren": "relations.0.identity_map", "cnn": "relations.0.identity_convolutions"}
        inside = {"sam": ".window.", "cam": ".weigh."}
        at_levels = [name for name in tensors if name.startswith("attention.levels.0.")]
        fused = {"sam": "attention.cells.", "cam": "attention.channels."}
        return cls(
            form="code" if has("backbone.stage2.1.cv4.") else "paper",
            relation=next((kind for kind, part in relations.items() if has(part)), "none"),
            head="basic" if has("identity.levels.0.") else "saan",
            level=tuple(
                kind for kind, part in inside.items() if any(part in name for name in at_levels)
            ),
            fused=tuple(kind for kind, part in fused.items() if has(part)),
        )


class CSTrack(nn.Module):
    """CSTrack for letterboxed RGB images in [0, 1], of any size in multiples of 32.

    `forward` returns

    detection_8, _16, _32 (B, 18, H/s, W/s): for each of three anchors the logits of the box's
        centre x, y and size w, h, of objectness, and of the class person;
    identity (B, D, H/8, W/8): the embedding of each cell, not normalised;
    identity_16, identity_32 (B, D, H/s, W/s), with the basic head only: those of the coarser
        levels, where `identity` is that of the finest.

    Batch norm has epsilon 1e-3, as in YOLOv5.
    """

    anchors: Tensor

    def __init__(
        self,
        width: float = 1.0,
        depth: float = 1.0,
        embedding_size: int = 512,
        structure: Structure | None = None,
    ) -> None:
        """Create the network with random weights.

        `width` scales the channels of backbone and neck, and `depth` their layers: 0.3 is
        CSTrack-S. The attention network keeps its width, as in the authors' code. `structure` is by
        default the authors'.
        """
        super().__init__()
        structure = structure or Structure()
        block = CSPBlock if structure.form == "code" else C3Block
        self.embedding_size = embedding_size
        self.backbone = CSPBackbone(width, depth, block)
        channels = self.backbone.channels
        self.neck = PathAggregation(channels, depth, block)
        self.relations = nn.ModuleList(
            split_features(structure.relation, inside, structure.form) for inside in channels
        )
        self.basic = structure.head == "basic"
        if self.basic:
            self.identity = BasicHead(channels, embedding_size)
        else:
            self.attention = ScaleAwareAttention(
                channels, embedding_size, structure.form, structure.level, structure.fused
            )
        self.detection = nn.ModuleList(nn.Conv2d(inside, 3 * 6, 1) for inside in channels)
        self.register_buffer("anchors", torch.tensor(ANCHORS).float().view(3, 1, 3, 1, 1, 2))
        self.reach = nn.Parameter(torch.full((1,), CENTRED_REACH))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the raw heads of images (B, 3, H, W).

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
        embed = self.identity if self.basic else self.attention
        heads |= embed(identity_features)
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
            cell = cell_grid(*grid, head.device)  # (h, w, 2)
            offset = 2 * centre - 0.5 if centred else (centre - 0.5) * self.reach
            box = torch.cat(((offset + cell) * stride, (2 * size).square() * anchors), dim=-1)
            boxes.append(box.flatten(1, 3))  # (B, 3hw, 4) centre and size
            levels.append(scores.flatten(1, 3))  # (B, 3hw, 2)
        objectness, person = torch.cat(levels, dim=1).unbind(-1)
        return box_convert(torch.cat(boxes, dim=1), "cxcywh", "xyxy"), objectness, person

    def decode(self, heads: dict[str, Tensor], min_score: float) -> list[Decoded]:
        """Decode people whose objectness × person score exceeds `min_score`, best first.

        At most 300 remain after cluster-DIoU NMS. The embedding is that of the cell of the box's
        centre, or of the nearest cell outside the map; with the basic head on the level that
        detected the box. It is L2-normalised here; the authors' tracker normalises it later.
        """
        all_boxes, objectness, person = self.proposals(heads)
        anchors = [3 * heads[f"detection_{stride}"][0, 0].numel() for stride in STRIDES]
        ends = torch.tensor(anchors).cumsum(0)
        people, levels = [], []
        for rows, scores, boxes in candidates(objectness * person, min_score, all_boxes):
            best = cluster_nms(boxes, scores, MAX_OVERLAP, MAX_PEOPLE, diou)
            people.append((boxes[best], scores[best], torch.zeros_like(best)))
            levels.append(torch.bucketize(rows[best], ends, right=True))
        sizes = [len(level) for level in levels]
        of_all = torch.cat([boxes for boxes, _, _ in people]), torch.cat(levels)
        at, on = (torch.split(part.to(all_boxes.device), sizes) for part in of_all)
        parts = enumerate(zip(at, on, strict=True))
        embeddings = to_host([self._embeddings(heads, image, *part) for image, part in parts])
        return [Decoded(*each, rows) for each, rows in zip(people, embeddings, strict=True)]

    def embed_at(self, heads: dict[str, Tensor], boxes: Sequence[Tensor]) -> list[Tensor]:
        """Read the L2-normalised embeddings (n, D) of each image's boxes (n, 4), as `decode`.

        With the basic head they are read on the level of the anchor whose sides differ least, by
        the largest ratio of a box's side and the anchor's.
        """
        return [
            self._embeddings(heads, image, rows, self._levels(rows))
            for image, rows in enumerate(boxes)
        ]

    def _levels(self, boxes: Tensor) -> Tensor:
        """Return the index of the level (n,) whose anchors are most similar to boxes (n, 4)."""
        sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)  # (n, 2)
        ratio = sides[:, None, None] / self.anchors.view(3, 3, 2)  # (n, 3, 3, 2)
        return torch.maximum(ratio, 1 / ratio).amax(-1).amin(-1).argmin(-1)

    def _embeddings(
        self, heads: dict[str, Tensor], image: int, boxes: Tensor, levels: Tensor
    ) -> Tensor:
        """Read the L2-normalised embeddings (n, D) of an image's boxes on their `levels`."""
        embeddings = at_centres(heads["identity"][image], boxes, IDENTITY_STRIDE)  # (n, D)
        for level, stride in enumerate(STRIDES):
            if f"identity_{stride}" in heads:
                of_level = at_centres(heads[f"identity_{stride}"][image], boxes, stride)
                embeddings = torch.where((levels == level)[:, None], of_level, embeddings)
        return F.normalize(embeddings, dim=1)

    def details(self) -> dict[str, object]:
        """Return the learned weights of self-relation (λ in Eq. 4), by stride, for `inspect`."""
        shares = {
            f"lambda_{number}_{stride}": round(relation.get_parameter(name).item(), 5)
            for number, name in enumerate(("detection_share", "identity_share"), 1)
            for stride, relation in zip(STRIDES, self.relations, strict=True)
            if isinstance(relation, ReciprocalNetwork)
        }
        return {**shares}

    @classmethod
    def from_checkpoint(cls, tensors: Mapping[str, Tensor], pipeline: str | None = None) -> Self:
        """Build one of `PIPELINES` with the tensors of a checkpoint.

        Without a `pipeline` it is identified by their shapes. The authors' names and ours are
        accepted; the structure of files with ours is identified by their names. Raises
        `CheckpointError` with the names that are missing, unknown or of another shape.
        """
        named = {map_tensor_name(name): tensor for name, tensor in tensors.items()}
        channels = dimension(named, "backbone.stem.conv.conv.weight", axis=0, default=64)
        first = PIPELINES[pipeline] if pipeline else channels
        embeds = [name for name in EMBEDDINGS if name in tensors]
        structure = Structure.of(tensors) if embeds else None
        name = embeds[0] if embeds else EMBEDDINGS[0]
        embedding_size = dimension(named, name, axis=0, default=512)
        network = cls(*SIZES.get(first, SIZES[64]), embedding_size, structure)
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
