"""ResNets up-sampled to stride 4 by deformable and transposed convolutions: 64 channels.

The trunk is He et al.'s (CVPR 2016, Table 1), as torchvision has it; the way up is CenterNet's
(Zhou, Wang & Krähenbühl 2019, Fig. 6b), in FairMOT's Table 2 with and without the skip
connections of a feature pyramid.
"""

import re
from typing import ClassVar

from torch import Tensor, nn
from torchvision.models import get_model

from mottool.models.backbones.backbone import Backbone
from mottool.models.backbones.deformable import DeformableBlock

__all__ = ["ResNet34", "ResNet34FPN", "ResNet50"]

UP = (256, 128, 64)  # channels at strides 16, 8, 4 on the way up
PARTS = {0: "block.conv", 1: "block.norm", 3: "up", 4: "norm"}  # of the authors' six layers


class ResNet34(Backbone):
    """Features (B, 64, H/4, W/4) of images (B, 3, H, W), H and W multiples of 32."""

    trunk_name: ClassVar[str] = "resnet34"
    trunk_channels: ClassVar[int] = 512
    channels, stride = UP[-1], 4

    def __init__(self) -> None:
        """Create the backbone with random weights."""
        super().__init__()
        self.trunk = ResNetTrunk(self.trunk_name)
        self.up = nn.ModuleList(
            Enlarge(inputs, outputs)
            for inputs, outputs in zip((self.trunk_channels, *UP[:-1]), UP, strict=True)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Compute the features: trunk to stride 32, then three up-sampling steps."""
        x: Tensor = self.trunk(images)[-1]
        for up in self.up:
            x = up(x)
        return x

    @staticmethod
    def map_tensor_name(name: str) -> str | None:
        """Map a tensor name of the authors' resnet_dcn and resnet_fpn_dcn files to ours."""
        for theirs, ours in (
            (r"conv1\.", "trunk.stem.0."),
            (r"bn1\.", "trunk.stem.1."),
            (r"layer", "trunk.layer"),
        ):
            if re.match(theirs, name):
                return re.sub(theirs, ours, name, count=1)
        if match := re.match(r"(deconv_layers\.|deconv_layer(\d)\.)(\d+)\.(.*)", name):
            step, part = divmod(int(match[3]), 6)
            step = int(match[2]) - 1 if match[2] else step
            return f"up.{step}.{PARTS.get(part, part)}.{match[4]}"
        if match := re.match(r"(smooth|project)_layer(\d)\.(.*)", name):
            return f"{match[1]}.{int(match[2]) - 1}.{match[3].replace('actf.0', 'norm')}"
        return None


class ResNet50(ResNet34):
    """As `ResNet34`, with bottleneck blocks."""

    trunk_name = "resnet50"
    trunk_channels = 2048


class ResNet34FPN(ResNet34):
    """As `ResNet34`; each up-sampling step adds the trunk's map of its stride (Lin et al. 2017)."""

    def __init__(self) -> None:
        """Create the backbone with random weights."""
        super().__init__()
        # The trunk has as many channels at strides 16, 8 and 4 as the way up.
        self.project = nn.ModuleList(DeformableBlock(channels, channels) for channels in UP)
        self.smooth = nn.ModuleList(DeformableBlock(channels, channels) for channels in UP)

    def forward(self, images: Tensor) -> Tensor:
        """Compute the features: trunk to stride 32, then three up-sampling steps with skips."""
        *finer, x = self.trunk(images)
        steps = zip(self.up, self.project, self.smooth, reversed(finer), strict=True)
        for up, project, smooth, skipped in steps:
            x = smooth(up(x) + project(skipped))
        features: Tensor = x
        return features


class ResNetTrunk(nn.Module):
    """torchvision's ResNet without its classifier."""

    def __init__(self, name: str) -> None:
        """Create the trunk; `name` is torchvision's: resnet34 or resnet50."""
        super().__init__()
        whole = get_model(name, weights=None)
        self.stem = nn.Sequential(whole.conv1, whole.bn1, whole.relu, whole.maxpool)
        self.layer1, self.layer2 = whole.layer1, whole.layer2
        self.layer3, self.layer4 = whole.layer3, whole.layer4

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute the maps of strides 4, 8, 16, 32 of images (B, 3, H, W)."""
        maps = [self.layer1(self.stem(images))]
        for layer in (self.layer2, self.layer3, self.layer4):
            maps.append(layer(maps[-1]))
        return maps


class Enlarge(nn.Module):
    """A deformable block, then a transposed convolution that doubles width and height."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Create the block for `inputs` input and `outputs` output channels."""
        super().__init__()
        self.block = DeformableBlock(inputs, outputs)
        self.up = nn.ConvTranspose2d(outputs, outputs, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, h, w) to (B, outputs, 2h, 2w)."""
        y: Tensor = self.norm(self.up(self.block(x))).relu()
        return y
