"""Parts of RetinaNet: a pyramid of levels, anchors, box coding and shared subnets.

Lin et al., Focal Loss for Dense Object Detection, ICCV 2017 (below "RetinaNet"), on Lin et al.,
Feature Pyramid Networks for Object Detection, CVPR 2017 (below "FPN"). Where TDT's paper is silent,
this is the form of Google's published RetinaNet (tensorflow/models, official/vision/detection),
whose constants are the paper's: batch norm after every level of the pyramid and after every
convolution of the subnets, with statistics of its own on each level. Level l has stride 2^l.
Everything that counts anchors does so level by level, then row by row, cell by cell, and shape by
shape within a cell: that is the order of the `N` axis.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import get_model
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.ops import nms

from mottool.models.backbones.mobilenet_v1 import MobileNetV1
from mottool.models.grid import KEPT, cell_grid

__all__ = [
    "BACKBONES",
    "LAST_LEVEL",
    "PYRAMID_CHANNELS",
    "AnchorShapes",
    "BottomUpPyramid",
    "Subnet",
    "TopDownPyramid",
    "boxes_from_deltas",
    "deltas_from_boxes",
    "level_norms",
    "level_pyramid",
    "per_anchor",
    "select_detections",
    "stage_maps",
    "top_candidates",
]

LAST_LEVEL, LAST_STAGE = 7, 5
PYRAMID_CHANNELS = 256  # RetinaNet §4, "all pyramid levels have C = 256 channels"

# The nodes of torchvision's classifiers that end the stages of stride 4, 8, 16 and 32, and the
# channels of the stages.
BACKBONES: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "resnet34": (("layer1", "layer2", "layer3", "layer4"), (64, 128, 256, 512)),
    "resnet50": (("layer1", "layer2", "layer3", "layer4"), (256, 512, 1024, 2048)),
    "mobilenet_v1": ((), (128, 256, 512, 1024)),
    "mobilenet_v2": (
        ("features.3", "features.6", "features.13", "features.18"),
        (24, 32, 96, 1280),
    ),
}

# Keeps exp() of an untrained box head finite: no box over 1000 pixels from a 16-pixel anchor.
_LARGEST_LOG_RATIO = math.log(1000 / 16)


def stage_maps(backbone: str, levels: Sequence[int]) -> nn.Module:
    """Create the trunk of one of `BACKBONES` with random weights, without its classifier.

    Images (B, 3, H, W) become a dict of maps at stride 2^l, with the key "l", for at least those
    `levels` that are stages of the backbone (2 to 5). Parameters of all but MobileNet v1 keep
    torchvision's names, so its ImageNet weights fit.
    """
    if backbone == "mobilenet_v1":
        return MobileNetV1()
    nodes, _ = BACKBONES[backbone]
    classifier = get_model(backbone, weights=None)
    stages = enumerate(nodes, 2)
    returned = {node: str(level) for level, node in stages if level in levels}
    trunk: nn.Module = create_feature_extractor(classifier, returned)
    return trunk


def level_norms(channels: int, levels: int) -> nn.ModuleList:
    """Create a batch norm for each of a number of levels."""
    return nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(levels))


def level_pyramid(backbone: str, levels: Sequence[int], top_down: bool) -> nn.Module:
    """Create the pyramid: from `stage_maps` to a map (B, 256, H/2^l, W/2^l) of each level.

    Sizes are rounded up. `levels` are consecutive. Without `top_down` the levels of the backbone do
    not exchange anything: `BottomUpPyramid`.
    """
    _, channels = BACKBONES[backbone]
    kind = TopDownPyramid if top_down else BottomUpPyramid
    return kind(levels, channels[levels[0] - 2 :])


class BottomUpPyramid(nn.Module):
    """The pyramid without its top-down pathway: FPN §5.1.1, Table 1 (d).

    Each stage has a 1×1 lateral convolution, so that subnets can be shared between levels, and
    a 3×3 one, as in the whole FPN; only the sums with the coarser level are left out.

    As in Google's RetinaNet, P6 is a 3×3 convolution of stride 2 on P5, and P7 another one on the
    rectified P6. Each level ends in batch norm.
    """

    def __init__(self, levels: Sequence[int], channels: Sequence[int]) -> None:
        """Create it for `levels`, of which the first have `channels` in the backbone."""
        super().__init__()
        width = PYRAMID_CHANNELS
        self.levels = tuple(levels)
        self.separate = self._laterals(channels)
        self.output = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in channels)
        coarse = len(levels) - len(channels)
        self.coarse = nn.ModuleList(
            nn.Conv2d(width, width, 3, stride=2, padding=1) for _ in range(coarse)
        )
        self.norm = level_norms(width, len(levels))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)  # Keras's default
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # a Tensor

    @staticmethod
    def _laterals(channels: Sequence[int]) -> nn.ModuleList:
        return nn.ModuleList(nn.Conv2d(size, PYRAMID_CHANNELS, 1) for size in channels)

    def forward(self, stages: dict[str, Tensor]) -> list[Tensor]:
        """Map the stages to the levels, finest first."""
        maps = [stages[str(level)] for level in self.levels if level <= LAST_STAGE]
        levels = [
            output(lateral) for output, lateral in zip(self.output, self.merge(maps), strict=True)
        ]
        for number, convolution in enumerate(self.coarse):
            levels.append(convolution(F.relu(levels[-1]) if number else levels[-1]))
        return [norm(level) for norm, level in zip(self.norm, levels, strict=True)]

    def merge(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Map the stages to 256 channels each."""
        return [lateral(stage) for lateral, stage in zip(self.separate, maps, strict=True)]


