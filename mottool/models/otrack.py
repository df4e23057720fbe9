"""OTrack: CenterTrack, with OUTrack's occlusion centres if the checkpoint has these heads.

Zhou, Koltun & Krähenbühl, "Tracking objects as points", ECCV 2020 (CenterTrack), Fig. 2 and §4;
the two occlusion heads are those of Liu et al., Neurocomputing 2022 (see `centre_heads`).
"""

from collections.abc import Mapping
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mottool.checkpoints.fitting import dimension, fit
from mottool.models.backbones.dla import DLA34, conv_norm_relu
from mottool.models.centre_heads import (
    PRIOR,
    decoded_peaks,
    gather,
    head,
    occlusion_centres,
    peaks,
)
from mottool.models.gaussian import draw, radius
from mottool.models.interfaces import Decoded

__all__ = ["OTrack", "Recurrence", "map_tensor_name", "prior_heatmap"]

MAX_DETECTIONS = 100  # per image; the authors' K
PRIOR_SCORE = (
    0.5  # of detections that are rendered for the next image: the authors' setting for MOT17
)
NAMES = {  # prefixes of tensor names: the authors' and ours
    "hm": "heatmap",
    "reg": "offset",
    "wh": "size",
    "tracking": "displacement",
    "ltrb_amodal": "amodal",
    "base.pre_img_layer": "previous_image",
    "base.pre_hm_layer": "previous_heatmap",
}


