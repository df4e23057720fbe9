"""YOLOv5s up to stride 4: 64 channels, the light backbone of FairMOT's repository.

YOLOv5 (Jocher et al., release 4.0): cross-stage partial blocks of three convolutions, SiLU, and
of its path aggregation the top-down half, taken one level further than for detection.
"""

import torch
from torch import Tensor, nn

from mottool.models.backbones.backbone import Backbone
from mottool.models.backbones.csp import Bottleneck, CSPConv, Focus, SpatialPyramid, doubled

__all__ = ["YOLOv5s"]

# The authors number the layers; those without weights are left out here.
LAYERS = {
    "0": "stem",
    "1": "stage2.0",
    "2": "stage2.1",
    "3": "stage3.0",
    "4": "stage3.1",
    "5": "stage4.0",
    "6": "stage4.1",
    "7": "stage5.0",
    "8": "stage5.1",
    "9": "stage5.2",
    "10": "reduce5",
    "13": "merge4",
    "14": "reduce4",
    "17": "merge3",
    "18": "reduce3",
    "21": "merge2",
}


class YOLOv5s(Backbone):
    """Features (B, 64, H/4, W/4) of images (B, 3, H, W), H and W multiples of 32."""

    channels, stride = 64, 4
    activation = nn.SiLU

    def __init__(self) -> None:
        """Untrained; half the channels and a third of the blocks of the large model."""
        super().__init__()
        self.stem = Focus(3, 32)
        self.stage2 = nn.Sequential(CSPConv(32, 64, 3, 2), C3(64, 64, 1))
        self.stage3 = nn.Sequential(CSPConv(64, 128, 3, 2), C3(128, 128, 3))
        self.stage4 = nn.Sequential(CSPConv(128, 256, 3, 2), C3(256, 256, 3))
        self.stage5 = nn.Sequential(
            CSPConv(256, 512, 3, 2), SpatialPyramid(512, 512), C3(512, 512, 1, residual=False)
        )
        self.reduce5, self.merge4 = CSPConv(512, 256), C3(512, 256, 1, residual=False)
        self.reduce4, self.merge3 = CSPConv(256, 128), C3(256, 128, 1, residual=False)
        self.reduce3, self.merge2 = CSPConv(128, 64), C3(128, 64, 1, residual=False)
        for module in self.modules():
            if isinstance(module, CSPConv):
                module.activation = self.activation()

    def forward(self, images: Tensor) -> Tensor:
        """Return the features; each up-sampled map is concatenated with that of its stride."""
        c2 = self.stage2(self.stem(images))
        c3 = self.stage3(c2)
        c4 = self.stage4(c3)
        x = self.reduce5(self.stage5(c4))
        x = self.reduce4(self.merge4(torch.cat((doubled(x), c4), 1)))
        x = self.reduce3(self.merge3(torch.cat((doubled(x), c3), 1)))
        features: Tensor = self.merge2(torch.cat((doubled(x), c2), 1))
        return features

    @staticmethod
    def map_tensor_name(name: str) -> str | None:
        """Map a tensor name of the authors' yolov5s files to ours; None if it has no layer here."""
        prefix, _, rest = name.removeprefix("backbone.").partition(".")
        number, _, inner = rest.partition(".")
        return f"{LAYERS[number]}.{inner}" if prefix == "model" and number in LAYERS else None


class C3(nn.Module):
    """CSP block of three convolutions: half the channels bypass the `depth` bottlenecks."""

    def __init__(self, inside: int, outside: int, depth: int, residual: bool = True) -> None:
        """`inside` and `outside` are channels."""
        super().__init__()
        half = outside // 2
        self.cv1, self.cv2 = CSPConv(inside, half), CSPConv(inside, half)
        self.cv3 = CSPConv(2 * half, outside)
        self.m = nn.Sequential(*(Bottleneck(half, residual) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inside, H, W) to (B, outside, H, W)."""
        y: Tensor = self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), 1))
        return y
