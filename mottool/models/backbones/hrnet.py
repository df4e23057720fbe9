"""HRNet: parallel branches of four resolutions with repeated exchange (HRNetV2).

Wang et al., "Deep high-resolution representation learning for visual recognition", TPAMI 2020,
Fig. 2 and Fig. 4b, with the widths 18 and 32 of FairMOT's Table 2.
"""

import re
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from mottool.models.backbones.backbone import Backbone

__all__ = ["HRNet18", "HRNet32"]

BLOCKS = 4  # residual blocks of a branch between two exchanges, and of the stem's stage


class HRNet(Backbone):
    """Features (B, 15·`width`, H/4, W/4) of images (B, 3, H, W), H and W multiples of 32."""

    width: ClassVar[int]
    stride = 4

    def __init__(self) -> None:
        """Create the backbone with random weights."""
        super().__init__()
        widths = [self.width * 2**branch for branch in range(4)]
        self.channels = sum(widths)
        self.stem = nn.Sequential(*conv_norm(3, 64), nn.ReLU(), *conv_norm(64, 64), nn.ReLU())
        widen = nn.Sequential(nn.Conv2d(64, 256, 1, bias=False), nn.BatchNorm2d(256))
        self.layer1 = nn.Sequential(
            Bottleneck(64, 64, downsample=widen), *(Bottleneck(256, 64) for _ in range(BLOCKS - 1))
        )
        self.first = branch_start(256, widths[0], stride=1)
        self.second = branch_start(256, widths[1])
        self.third = branch_start(widths[1], widths[2])
        self.fourth = branch_start(widths[2], widths[3])
        self.stage2 = nn.Sequential(Exchange(widths[:2]))
        self.stage3 = nn.Sequential(*(Exchange(widths[:3]) for _ in range(4)))
        self.stage4 = nn.Sequential(*(Exchange(widths) for _ in range(3)))

    def forward(self, images: Tensor) -> Tensor:
        """Compute the features: each stage adds a branch, and all are concatenated at the end."""
        x = self.layer1(self.stem(images))
        maps = self.stage2([self.first(x), self.second(x)])
        maps = self.stage3([*maps, self.third(maps[-1])])
        maps = self.stage4([*maps, self.fourth(maps[-1])])
        size = maps[0].shape[-2:]
        return torch.cat([F.interpolate(m, size, mode="bilinear") for m in maps], 1)

    @staticmethod
    def map_tensor_name(name: str) -> str | None:
        """Map a tensor name of the authors' pose_hrnet files to ours."""
        for theirs, ours in (
            (r"conv1\.", "stem.0."),
            (r"bn1\.", "stem.1."),
            (r"conv2\.", "stem.3."),
            (r"bn2\.", "stem.4."),
            (r"transition1\.0\.", "first."),
            (r"transition1\.1\.0\.", "second."),
            (r"transition2\.2\.0\.", "third."),
            (r"transition3\.3\.0\.", "fourth."),
            (r"(layer1|stage\d)\.", r"\g<0>"),
        ):
            if re.match(theirs, name):
                return re.sub(theirs, ours, name, count=1)
        return None


class HRNet18(HRNet):
    """HRNet with 18, 36, 72 and 144 channels."""

    width = 18


class HRNet32(HRNet):
    """HRNet with 32, 64, 128 and 256 channels."""

    width = 32


class Exchange(nn.Module):
    """Residual blocks on every branch, then an exchange: each branch becomes a sum of all."""

    def __init__(self, widths: list[int]) -> None:
        """Create the stage; `widths` are the channels of the branches, finest first."""
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(width, width) for _ in range(BLOCKS))) for width in widths
        )
        self.fuse_layers = nn.ModuleList(Fuse(widths, to) for to in range(len(widths)))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Map (B, widths[i], h/2^i, w/2^i) to the same shapes."""
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        return [fuse(maps) for fuse in self.fuse_layers]


class Fuse(nn.ModuleList):
    """Sum of all branches, each with the channels and resolution of branch `to`."""

    def __init__(self, widths: list[int], to: int) -> None:
        """Create the module; `widths` are the channels of the branches."""
        super().__init__(passage(widths, source, to) for source in range(len(widths)))

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Combine the maps of all branches to the next map (B, widths[to], h, w)."""
        parts = [pass_on(x) for pass_on, x in zip(self, maps, strict=True)]
        return torch.stack(parts).sum(0).relu()


def passage(widths: list[int], source: int, to: int) -> nn.Module:
    """Create the layers that map branch `source` to the channels and resolution of `to`."""
    if source == to:
        return nn.Identity()
    if source > to:
        reduce = nn.Conv2d(widths[source], widths[to], 1, bias=False)
        enlarge = nn.Upsample(scale_factor=2 ** (source - to), mode="nearest")
        return nn.Sequential(reduce, nn.BatchNorm2d(widths[to]), enlarge)
    halvings = [branch_start(widths[source], widths[source]) for _ in range(to - source - 1)]
    return nn.Sequential(*halvings, conv_norm(widths[source], widths[to]))


def conv_norm(inputs: int, outputs: int, stride: int = 2) -> nn.Sequential:
    """3x3 convolution and batch normalisation."""
    conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


def branch_start(inputs: int, outputs: int, stride: int = 2) -> nn.Sequential:
    """3x3 convolution, batch normalisation, ReLU."""
    return conv_norm(inputs, outputs, stride).append(nn.ReLU())