class OTrack(nn.Module):
    """Fig. 2: from an image, the previous image and its objects to objects and displacements.

    The network is recurrent: each image needs the detections of the previous one, so that the
    images of a sequence cannot form a batch. `Recurrence` processes a sequence.
    """

    stride = 4
    input_channels = 3, 3, 1  # of the image, the previous one, and the heatmap

    def __init__(self, occlusion: bool = True, hidden: int = 256) -> None:
        """Create the network; `occlusion` adds OUTrack's heads, of inner width `hidden`."""
        super().__init__()
        self.backbone = DLA34(self.stride)
        self.previous_image = conv_norm_relu(3, 16, 7)  # §4.1
        self.previous_heatmap = conv_norm_relu(1, 16, 7)  # §4.1
        channels = self.backbone.channels
        self.heatmap = head(channels, hidden, 1, bias=PRIOR)
        self.offset = head(channels, hidden, 2)
        self.size = head(channels, hidden, 2)
        self.displacement = head(channels, hidden, 2)  # §4.2
        self.amodal = head(channels, hidden, 4)
        self.occlusion = head(channels, hidden, 1, bias=PRIOR) if occlusion else None
        self.occlusion_offset = head(channels, hidden, 2) if occlusion else None

    def forward(self, images: Tensor, previous: Tensor, heatmap: Tensor) -> dict[str, Tensor]:
        """Compute the raw heads of images (B, 3, H, W) with their previous images and objects.

        H and W are multiples of 32; images are normalised BGR (`CenterWarp`); `heatmap`
        (B, 1, H, W) in [0, 1] is `prior_heatmap` of the detections in `previous` (B, 3, H, W).

        `heatmap` (B, 1, h, w) before its sigmoid, h = H/4; `offset` (B, 2, h, w) x y of the
        centre in its cell; `size` (B, 2, h, w) width and height of the box within the
        image; `displacement` (B, 2, h, w) x y from the centre to its position in `previous`;
        `amodal` (B, 4, h, w) x1 y1 x2 y2 of the full box, from the cell's corner. With occlusion
        heads also `occlusion` (B, 1, h, w) before its sigmoid and `occlusion_offset`
        (B, 2, h, w). All lengths are in cells.
        """
        stem = self.backbone.trunk.base_layer(images)  # (B, 16, H, W)
        stem = stem + self.previous_image(previous) + self.previous_heatmap(heatmap)
        features = self.backbone.merged(self.backbone.trunk.levels(stem))
        heads = {
            "heatmap": self.heatmap(features),
            "offset": self.offset(features),
            "size": self.size(features),
            "displacement": self.displacement(features),
            "amodal": self.amodal(features),
        }
        if self.occlusion is not None and self.occlusion_offset is not None:
            heads["occlusion"] = self.occlusion(features)
            heads["occlusion_offset"] = self.occlusion_offset(features)
        return heads

    def decode(self, heads: dict[str, Tensor], min_score: float) -> list[Decoded]:
        """Decode the peaks above `min_score`, at most 100 per image, highest first.

        There are no embeddings. As in the authors' code, the tracked point is the peak's cell, and
        the amodal box is relative to the cell; neither uses the offset head. The box can extend
        beyond the image, as in MOTChallenge. There are at most four occlusion centres per
        detection.
        """
        top = peaks(heads["heatmap"], MAX_DETECTIONS)
        boxes = top.centres.repeat(1, 1, 2) + gather(heads["amodal"], top.cells)  # (B, k, 4)
        people = {
            "boxes": boxes * self.stride,
            "scores": top.scores,
            "classes": top.classes,
            "centres": top.centres * self.stride,  # (B, k, 2)
            "offsets": gather(heads["displacement"], top.cells) * self.stride,  # (B, k, 2)
        }
        if "occlusion" in heads:
            people["occlusion_centres"] = occlusion_centres(heads, 4 * MAX_DETECTIONS, self.stride)
        return decoded_peaks(people, min_score)

    @classmethod
    def from_checkpoint(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Build the network that fits the tensors of a checkpoint, and load them.

        CenterTrack's names and ours are accepted, with or without occlusion heads. Raises
        `CheckpointError` for names and shapes that do not fit.
        """
        named = {map_tensor_name(name): value for name, value in tensors.items()}
        network = cls(
            occlusion=any(name.startswith("occlusion") for name in named),
            hidden=dimension(named, "heatmap.0.weight", 0, 256),
        )
        fit(network, named, "otrack", unused=rf"backbone\.{DLA34.UNUSED}", file_names=tensors)
        return network


class Recurrence:
    """A `Network` that processes the images of one sequence in order and keeps the previous one.

    The first image is its own previous image, without objects. Detections above a score are
    rendered for the next image, as in the paper (§4.1). The authors' code renders active tracks,
    which are the same: every detection above 0.4 starts or continues a track. Association
    therefore does not influence the network and can be done later.
    """

    def __init__(self, network: OTrack, prior_score: float = PRIOR_SCORE) -> None:
        """Start a sequence; detections above `prior_score` are rendered for the next image."""
        self.network = network
        self.prior_score = prior_score
        self.previous: Tensor | None = None  # (1, 3, H, W)
        self.heatmap: Tensor | None = None  # (1, 1, H, W)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the raw heads of the next images (B, 3, H, W) of the sequence, one by one."""
        steps = [self._step(image[None]) for image in images]
        return {name: torch.cat([heads[name] for heads in steps]) for name in steps[0]}

    def decode(self, heads: dict[str, Tensor], min_score: float) -> list[Decoded]:
        """Decode as `OTrack.decode`."""
        return self.network.decode(heads, min_score)

    def _step(self, image: Tensor) -> dict[str, Tensor]:
        """Compute the heads of one image (1, 3, H, W), which becomes the previous one."""
        if self.previous is None or self.heatmap is None:
            self.previous, self.heatmap = image, torch.zeros_like(image[:, :1])
        heads: dict[str, Tensor] = self.network(image, self.previous, self.heatmap)
        (decoded,) = self.network.decode(heads, self.prior_score)
        height, width = image.shape[2:]
        drawn = prior_heatmap(decoded.boxes.numpy(), width, height)
        self.previous, self.heatmap = image, torch.from_numpy(drawn)[None, None].to(image)
        return heads


def prior_heatmap(
    boxes: npt.NDArray[np.float32], width: int, height: int
) -> npt.NDArray[np.float32]:
    """Render boxes (n, 4) in network pixels as peaks on a map (height, width) in [0, 1] (§4.1).

    Boxes are clipped to the input of the network; boxes without area are skipped.
    """
    heatmap = np.zeros((height, width), np.float32)
    last = np.array([width - 1, height - 1] * 2, np.float32)
    for x1, y1, x2, y2 in np.clip(boxes, 0, last):
        if x2 > x1 and y2 > y1:
            extent = radius(float(np.ceil(x2 - x1)), float(np.ceil(y2 - y1)))
            draw(heatmap, int((x1 + x2) / 2), int((y1 + y2) / 2), int(extent))
    return heatmap


def map_tensor_name(name: str) -> str:
    """Map CenterTrack's name of a tensor to ours; return other names unchanged."""
    for prefix, mapped in NAMES.items():
        if name.startswith(f"{prefix}."):
            return mapped + name.removeprefix(prefix)
    in_backbone = DLA34.map_tensor_name(name)
    return name if in_backbone is None else f"backbone.{in_backbone}"
