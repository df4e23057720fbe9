"""DLA-34 with iterative deep aggregation by deformable convolutions: stride 4, 64 channels.

The trunk is deep layer aggregation (Yu, Wang, Shelhamer & Darrell, CVPR 2018, Fig. 3 and
Table 1); the way back up is "DLA-up" as CenterNet changed it (Zhou, Wang & Krähenbühl 2019,
Fig. 6d): more skip connections, and every convolution of an up-sampling step deformable.
"""

import re
from collections.abc import Sequence
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mottool.models.backbones.backbone import Backbone
from mottool.models.backbones.deformable import DeformableBlock, bilinear_

__all__ = ["DLA34", "DLA34Stride2", "DLA34Stride8", "DLATrunk", "conv_norm_relu"]

CHANNELS = (16, 32, 64, 128, 256, 512)  # of levels 0 to 5, at strides 1, 2, 4, 8, 16, 32
PREFIXES = {"base": "trunk", "dla_up": "pyramid", "ida_up": "merge"}  # the authors' and ours


class DLA34(Backbone):
    """Features (B, `channels`, H/`stride`, W/`stride`) of images (B, 3, H, W).

    H and W must be multiples of 32.
    """

    # In the authors' files, but no feature depends on them: the ImageNet classifier, and the
    # projections of two trees whose first subtree projects by itself.
    UNUSED = r"trunk\.(fc|level[34]\.project)\."

    def __init__(self, stride: int = 4) -> None:
        """`stride` is 2, 4 or 8 (FairMOT, Table 1)."""
        super().__init__()
        first = {2: 1, 4: 2, 8: 3}[stride]
        self.stride, self.channels, self.first = stride, CHANNELS[first], first
        self.trunk = DLATrunk()
        self.pyramid = PyramidUp(CHANNELS[first:])
        self.merge = AggregationUp(CHANNELS[first], CHANNELS[first:5], range(1, 5 - first))

    def forward(self, images: Tensor) -> Tensor:
        """Compute the features: trunk, pyramid, and the merged levels of the pyramid."""
        return self.merged(self.trunk(images))

    def merged(self, levels: list[Tensor]) -> Tensor:
        """Merge the six levels of the trunk into the features."""
        # Finest first; the coarsest, of stride 32, comes out unchanged.
        maps = self.pyramid(levels[self.first :])
        features: Tensor = self.merge(maps[:-1])[-1]
        return features

    @classmethod
    def with_channels(cls, channels: int) -> Self:
        """Return the variant with `channels` feature channels; stride 4 if there is none."""
        return cls({32: 2, 64: 4, 128: 8}.get(channels, 4))

    @staticmethod
    def map_tensor_name(name: str) -> str | None:
        """Map a tensor name of FairMOT, OUTrack or CenterTrack files to ours.

        Return None for a name that is not the backbone's.
        """
        prefix, _, rest = name.partition(".")
        if prefix not in PREFIXES:
            return None
        rest = re.sub(r"ida_(\d)", r"steps.\1", rest)
        rest = re.sub(r"(proj|up|node)_(\d)", lambda m: f"joins.{int(m[2]) - 1}.{m[1]}", rest)
        return f"{PREFIXES[prefix]}.{rest.replace('actf.0', 'norm')}"


class DLA34Stride2(DLA34):
    """DLA-34 with stride 2 and 32 channels."""

    def __init__(self) -> None:
        """Create the backbone; it is built by name, without arguments."""
        super().__init__(stride=2)

    @classmethod
    def with_channels(cls, channels: int) -> Self:
        """Return the stride-2 variant for any `channels`."""
        return cls()


class DLA34Stride8(DLA34):
    """DLA-34 with stride 8 and 128 channels."""

    def __init__(self) -> None:
        """Create the backbone; it is built by name, without arguments."""
        super().__init__(stride=8)

    @classmethod
    def with_channels(cls, channels: int) -> Self:
        """Return the stride-8 variant for any `channels`."""
        return cls()


class DLATrunk(nn.Module):
    """The trunk: a stem, two plain levels and four levels of trees."""

    def __init__(self) -> None:
        """Create DLA-34, with trees of depth 1, 2, 2 and 1."""
        super().__init__()
        self.base_layer = conv_norm_relu(3, 16, 7)
        self.level0 = conv_norm_relu(16, 16, 3)
        self.level1 = conv_norm_relu(16, 32, 3, stride=2)
        self.level2 = Tree(32, 64, stride=2)
        self.level3 = DeepTree(64, 128)
        self.level4 = DeepTree(128, 256)
        self.level5 = Tree(256, 512, stride=2, earlier=256)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute the six levels (B, CHANNELS[i], H/2^i, W/2^i) of images (B, 3, H, W)."""
        return self.levels(self.base_layer(images))

    def levels(self, stem: Tensor) -> list[Tensor]:
        """Compute the six levels from the stem's output (B, 16, H, W)."""
        maps = [self.level0(stem)]
        for level in (self.level1, self.level2, self.level3, self.level4):
            maps.append(level(maps[-1]))
        maps.append(self.level5(maps[-1], halved(maps[-1])))
        return maps


