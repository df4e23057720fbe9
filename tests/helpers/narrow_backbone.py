"""YOLOv5s with an eighth of its channels, for tests of training that need no accuracy.

The tensors have the same names as those of YOLOv5s, but checkpoints are 30 times smaller.
"""

from torch import nn

from mottool.models.backbones.backbone import Backbone
from mottool.models.backbones.csp import CSPConv, Focus, SpatialPyramid
from mottool.models.backbones.yolov5 import C3, YOLOv5s
from mottool.models.fairmot import BACKBONES

__all__ = ["NarrowYOLOv5s", "use_narrow_backbone"]


class NarrowYOLOv5s(YOLOv5s):
    """Features (B, 8, H/4, W/4) of images (B, 3, H, W), computed as by YOLOv5s."""

    channels = 8

    def __init__(self) -> None:
        """Create the backbone."""
        Backbone.__init__(self)
        self.stem = Focus(3, 8)
        self.stage2 = nn.Sequential(CSPConv(8, 8, 3, 2), C3(8, 8, 1))
        self.stage3 = nn.Sequential(CSPConv(8, 16, 3, 2), C3(16, 16, 1))
        self.stage4 = nn.Sequential(CSPConv(16, 32, 3, 2), C3(32, 32, 1))
        self.stage5 = nn.Sequential(
            CSPConv(32, 64, 3, 2), SpatialPyramid(64, 64), C3(64, 64, 1, residual=False)
        )
        self.reduce5, self.merge4 = CSPConv(64, 32), C3(64, 32, 1, residual=False)
        self.reduce4, self.merge3 = CSPConv(32, 16), C3(32, 16, 1, residual=False)
        self.reduce3, self.merge2 = CSPConv(16, 8), C3(16, 8, 1, residual=False)
        for module in self.modules():
            if isinstance(module, CSPConv):
                module.activation = self.activation()


def use_narrow_backbone() -> None:
    """Replace YOLOv5s as FairMOT's backbone in this process."""
    BACKBONES["yolov5s"] = NarrowYOLOv5s
