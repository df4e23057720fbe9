"""FairMOT: heads of detection and re-identification on one feature map.

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
from mottool.models.centre_heads import (
    PRIOR,
    at_centres,
    decoded_peaks,
    head,
    people_at_peaks,
)
from mottool.models.interfaces import Decoded

__all__ = ["BACKBONES", "MAX_DETECTIONS", "FairMOT", "map_tensor_name"]

# By the part of the network's name after "fairmot-" (Table 2; strides of Table 1).
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

MAX_DETECTIONS = 500  # per image; the authors' K
HEADS = {
    "hm": "heatmap",
    "wh": "size",
    "reg": "offset",
    "id": "identity",
}  # the authors' names and ours


class FairMOT(nn.Module):
    """Fig. 2: a backbone with three heads of detection and one of re-identification."""

    PIPELINE: ClassVar[str] = "fairmot-{backbone}"  # its name in messages

    def __init__(
        self,
        backbone: Backbone,
        embedding_size: int = 128,
        ltrb: bool = True,
        hidden: int = 256,
    ) -> None:
        """Create the network with random weights.

        With `ltrb`, a box is predicted as four distances from the centre, otherwise as width and
        height. `hidden` is the inner width of the heads (256 in §4.2; 64 in the authors' YOLOv5s).
        """
        super().__init__()
        self.backbone = backbone
        self.stride, self.embedding_size = backbone.stride, embedding_size
        make_head = partial(head, backbone.channels, hidden, activation=backbone.activation)
        self.heatmap = make_head(1, bias=PRIOR)  # §4.2.1
        self.offset = make_head(2)  # §4.2.2
        self.size = make_head(4 if ltrb else 2)
        self.identity = make_head(embedding_size)  # §4.3

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the raw heads of RGB images (B, 3, H, W) in [0, 1], H and W multiples of 32.

        `heatmap` (B, 1, h, w) before its sigmoid, h = H/stride; `offset` (B, 2, h, w) x y of the
        centre in its cell; `size` (B, 4, h, w) left, top, right, bottom or (B, 2, h, w) width,
        height, both in cells; `identity` (B, D, h, w) before normalisation.
        """
        return self.read(self.backbone(images))

    def read(self, features: Tensor) -> dict[str, Tensor]:
        """Apply the heads to features (B, C, h, w) of the backbone; see `forward`."""
        return {
            "heatmap": self.heatmap(features),
            "offset": self.offset(features),
            "size": self.size(features),
            "identity": self.identity(features),
        }

    def decode(self, heads: dict[str, Tensor], min_score: float) -> list[Decoded]:
        """Decode the peaks above `min_score`, at most 500 per image, highest first (§4.5.1)."""
        people = people_at_peaks(heads, self.stride, MAX_DETECTIONS)
        return decoded_peaks(people, min_score)

    def embed_at(self, heads: dict[str, Tensor], boxes: Sequence[Tensor]) -> list[Tensor]:
        """Read the embeddings (n, D) of each image's boxes (n, 4) at the cells of their centres.

        Embeddings are L2-normalised. The identity head is trained at these cells (§4.3). The
        nearest cell is used outside the map.
        """
        return [
            F.normalize(at_centres(identity, rows, self.stride), dim=1)
            for identity, rows in zip(heads["identity"], boxes, strict=True)
        ]

    @classmethod
    def from_checkpoint(
        cls,
        tensors: Mapping[str, Tensor],
        backbone: str = "dla34",
        embedding_size: int | None = None,
    ) -> Self:
        """Build the network that fits the tensors of a checkpoint, and load them.

        The authors' names and ours are accepted. Raises `CheckpointError` for names and shapes that
        do not fit, also for another `embedding_size` than the given one.
        """
        backbone_class = BACKBONES[backbone]
        named = {map_tensor_name(name, backbone_class): value for name, value in tensors.items()}
        network = cls(
            backbone_class.with_channels(dimension(named, "heatmap.0.weight", 1, 64)),
            embedding_size=embedding_size or dimension(named, "identity.2.weight", 0, 128),
            ltrb=dimension(named, "size.2.weight", 0, 4) != 2,
            hidden=dimension(named, "heatmap.0.weight", 0, 256),
            **cls.optional_parts(named),
        )
        pipeline = cls.PIPELINE.format(backbone=backbone)
        fit(
            network,
            named,
            f"{pipeline}-{embedding_size}d" if embedding_size else pipeline,
            unused=rf"backbone\.{backbone_class.UNUSED}",
            file_names=tensors,
        )
        return network

    @classmethod
    def optional_parts(cls, tensors: Mapping[str, Tensor]) -> dict[str, bool]:
        """Return the arguments of a subclass that say which of its parts a checkpoint has."""
        return {}


def map_tensor_name(name: str, backbone: type[Backbone]) -> str:
    """Map the authors' name of a tensor to ours; return ours and unknown names unchanged."""
    prefix, _, rest = name.partition(".")
    if prefix in HEADS:
        return f"{HEADS[prefix]}.{rest}"
    mapped = backbone.map_tensor_name(name)
    return name if mapped is None else f"backbone.{mapped}"
