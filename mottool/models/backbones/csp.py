"""YOLOv5's backbone and neck: cross-stage partial blocks, pyramid pooling, path aggregation.

Blocks after CSPNet (Wang et al., CVPRW 2020) and PANet (Liu et al., CVPR 2018, Fig. 1),
put together as in YOLOv5 (Jocher et al., release 3.0). Within a block the names are YOLOv5's
(`cv1`, `m`, `bn`), so that checkpoints of the family need renaming by stage only. `C3Block` is the
block of YOLOv5's release 4.0.
"""

from math import ceil
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "Bottleneck",
    "C3Block",
    "CSPBackbone",
    "CSPBlock",
    "CSPConv",
    "Focus",
    "PathAggregation",
    "SpatialPyramid",
    "doubled",
]

Pyramid = tuple[Tensor, Tensor, Tensor]


class CSPConv(nn.Module):
    """Convolution without bias, batch norm, and an activation: leaky ReLU of slope 0.1."""

    def __init__(self, inside: int, outside: int, kernel: int = 1, stride: int = 1) -> None:
        """Create the block for `inside` input and `outside` output channels.

        Padding keeps the size at stride 1.
        """
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False)
        self.bn = batch_norm(outside)
        self.activation: nn.Module = nn.LeakyReLU(0.1, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inside, H, W) to (B, outside, H/stride, W/stride)."""
        output: Tensor = self.activation(self.bn(self.conv(x)))
        return output


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Create batch norm with YOLOv5's epsilon, which checkpoints do not contain."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.03)


class Focus(nn.Module):
    """Move every second pixel to a channel of its own, then apply a 3x3 convolution."""

    def __init__(self, inside: int, outside: int) -> None:
        """Create the block for `inside` input and `outside` output channels."""
        super().__init__()
        self.conv = CSPConv(4 * inside, outside, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inside, H, W) to (B, outside, H/2, W/2)."""
        corners = [x[..., row::2, column::2] for column in (0, 1) for row in (0, 1)]
        output: Tensor = self.conv(torch.cat(corners, 1))  # of (B, 4 inside, H/2, W/2)
        return output


class Bottleneck(nn.Module):
    """A 1x1 and a 3x3 convolution, added to the input if `residual`."""

    def __init__(self, channels: int, residual: bool) -> None:
        """Create the block; no convolution changes the number of channels."""
        super().__init__()
        self.cv1 = CSPConv(channels, channels)
        self.cv2 = CSPConv(channels, channels, 3)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to the same shape."""
        y: Tensor = self.cv2(self.cv1(x))
        return x + y if self.residual else y


class CSPBlock(nn.Module):
    """Half of the channels pass `depth` bottlenecks; the other half bypasses them."""

    def __init__(self, inside: int, outside: int, depth: int, residual: bool = True) -> None:
        """Create the block for `inside` input and `outside` output channels."""
        super().__init__()
        half = outside // 2
        self.cv1 = CSPConv(inside, half)
        self.cv2 = nn.Conv2d(inside, half, 1, bias=False)
        self.cv3 = nn.Conv2d(half, half, 1, bias=False)
        self.cv4 = CSPConv(2 * half, outside)
        self.bn = batch_norm(2 * half)
        self.m = nn.Sequential(*(Bottleneck(half, residual) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inside, H, W) to (B, outside, H, W)."""
        both = torch.cat((self.cv3(self.m(self.cv1(x))), self.cv2(x)), 1)
        output: Tensor = self.cv4(F.leaky_relu(self.bn(both), 0.1, inplace=True))
        return output