class TopDownPyramid(BottomUpPyramid):
    """The pyramid of FPN, Fig. 3: each level is added, enlarged twofold, to the finer one."""

    def __init__(self, levels: Sequence[int], channels: Sequence[int]) -> None:
        """Create it as `BottomUpPyramid`; its lateral convolutions are called `lateral`."""
        super().__init__(levels, channels)
        self.lateral = self.separate
        del self.separate

    def merge(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Map the stages to 256 channels and add the coarser levels, nearest neighbours."""
        merged = [lateral(stage) for lateral, stage in zip(self.lateral, maps, strict=True)]
        for finer in range(len(merged) - 2, -1, -1):
            size = merged[finer].shape[2:]
            merged[finer] = merged[finer] + F.interpolate(merged[finer + 1], size)
        return merged


class Subnet(nn.Module):
    """RetinaNet's class or box subnet (§4): 3×3 convolutions, then the prediction.

    One subnet serves every level. Each convolution is followed by a batch norm of the level and by
    ReLU. The last bias starts at `bias`: -log((1 - π) / π) makes an untrained class subnet score π
    everywhere (§4.1). Initial weights are those of Google's code, as RetinaNet's (0.01) but for the
    last layer.
    """

    def __init__(
        self, levels: int, width: int, outputs: int, depth: int = 4, bias: float = 0.0
    ) -> None:
        """Create `depth` convolutions of `width` channels and one with `outputs` channels."""
        super().__init__()
        sizes = [PYRAMID_CHANNELS] + [width] * depth
        self.tower = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1)
            for before, after in zip(sizes, sizes[1:], strict=False)
        )
        self.norms = nn.ModuleList(level_norms(width, levels) for _ in range(depth))
        self.prediction = nn.Conv2d(width, outputs, 3, padding=1)
        for convolution in self.tower:
            nn.init.normal_(convolution.weight, std=0.01)  # type: ignore[arg-type]  # a Tensor
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
        nn.init.normal_(self.prediction.weight, std=1e-5)
        nn.init.constant_(self.prediction.bias, bias)  # type: ignore[arg-type]

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Map each level (B, 256, h, w) to predictions (B, outputs, h, w)."""
        predictions = []
        for number, level in enumerate(levels):
            for convolution, norms in zip(self.tower, self.norms, strict=True):
                level = F.relu(norms[number](convolution(level)))  # type: ignore[index]
            predictions.append(self.prediction(level))
        return predictions


def per_anchor(levels: Sequence[Tensor], shapes: int) -> Tensor:
    """Concatenate the predictions of all levels in the order of the anchors.

    Each level is (B, shapes · K, h, w), K values for the first shape, then for the next; the
    result is (B, N, K), N = shapes · Σ h · w.
    """
    flat = [
        level.permute(0, 2, 3, 1).reshape(len(level), -1, level.shape[1] // shapes)
        for level in levels
    ]
    return torch.cat(flat, dim=1)  # (B, N, K)


@dataclass(frozen=True)
class AnchorShapes:
    """The anchor shapes of every cell: each of `scales` with each of `ratios`, ratios first.

    At scale 1 and ratio 1 an anchor is a square of `size` strides; a ratio is width / height and
    leaves the area as it is. The default scales are RetinaNet's (§4, "Anchors"): thirds of an
    octave, areas from 32² at level 3 to 512² at level 7.
    """

    ratios: tuple[float, ...]
    scales: tuple[float, ...] = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
    size: float = 4.0

    def __len__(self) -> int:
        return len(self.scales) * len(self.ratios)

    def boxes(
        self,
        cells: Sequence[tuple[int, int]],
        strides: Sequence[int],
        device: torch.device | None = None,
    ) -> Tensor:
        """Return the anchors of maps of `cells` (h, w) at `strides`, centred on their cells.

        (N, 4) float32 x1 y1 x2 y2 in network pixels; they may reach beyond the image. They are
        computed once, and not to be changed.
        """
        sizes = tuple((int(h), int(w)) for h, w in cells)  # they are tensors while one traces
        return _anchors(self, sizes, tuple(strides), device or torch.get_default_device())


@lru_cache(KEPT)
@torch.inference_mode(False)
def _anchors(
    shapes: AnchorShapes,
    cells: tuple[tuple[int, int], ...],
    strides: tuple[int, ...],
    device: torch.device,
) -> Tensor:
    """Compute `AnchorShapes.boxes` on the CPU, and copy them to the device (see `cell_grid`)."""
    cpu = torch.device("cpu")
    halves = torch.tensor(
        [
            (scale * math.sqrt(ratio), scale / math.sqrt(ratio))
            for scale in shapes.scales
            for ratio in shapes.ratios
        ],
        device=cpu,
    ) * (shapes.size / 2)  # (A, 2), in strides
    levels = []
    for (height, width), stride in zip(cells, strides, strict=True):
        centres = cell_grid(height, width, cpu).reshape(-1, 1, 2) + 0.5  # (h·w, 1, 2)
        corners = torch.cat((centres - halves, centres + halves), dim=-1)  # (h·w, A, 4)
        levels.append(corners.reshape(-1, 4) * stride)
    return torch.cat(levels).to(device)  # (N, 4)


def deltas_from_boxes(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Encode `boxes` (..., 4) relative to `anchors` (..., 4): the targets of the box subnet.

    Shift of the centre in anchor sides, then the logarithm of the ratio of the sides (Girshick et
    al., Rich Feature Hierarchies, CVPR 2014, appendix C). Both are x1 y1 x2 y2 with an area.
    """
    (centre, side), (anchor_centre, anchor_side) = _centre_side(boxes), _centre_side(anchors)
    shift = (centre - anchor_centre) / anchor_side
    return torch.cat((shift, torch.log(side / anchor_side)), dim=-1)


def boxes_from_deltas(deltas: Tensor, anchors: Tensor) -> Tensor:
    """Decode the output of the box subnet to boxes (..., 4) float32 x1 y1 x2 y2.

    Boxes are not clipped to the image: MOTChallenge annotates people beyond its edge.
    """
    deltas = deltas.float()
    anchor_centre, anchor_side = _centre_side(anchors)
    centre = anchor_centre + deltas[..., :2] * anchor_side
    half = anchor_side * torch.exp(deltas[..., 2:].clamp(max=_LARGEST_LOG_RATIO)) / 2
    return torch.cat((centre - half, centre + half), dim=-1)


def _centre_side(boxes: Tensor) -> tuple[Tensor, Tensor]:
    first, last = boxes[..., :2], boxes[..., 2:]
    return (first + last) / 2, last - first


def select_detections(
    boxes: Tensor,
    scores: Tensor,
    counts: Sequence[int],
    max_iou: float,
    most: int,
    per_level: int = 1000,
) -> Tensor:
    """Select the candidates that are the detections of an image: rows (n,) int64, best first.

    `boxes` (N, 4) and `scores` (N,) are candidates of all levels, `counts` of each. At most
    `per_level` of each level go together into non-maximum suppression at IoU `max_iou`, and `most`
    of those that are left are kept (RetinaNet §4.1, "Inference").
    """
    row = top_candidates(scores, counts, per_level)
    return row[nms(boxes[row], scores[row], max_iou)[:most]]


def top_candidates(scores: Tensor, counts: Sequence[int], per_level: int = 1000) -> Tensor:
    """Select the candidates that non-maximum suppression compares: rows (n,) int64.

    Of each level, with `counts` candidates, these are the best `per_level` by their scores (N,).
    """
    rows = []
    start = 0
    for level in torch.split(scores, list(counts)):
        best = torch.arange(len(level))
        if len(level) > per_level:
            best = level.topk(per_level).indices
        rows.append(best + start)
        start += len(level)
    return torch.cat(rows)
