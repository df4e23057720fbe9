"""FairMOT: detection and re-identification as equals on one feature map.

Zhang, Wang, Wang, Zeng & Liu, "FairMOT: On the fairness of detection and re-identification in
multiple object tracking", IJCV 2021, Fig. 2 and §4.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar, Self

import torch.nn.functional as F
from torch import Tensor, nn

from mottool.checkpoints.fitting import dimension, fit
from mottool.models.backbones.backbone import Backbone
from mottool.models.backbones.dla import DLA34, DLA34Stride2, DLA34Stride8
from mottool.models.backbones.hrnet import HRNet18, HRNet32
from mottool.models.backbones.resnet import ResNet34, ResNet34FPN, ResNet50
from mottool.models.backbones.yolov5 import YOLOv5s
from mottool.models.centre_heads import PRIOR, at_centres, detections, head
from mottool.models.interfaces import Decoded

__all__ = ["BACKBONES", "MAX_DETECTIONS", "FairMOT", "map_tensor_name"]

# By the names that follow "fairmot-" in the pipelines' (Table 2; the strides are Table 1's).
BACKBONES: dict[str, type[Backbone]] = {
    "dla34": DLA34,
    "dla34-stride2": DLA34Stride2,
    "dla34-stride8": DLA34Stride8,
    "resnet34": ResNet34,
    "resnet34-fpn": ResNet34FPN,
    "resnet50": ResNet50,
    "hrnet18": HRNet18,
    "hrnet32": HRNet32,
    "yolov5s": YOLOv5s,
}

MAX_DETECTIONS = 500  # of one image; the authors' K
HEADS = {"hm": "heatmap", "wh": "size", "reg": "offset", "id": "identity"}  # the authors', ours


class FairMOT(nn.Module):
    """Fig. 2: a backbone, and on its features three heads to detect and one to re-identify."""

    PIPELINE: ClassVar[str] = "fairmot-{backbone}"  # its name in messages

    def __init__(
        self,
        backbone: Backbone,
        embedding_size: int = 128,
        ltrb: bool = True,
        hidden: int = 256,
    ) -> None:
        """`ltrb`: a box is its four distances from the centre, else its width and height.

        `hidden` is the heads' inner width (256 in §4.2; the authors' YOLOv5s has 64).
        """
        super().__init__()
        self.backbone = backbone
        self.stride, self.embedding_size = backbone.stride, embedding_size
        on_top = partial(head, backbone.channels, hidden, activation=backbone.activation)
        self.heatmap = on_top(1, bias=PRIOR)  # §4.2.1
        self.offset = on_top(2)  # §4.2.2
        self.size = on_top(4 if ltrb else 2)
        self.identity = on_top(embedding_size)  # §4.3

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Raw heads of RGB images (B, 3, H, W) in [0, 1], H and W multiples of 32.

        `heatmap` (B, 1, h, w) before its sigmoid, h = H/stride; `offset` (B, 2, h, w) x y of the
        centre in its cell; `size` (B, 4, h, w) left, top, right, bottom or (B, 2, h, w) width,
        height, both in cells; `identity` (B, D, h, w) before normalisation.
        """
        return self.read(self.backbone(images))

    def read(self, features: Tensor) -> dict[str, Tensor]:
        """What the heads say of the backbone's features (B, C, h, w), as `forward` returns it."""
        return {
            "heatmap": self.heatmap(features),
            "offset": self.offset(features),
            "size": self.size(features),
            "identity": self.identity(features),
        }

    def decode(self, heads: dict[str, Tensor], min_score: float) -> list[Decoded]:
        """The peaks above `min_score`, at most 500 an image, highest first (§4.5.1)."""
        return detections(heads, self.stride, MAX_DETECTIONS, min_score)

    def embed_at(self, heads: dict[str, Tensor], boxes: Sequence[Tensor]) -> list[Tensor]:
        """Unit embeddings (n, D) of each image's boxes (n, 4): of the cells of their centres.

        That is where the identity head learns (§4.3). The nearest cell counts outside the map.
        """
        return [
            F.normalize(at_centres(identity, own, self.stride), dim=1)
            for identity, own in zip(heads["identity"], boxes, strict=True)
        ]

    @classmethod
    def from_checkpoint(
        cls,
        tensors: Mapping[str, Tensor],
        backbone: str = "dla34",
        embedding_size: int | None = None,
    ) -> Self:
        """The network whose shapes the tensors of a checkpoint have, loaded with them.

        Takes the authors' names and our own. Raises `CheckpointError` for names and shapes that
        do not fit, among them those of another `embedding_size`, if one is given.
        """
        kind = BACKBONES[backbone]
        named = {map_tensor_name(name, kind): value for name, value in tensors.items()}
        network = cls(
            kind.with_channels(dimension(named, "heatmap.0.weight", 1, 64)),
            embedding_size=embedding_size or dimension(named, "identity.2.weight", 0, 128),
            ltrb=dimension(named, "size.2.weight", 0, 4) != 2,
            hidden=dimension(named, "heatmap.0.weight", 0, 256),
        )
        pipeline = cls.PIPELINE.format(backbone=backbone)
        fit(
            network,
            named,
            f"{pipeline}-{embedding_size}d" if embedding_size else pipeline,
            unused=rf"backbone\.{kind.UNUSED}",
            file_names=tensors,
        )
        return network


def map_tensor_name(name: str, backbone: type[Backbone]) -> str:
    """The name here of a tensor that the authors name so; our own and foreign ones stay."""
    prefix, _, rest = name.partition(".")
    if prefix in HEADS:
        return f"{HEADS[prefix]}.{rest}"
    ours = backbone.map_tensor_name(name)
    return name if ours is None else f"backbone.{ours}"