class C3Block(nn.Module):
    """`CSPBlock` with three convolutions instead of four, as in YOLOv5's release 4.0."""

    def __init__(self, inside: int, outside: int, depth: int, residual: bool = True) -> None:
        """Create the block for `inside` input and `outside` output channels."""
        super().__init__()
        half = outside // 2
        self.cv1 = CSPConv(inside, half)
        self.cv2 = CSPConv(inside, half)
        self.cv3 = CSPConv(2 * half, outside)
        self.m = nn.Sequential(*(Bottleneck(half, residual) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inside, H, W) to (B, outside, H, W)."""
        output: Tensor = self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), 1))
        return output


class MakeBlock(Protocol):
    """`CSPBlock` or `C3Block`."""

    def __call__(self, inside: int, outside: int, depth: int, residual: bool = True) -> nn.Module:
        """Create a block."""


class SpatialPyramid(nn.Module):
    """Spatial pyramid pooling: maxima over 5x5, 9x9 and 13x13 windows, and the input."""

    WINDOWS = (5, 9, 13)

    def __init__(self, inside: int, outside: int) -> None:
        """Create the block for `inside` input and `outside` output channels."""
        super().__init__()
        half = inside // 2
        self.cv1 = CSPConv(inside, half)
        self.cv2 = CSPConv(half * (1 + len(self.WINDOWS)), outside)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inside, H, W) to (B, outside, H, W)."""
        x = self.cv1(x)
        pooled = [F.max_pool2d(x, size, 1, size // 2) for size in self.WINDOWS]
        output: Tensor = self.cv2(torch.cat([x, *pooled], 1))
        return output


class CSPBackbone(nn.Module):
    """Bottom-up path: features at strides 8, 16 and 32.

    `width` scales the channels (rounded up to a multiple of 8) and `depth` the bottlenecks of
    the large model; `channels` are those of the three outputs (256, 512, 1024 at width 1).
    """

    def __init__(self, width: float = 1.0, depth: float = 1.0, block: MakeBlock = CSPBlock) -> None:
        """Create the backbone of `block`s; both factors are positive, 1 for YOLOv5-l."""
        super().__init__()
        c1, c2, c3, c4, c5 = (ceil(64 * 2**level * width / 8) * 8 for level in range(5))
        short, long = max(round(3 * depth), 1), max(round(9 * depth), 1)
        self.channels = (c3, c4, c5)
        self.stem = Focus(3, c1)
        self.stage2 = nn.Sequential(CSPConv(c1, c2, 3, 2), block(c2, c2, short))
        self.stage3 = nn.Sequential(CSPConv(c2, c3, 3, 2), block(c3, c3, long))
        self.stage4 = nn.Sequential(CSPConv(c3, c4, 3, 2), block(c4, c4, long))
        self.stage5 = nn.Sequential(
            CSPConv(c4, c5, 3, 2), SpatialPyramid(c5, c5), block(c5, c5, short, residual=False)
        )

    def forward(self, images: Tensor) -> Pyramid:
        """Map images (B, 3, H, W), sides multiples of 32, to features at strides 8, 16, 32."""
        p3 = self.stage3(self.stage2(self.stem(images)))
        p4 = self.stage4(p3)
        return p3, p4, self.stage5(p4)


class PathAggregation(nn.Module):
    """Top-down and second bottom-up path over a `CSPBackbone`, with unchanged channels."""

    def __init__(
        self, channels: tuple[int, int, int], depth: float = 1.0, block: MakeBlock = CSPBlock
    ) -> None:
        """Create the neck with the `channels`, `depth` and `block` of the backbone."""
        super().__init__()
        c3, c4, c5 = channels
        short = max(round(3 * depth), 1)
        self.reduce5 = CSPConv(c5, c4)
        self.merge4 = block(2 * c4, c4, short, residual=False)
        self.reduce4 = CSPConv(c4, c3)
        self.out3 = block(2 * c3, c3, short, residual=False)
        self.down3 = CSPConv(c3, c3, 3, 2)
        self.out4 = block(2 * c3, c4, short, residual=False)
        self.down4 = CSPConv(c4, c4, 3, 2)
        self.out5 = block(2 * c4, c5, short, residual=False)

    def forward(self, pyramid: Pyramid) -> Pyramid:
        """Map features at strides 8, 16 and 32 to features of the same shapes."""
        p3, p4, p5 = pyramid
        top5 = self.reduce5(p5)
        top4 = self.reduce4(self.merge4(torch.cat((doubled(top5), p4), 1)))
        n3 = self.out3(torch.cat((doubled(top4), p3), 1))
        n4 = self.out4(torch.cat((self.down3(n3), top4), 1))
        n5 = self.out5(torch.cat((self.down4(n4), top5), 1))
        return n3, n4, n5


def doubled(x: Tensor) -> Tensor:
    """Repeat every value of (B, C, H, W) four times: (B, C, 2H, 2W)."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
