"""MobileNet (v1): depthwise-separable convolutions at full width, without the classifier.

Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto & Adam, "MobileNets: Efficient
convolutional neural networks for mobile vision applications", arXiv 1704.04861, Table 1.
"""

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["BLOCKS", "MobileNetV1"]

# Table 1: output channels and stride of the 13 depthwise-separable blocks.
BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)
STEM_CHANNELS = 32


class SeparableBlock(nn.Module):
    """Fig. 3, right: a 3×3 depthwise and a 1×1 convolution, each with batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        """Create the block; the depthwise convolution has the stride."""
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(inputs)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.pointwise_norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, h, w) to (B, outputs, h/stride, w/stride)."""
        x = F.relu(self.depthwise_norm(self.depthwise(x)))
        return F.relu(self.pointwise_norm(self.pointwise(x)))


class MobileNetV1(nn.Module):
    """Table 1 up to the last block; returns the last map of each stride from 4 to 32."""

    def __init__(self) -> None:
        """Create the backbone with random weights."""
        super().__init__()
        self.stem = nn.Conv2d(3, STEM_CHANNELS, 3, 2, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(STEM_CHANNELS)
        inputs = (STEM_CHANNELS, *(outputs for outputs, _ in BLOCKS))
        self.blocks = nn.ModuleList(
            SeparableBlock(before, after, stride)
            for before, (after, stride) in zip(inputs, BLOCKS, strict=False)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Map images (B, 3, H, W) to C2 … C5: 128, 256, 512, 1024 channels, keys "2" … "5"."""
        x, stride, maps = F.relu(self.stem_norm(self.stem(images))), 2, list[Tensor]()
        for block, (_, step) in zip(self.blocks, BLOCKS, strict=True):
            if step == 2 and stride > 2:
                maps.append(x)
            x, stride = block(x), stride * step
        maps.append(x)
        return {str(level): level_map for level, level_map in enumerate(maps, 2)}
