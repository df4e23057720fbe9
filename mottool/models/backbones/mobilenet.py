"""MobileNetV2 and a light top-down pyramid: features at stride 4 that are cheap on a CPU.

Sandler, Howard, Zhu, Zhmoginov & Chen, "MobileNetV2: Inverted residuals and linear bottlenecks",
CVPR 2018, Table 2; Lin, Dollár, Girshick, He, Hariharan & Belongie, "Feature pyramid networks for
object detection", CVPR 2017, Fig. 3. The first block expands its 32 channels like all the others,
as in the networks of the Open Model Zoo that the weights of `mottool-s` started from.
"""

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["LEVELS", "MobileNetV2", "Pyramid", "convolution"]

# Output channels and stride of the 17 blocks. All but the first expand sixfold.
BLOCKS = (
    (16, 1),
    (24, 2),
    (24, 1),
    (32, 2),
    (32, 1),
    (32, 1),
    (64, 2),
    (64, 1),
    (64, 1),
    (64, 1),
    (96, 1),
    (96, 1),
    (96, 1),
    (160, 2),
    (160, 1),
    (160, 1),
    (320, 1),
)
STEM_CHANNELS = 32
EXPANSION = 6
# The last block of each stride from 4 to 32, and its output channels.
LEVELS = {2: 24, 5: 32, 12: 96, 16: 320}


def convolution(
    inputs: int,
    outputs: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    activation: nn.Module | None = None,
) -> nn.Sequential:
    """Create a padded convolution of a stride, with batch norm."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([activation] if activation else []))


class InvertedResidual(nn.Module):
    """Fig. 3d of MobileNetV2: expand, filter depthwise, project; shortcut if shapes agree."""

    def __init__(self, inputs: int, hidden: int, outputs: int, stride: int) -> None:
        """Create the block for `inputs`, `hidden` and `outputs` channels."""
        super().__init__()
        self.expand = convolution(inputs, hidden, activation=nn.ReLU6(inplace=True))
        self.depthwise = convolution(
            hidden, hidden, 3, stride, groups=hidden, activation=nn.ReLU6(inplace=True)
        )
        self.project = convolution(hidden, outputs)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, h, w) to (B, outputs, h/stride, w/stride)."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class MobileNetV2(nn.Module):
    """Table 2 of MobileNetV2 without its last convolution and classifier."""

    def __init__(self) -> None:
        """Create the backbone with random weights."""
        super().__init__()
        self.stem = convolution(3, STEM_CHANNELS, 3, 2, activation=nn.ReLU6(inplace=True))
        blocks, inputs = [], STEM_CHANNELS
        for number, (outputs, stride) in enumerate(BLOCKS):
            hidden = inputs * (EXPANSION if number else 1)
            blocks.append(InvertedResidual(inputs, hidden, outputs, stride))
            inputs = outputs
        self.blocks = nn.ModuleList(blocks)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps of strides 4, 8, 16 and 32 of images (B, 3, H, W)."""
        x, maps = self.stem(images), []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in LEVELS:
                maps.append(x)
        return maps


class Pyramid(nn.Module):
    """A top-down pathway from stride 32 to stride 4, of `width` channels at every level."""

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        """Create the pyramid; `channels` are those of its inputs, finest first."""
        super().__init__()
        self.lateral = nn.ModuleList(convolution(inputs, width) for inputs in channels)
        # The finest level has one 3×3 convolution, the others two.
        counts = (1, *(2 for _ in channels[1:]))
        self.smooth = nn.ModuleList(
            nn.Sequential(
                *(convolution(width, width, 3, activation=nn.ReLU(inplace=True)) for _ in range(n))
            )
            for n in counts
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return the finest map (B, width, h, w) after all coarser ones have been added."""
        x: Tensor = self.smooth[-1](F.relu(self.lateral[-1](maps[-1])))
        finer = zip(maps[-2::-1], self.lateral[-2::-1], self.smooth[-2::-1], strict=True)
        for skipped, lateral, smooth in finer:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = smooth(F.relu(lateral(skipped) + x))
        return x
