"""DarkNet-53, the backbone of YOLOv3 and of JDE, and the convolution block it is made of.

Redmon and Farhadi, YOLOv3: An Incremental Improvement, 2018, Table 1.
"""

import torch
from torch import Tensor, nn

from mottool.checkpoints.darknet import DarknetLayer

__all__ = ["FILES", "DarknetConv", "DarkNet53"]

# Table 1: channels and residual blocks of the stages at strides 2, 4, 8, 16, 32.
STAGES = ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))


# Darknet's files that begin with these 52 convolutions, and how many values follow them: nothing,
# ImageNet's classifier (1024 to 1000 by a convolution with bias), YOLOv3's pyramid and heads.
FILES = {
    "darknet53.conv.74": 0,
    "darknet53.weights": 1000 + 1024 * 1000,
    "yolov3.weights": 62_001_757 - 40_620_640,
}


class DarknetConv(nn.Module):
    """The paper's "Convolutional": convolution without bias, batch norm, leaky ReLU of slope 0.1.

    The padding keeps the map's size at stride 1 and halves an even one at stride 2.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> None:
        """Create the block; the side of the square `kernel` is odd."""
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)
        self.activation = nn.LeakyReLU(0.1, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels_in, H, W) to (B, channels_out, H / stride, W / stride)."""
        activated: Tensor = self.activation(self.norm(self.conv(x)))
        return activated


class Residual(nn.Module):
    """Residual block: 1x1 to half of the channels, 3x3 back, and the sum with the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = DarknetConv(channels, channels // 2, 1)
        self.expand = DarknetConv(channels // 2, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        summed: Tensor = x + self.expand(self.reduce(x))
        return summed


class DarkNet53(nn.Module):
    """Five stages, each a convolution of stride 2 followed by residual blocks."""

    channels = (256, 512, 1024)  # of the maps that `forward` returns

    def __init__(self) -> None:
        """Create the backbone, without the average pool and classifier of Table 1."""
        super().__init__()
        self.stem = DarknetConv(3, 32, 3)
        self.stages = nn.ModuleList()
        channels_in = 32
        for channels, blocks in STAGES:
            residuals = (Residual(channels) for _ in range(blocks))
            self.stages.append(
                nn.Sequential(DarknetConv(channels_in, channels, 3, stride=2), *residuals)
            )
            channels_in = channels

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute features of 256, 512, 1024 channels at strides 8, 16, 32 of images (B, 3, H, W).

        H and W are multiples of 32.
        """
        x = self.stem(images)  # (B, 32, H, W)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        _, _, c3, c4, c5 = maps  # (B, 256, H/8, W/8), (B, 512, H/16, W/16), (B, 1024, H/32, W/32)
        return c3, c4, c5

    @classmethod
    def darknet_layers(cls, prefix: str = "") -> list[DarknetLayer]:
        """Return the 52 convolutions in the order of darknet's files; `prefix` precedes names."""
        with torch.device("meta"):
            network = cls()
        blocks = {
            name: block for name, block in network.named_modules() if isinstance(block, DarknetConv)
        }
        return [
            DarknetLayer(
                f"{prefix}{name}.conv", f"{prefix}{name}.norm", tuple(block.conv.weight.shape)
            )
            for name, block in blocks.items()
        ]
