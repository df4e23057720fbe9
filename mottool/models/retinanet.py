"""Parts of RetinaNet: a pyramid of levels 3 to 7, anchors, box coding and shared subnets.

Lin et al., Focal Loss for Dense Object Detection, ICCV 2017 (below "RetinaNet"), on Lin et al.,
Feature Pyramid Networks for Object Detection, CVPR 2017 (below "FPN"). Level l has stride 2^l.
Everything that counts anchors does so level by level, then row by row, cell by cell, and shape by
shape within a cell: that is the order of the `N` axis.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import get_model
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.ops import FeaturePyramidNetwork, nms
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

__all__ = [
    "BACKBONES",
    "LEVELS",
    "PYRAMID_CHANNELS",
    "AnchorShapes",
    "BottomUpPyramid",
    "Subnet",
    "boxes_from_deltas",
    "deltas_from_boxes",
    "level_pyramid",
    "per_anchor",
    "stage_maps",
    "select_detections",
]

LEVELS = (3, 4, 5, 6, 7)
PYRAMID_CHANNELS = 256  # RetinaNet §4, "all pyramid levels have C = 256 channels"

# torchvision's classifiers: which nodes end the stages of stride 8, 16 and 32, their channels.
BACKBONES = {
    "resnet34": (("layer2", "layer3", "layer4"), (128, 256, 512)),
    "resnet50": (("layer2", "layer3", "layer4"), (512, 1024, 2048)),
    "mobilenet_v2": (("features.6", "features.13", "features.18"), (32, 96, 1280)),
}

# Keeps exp() of an untrained box head finite: no box over 1000 pixels from a 16-pixel anchor.
_LARGEST_LOG_RATIO = math.log(1000 / 16)


def stage_maps(backbone: str) -> nn.Module:
    """Create the trunk of one of `BACKBONES` with random weights, without its classifier.

    Images (B, 3, H, W) become a dict of the maps C3, C4, C5 at strides 8, 16, 32 under the keys
    "3", "4", "5". Parameters keep torchvision's names, so its ImageNet weights fit.
    """
    nodes, _ = BACKBONES[backbone]
    classifier = get_model(backbone, weights=None)
    returned = {node: str(level) for node, level in zip(nodes, LEVELS, strict=False)}
    trunk: nn.Module = create_feature_extractor(classifier, returned)
    return trunk


def level_pyramid(backbone: str, top_down: bool) -> nn.Module:
    """Create the pyramid: from `stage_maps` to five maps (B, 256, H/2^l, W/2^l), rounded up.

    P6 is a 3×3 convolution of stride 2 on C5, P7 another one on the rectified P6 (RetinaNet §4,
    footnote 2). Without `top_down` the levels do not exchange anything: `BottomUpPyramid`.
    """
    _, channels = BACKBONES[backbone]
    coarse = LastLevelP6P7(channels[-1], PYRAMID_CHANNELS)
    kind = FeaturePyramidNetwork if top_down else BottomUpPyramid
    pyramid: nn.Module = kind(list(channels), PYRAMID_CHANNELS, coarse)
    return pyramid


class BottomUpPyramid(nn.Module):
    """The pyramid without its top-down pathway: FPN §5.1.1, Table 1 (d).

    Each stage has a 1×1 lateral convolution, so that subnets can be shared between levels, and
    a 3×3 one, as in the whole FPN; only the sums with the coarser level are left out.
    """

    def __init__(self, channels: Sequence[int], out_channels: int, coarse: nn.Module) -> None:
        """Create it for `channels` of C3, C4, C5; `coarse` adds P6 and P7 (`LastLevelP6P7`)."""
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(size, out_channels, 1) for size in channels)
        self.output = nn.ModuleList(
            nn.Conv2d(out_channels, out_channels, 3, padding=1) for _ in channels
        )
        for convolution in [*self.lateral, *self.output]:
            nn.init.kaiming_uniform_(convolution.weight, a=1)
            nn.init.zeros_(convolution.bias)
        self.coarse = coarse

    def forward(self, stages: dict[str, Tensor]) -> dict[str, Tensor]:
        """Map C3, C4, C5 to P3 … P7, by name."""
        maps = list(stages.values())
        levels = [
            output(lateral(stage))
            for lateral, output, stage in zip(self.lateral, self.output, maps, strict=True)
        ]
        levels, names = self.coarse(levels, maps, list(stages))
        return dict(zip(names, levels, strict=True))


class Subnet(nn.Module):
    """RetinaNet's class or box subnet (§4): 3×3 convolutions with ReLU, then the prediction.

    One subnet serves every level. The last bias starts at `bias`: -log((1 - π) / π) makes an
    untrained class subnet score π everywhere (§4.1).
    """

    def __init__(self, width: int, outputs: int, depth: int = 4, bias: float = 0.0) -> None:
        """Create `depth` convolutions of `width` channels and one with `outputs` channels."""
        super().__init__()
        sizes = [PYRAMID_CHANNELS] + [width] * depth
        self.tower = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1)
            for before, after in zip(sizes, sizes[1:], strict=False)
        )
        self.prediction = nn.Conv2d(width, outputs, 3, padding=1)
        convolutions, biases = [*self.tower, self.prediction], [0.0] * depth + [bias]
        for convolution, start in zip(convolutions, biases, strict=True):
            nn.init.normal_(convolution.weight, std=0.01)  # §4.1, "Initialization"
            nn.init.constant_(convolution.bias, start)

    def forward(self, level: Tensor) -> Tensor:
        """Map a level (B, 256, h, w) to predictions (B, outputs, h, w)."""
        for convolution in self.tower:
            level = F.relu(convolution(level))
        prediction: Tensor = self.prediction(level)
        return prediction


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
        """Create the anchors of maps of `cells` (h, w) at `strides`, centred on their cells.

        (N, 4) float32 x1 y1 x2 y2 in network pixels; they may reach beyond the image.
        """
        halves = torch.tensor(
            [
                (scale * math.sqrt(ratio), scale / math.sqrt(ratio))
                for scale in self.scales
                for ratio in self.ratios
            ],
            device=device,
        ) * (self.size / 2)  # (A, 2), in strides
        levels = []
        for (height, width), stride in zip(cells, strides, strict=True):
            y, x = torch.meshgrid(
                torch.arange(height, device=device) + 0.5,
                torch.arange(width, device=device) + 0.5,
                indexing="ij",
            )
            centres = torch.stack((x, y), dim=-1).reshape(-1, 1, 2)  # (h·w, 1, 2)
            corners = torch.cat((centres - halves, centres + halves), dim=-1)  # (h·w, A, 4)
            levels.append(corners.reshape(-1, 4) * stride)
        return torch.cat(levels)  # (N, 4)


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
    min_score: float,
    max_iou: float,
    most: int,
    per_level: int = 1000,
) -> Tensor:
    """Select the anchors that are the detections of an image: rows (n,) int64, best first.

    `boxes` (N, 4) and `scores` (N,) of all levels, `counts` anchors on each. At most `per_level`
    of each level that score above `min_score` go together into non-maximum suppression at IoU
    `max_iou`, and `most` of those that are left are kept (RetinaNet §4.1, "Inference").
    """
    rows = []
    start = 0
    for level in torch.split(scores, list(counts)):
        best, where = level.topk(min(per_level, len(level)))
        rows.append(where[best > min_score] + start)
        start += len(level)
    row = torch.cat(rows)
    return row[nms(boxes[row], scores[row], max_iou)[:most]]
