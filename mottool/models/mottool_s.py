"""mottool-s: the bundled one-shot network, small enough for a CPU.

    image ─ MobileNetV2 ─ pyramid ─┬─ heatmap, offset, size      detection, as in FairMOT
                                   ├─ identity                   embedding, as in TDT and JDE
                                   └─ occlusion and offset       occlusion centres, as in OUTrack

FairMOT's heads at stride 4 (Zhang, Wang, Wang, Zeng & Liu, IJCV 2021, Fig. 2) and OUTrack's
occlusion estimation (Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, Neurocomputing 2022), each head of
separable convolutions, on a backbone of 1.8 million parameters without deformable convolutions. The
identity head is read at three points of a person (`models.parts`).
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mottool.checkpoints.fitting import dimension, fit
from mottool.models.backbones.mobilenet import LEVELS, MobileNetV2, Pyramid, convolution
from mottool.models.centre_heads import decoded_peaks, people_at_peaks
from mottool.models.cluster_nms import cluster_nms, iou
from mottool.models.device import to_host
from mottool.models.interfaces import Decoded
from mottool.models.parts import join_parts, part_cells

__all__ = ["MottoolS"]

WIDTH = 64  # channels of the pyramid
HIDDEN, IDENTITY_HIDDEN = 64, 128  # channels inside the heads
PRIOR = -4.6  # logit of 0.01: an untrained heatmap starts from few peaks
MIDDLE = 0.5  # an untrained offset: the middle of the cell
SIDE = 6.0  # an untrained distance from the centre to a side, in cells
MAX_DETECTIONS = 300
MAX_IOU = 0.7  # of two detections; above it the lower-scoring one is a duplicate


class MottoolS(nn.Module):
    """The network of the figure; `embedding_size` is the channels of the identity head."""

    stride = 4

    def __init__(self, embedding_size: int = 64, occlusion: bool = True) -> None:
        """Create the network; without `occlusion` it has no heads of occlusion centres."""
        super().__init__()
        self.embedding_size = embedding_size
        self.backbone = MobileNetV2()
        self.pyramid = Pyramid(tuple(LEVELS.values()), WIDTH)
        self.heatmap = _head(HIDDEN, 1, PRIOR)
        self.offset = _head(HIDDEN, 2, MIDDLE)
        self.size = _head(HIDDEN, 4, SIDE)
        self.identity = _head(IDENTITY_HIDDEN, embedding_size)
        self.occlusion = _head(HIDDEN, 1, PRIOR) if occlusion else None
        self.occlusion_offset = _head(HIDDEN, 2, MIDDLE) if occlusion else None

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the raw heads of RGB images (B, 3, H, W) in [0, 1], H and W multiples of 32.

        `heatmap` (B, 1, h, w) before its sigmoid, h = H/4; `offset` (B, 2, h, w) x y of the
        centre in its cell; `size` (B, 4, h, w) left, top, right, bottom in cells; `identity`
        (B, D, h, w) before normalisation; with the occlusion heads also `occlusion` (B, 1, h, w)
        before its sigmoid and `occlusion_offset` (B, 2, h, w).
        """
        features = self.features(images)
        heads = {
            "heatmap": self.heatmap(features),
            "offset": self.offset(features),
            "size": self.size(features),
            "identity": self.identity(features),
        }
        if self.occlusion is not None and self.occlusion_offset is not None:
            heads["occlusion"] = self.occlusion(features)
            heads["occlusion_offset"] = self.occlusion_offset(features)
        return heads

    def features(self, images: Tensor) -> Tensor:
        """Compute the features (B, 64, h, w) of images (B, 3, H, W) that all heads share."""
        features: Tensor = self.pyramid(self.backbone(images))
        return features

    def decode(self, heads: dict[str, Tensor], min_score: float) -> list[Decoded]:
        """Decode the peaks above `min_score` without duplicates, at most 300 per image.

        Of two boxes with an IoU above 0.7 the lower-scoring one is removed. Occlusion centres are
        decoded as OUTrack's if the network has their heads.
        """
        detection_heads = {name: head for name, head in heads.items() if name != "identity"}
        peaks = people_at_peaks(detection_heads, self.stride, MAX_DETECTIONS)
        decoded = [*map(_without_duplicates, decoded_peaks(peaks, min_score))]
        boxes = [people.boxes.to(heads["identity"].device) for people in decoded]
        embeddings = to_host(self.embed_at(heads, boxes))
        return [
            replace(people, embeddings=rows)
            for people, rows in zip(decoded, embeddings, strict=True)
        ]

    def embed_at(self, heads: dict[str, Tensor], boxes: Sequence[Tensor]) -> list[Tensor]:
        """Read L2-normalised embeddings (n, 3·D) at three points of each image's boxes (n, 4)."""
        identity = heads["identity"]  # (B, D, h, w)
        height, width = identity.shape[2:]
        cells = [part_cells(rows / self.stride, width, height) for rows in boxes]  # each (n, 3)
        return [
            join_parts(image[:, points].permute(1, 2, 0).float())
            for image, points in zip(identity.flatten(2), cells, strict=True)
        ]

    def deployed(self) -> Self:
        """Return a faster copy for inference, whose heads differ only by rounding.

        Every normalisation is folded into the convolution before it; channels are stored last.
        """
        network = deepcopy(self).eval()
        for part in network.modules():
            if isinstance(part, nn.Sequential) and len(part) > 1:
                _fold(part)
        return network.to(memory_format=torch.channels_last)

    @classmethod
    def from_checkpoint(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Build the network that fits the tensors, and load them.

        Raises `CheckpointError` for names and shapes that do not fit.
        """
        network = cls(
            dimension(tensors, "identity.4.weight", 0, 64),
            occlusion="occlusion.4.weight" in tensors,
        )
        fit(network, tensors, "mottool-s")
        return network


def _head(hidden: int, outputs: int, bias: float = 0.0) -> nn.Sequential:
    """Build two separable 3×3 convolutions and a 1×1 convolution that starts at `bias`."""
    last = nn.Conv2d(hidden, outputs, 1)
    nn.init.normal_(last.weight, std=0.01 if outputs <= 4 else 0.05)
    nn.init.constant_(last.get_parameter("bias"), bias)
    return nn.Sequential(
        convolution(WIDTH, WIDTH, 3, groups=WIDTH),
        convolution(WIDTH, WIDTH, activation=nn.ReLU(inplace=True)),
        convolution(WIDTH, WIDTH, 3, groups=WIDTH),
        convolution(WIDTH, hidden, activation=nn.ReLU(inplace=True)),
        last,
    )


def _fold(layers: nn.Sequential) -> None:
    """Fold the normalisation after the first layer of `layers` into it, if there is one."""
    first, second = layers[0], layers[1]
    if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
        layers[0], layers[1] = fuse_conv_bn_eval(first, second), nn.Identity()


def _without_duplicates(people: Decoded) -> Decoded:
    """Remove detections of an image that overlap a higher-scoring one."""
    limit = len(people.scores)
    keep = cluster_nms(people.boxes, people.scores, MAX_IOU, limit, iou)  # still sorted by score
    chosen = people.boxes[keep], people.scores[keep], people.classes[keep]
    return Decoded(*chosen, occlusion_centres=people.occlusion_centres)