class Tree(nn.Module):
    """Two residual blocks and the root that aggregates them, optionally with earlier maps."""

    def __init__(self, inputs: int, outputs: int, stride: int, earlier: int = 0) -> None:
        """Create the tree; `earlier` is the number of channels of the other inputs of the root."""
        super().__init__()
        self.tree1 = ResidualBlock(inputs, outputs, stride)
        self.tree2 = ResidualBlock(outputs, outputs)
        self.root = Root(2 * outputs + earlier, outputs)
        self.downsample = nn.MaxPool2d(stride) if stride > 1 else nn.Identity()
        self.project = conv_norm(inputs, outputs) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, *earlier: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H/stride, W/stride)."""
        one = self.tree1(x, self.project(self.downsample(x)))
        two = self.tree2(one, one)
        aggregated: Tensor = self.root(two, one, *earlier)
        return aggregated


class DeepTree(nn.Module):
    """Two trees; the root of the second also aggregates the first one's output and the input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Create the trees, which halve the resolution."""
        super().__init__()
        self.tree1 = Tree(inputs, outputs, stride=2)
        self.tree2 = Tree(outputs, outputs, stride=1, earlier=inputs + outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H/2, W/2)."""
        one = self.tree1(x)
        aggregated: Tensor = self.tree2(one, halved(x), one)
        return aggregated


class Root(nn.Module):
    """Aggregation node: 1x1 convolution over the concatenated maps (Yu et al., Eq. 3)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Create the node; `inputs` is the number of channels of all maps together."""
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, *maps: Tensor) -> Tensor:
        """Aggregate maps of one resolution to one map (B, outputs, H, W)."""
        y: Tensor = self.bn(self.conv(torch.cat(maps, 1))).relu()
        return y


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions; the residual is an argument, because the tree projects it."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        """Create the block; the first convolution has the stride."""
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        """Map (B, inputs, H, W) and the residual to (B, outputs, H/stride, W/stride)."""
        y: Tensor = self.bn1(self.conv1(x)).relu()
        y = (self.bn2(self.conv2(y)) + residual).relu()
        return y


class PyramidUp(nn.Module):
    """Aggregate every level into the next finer one, from the coarsest to the finest."""

    def __init__(self, channels: Sequence[int]) -> None:
        """Create the module for the `channels` of the levels, finest first, each half as large."""
        super().__init__()
        self.steps = nn.ModuleList()
        for i in range(len(channels) - 2, -1, -1):
            # What lies below level i has been brought to the channels and stride of level i+1.
            coarser = [channels[i + 1]] * (len(channels) - 1 - i)
            self.steps.append(
                AggregationUp(channels[i], (channels[i], *coarser), [1] * len(coarser))
            )

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Return maps of the same shapes as `levels`; each aggregates all coarser ones."""
        coarsest = levels[-1]
        column, finest = [coarsest], [coarsest]
        for finer, step in zip(reversed(levels[:-1]), self.steps, strict=True):
            column = step([finer, *column])
            finest.append(column[-1])
        return finest[::-1]


class AggregationUp(nn.Module):
    """Iterative deep aggregation (Yu et al., Fig. 3, "IDA") of coarser maps, one by one."""

    def __init__(self, outputs: int, channels: Sequence[int], octaves: Sequence[int]) -> None:
        """Create the module; `channels` are finest first, `octaves` are the levels of the maps."""
        super().__init__()
        self.joins = nn.ModuleList(
            Join(inputs, outputs, 2**octave)
            for inputs, octave in zip(channels[1:], octaves, strict=True)
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Return the finest map, then the result of each aggregation, all at its resolution."""
        joined = maps[:1]
        for join, coarse in zip(self.joins, maps[1:], strict=True):
            joined.append(join(coarse, joined[-1]))
        return joined


class Join(nn.Module):
    """One up-sampling step: project and enlarge the coarse map, add the fine one, smooth."""

    def __init__(self, inputs: int, outputs: int, factor: int) -> None:
        """Create the step; the coarse map has `inputs` channels and the fine map `outputs`."""
        super().__init__()
        self.proj = DeformableBlock(inputs, outputs)
        self.up = nn.ConvTranspose2d(
            outputs, outputs, 2 * factor, factor, factor // 2, groups=outputs, bias=False
        )
        self.node = DeformableBlock(outputs, outputs)
        bilinear_(self.up.weight)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Merge (B, inputs, h, w) into (B, outputs, h·factor, w·factor)."""
        y: Tensor = self.node(self.up(self.proj(coarse)) + fine)
        return y


def halved(x: Tensor) -> Tensor:
    """Halve the width and height of a map; each cell is the maximum of four."""
    return F.max_pool2d(x, 2)


def conv_norm(inputs: int, outputs: int) -> nn.Sequential:
    """1x1 convolution and batch normalisation."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))


def conv_norm_relu(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())
