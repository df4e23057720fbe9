"""OTrack: CenterTrack, with OUTrack's occlusion centres where the checkpoint has them.

Zhou, Koltun & Krähenbühl, "Tracking objects as points", ECCV 2020 (CenterTrack), Fig. 2 and §4;
the two occlusion heads are those of Liu et al., Neurocomputing 2022 (see `occlusion`).
"""

from collections.abc import Mapping
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mottool.checkpoints.fitting import dimension, fit
from mottool.models.backbones.dla import DLA34, conv_norm_relu
from mottool.models.centre_heads import PRIOR, gather, head, occlusion_centres, peaks
from mottool.models.gaussian import draw, radius
from mottool.models.interfaces import Decoded

__all__ = ["OTrack", "Recurrence", "map_tensor_name", "prior_heatmap"]

MAX_DETECTIONS = 100  # of one image; the authors' K
PRIOR_SCORE = 0.5  # the authors' MOT17 setting for which detections the next image hears of
NAMES = {  # how tensors begin in the authors' files, and here
    "hm": "heatmap",
    "reg": "offset",
    "wh": "size",
    "tracking": "displacement",
    "ltrb_amodal": "amodal",
    "base.pre_img_layer": "previous_image",
    "base.pre_hm_layer": "previous_heatmap",
}


class OTrack(nn.Module):
    """Fig. 2: an image, the one before it and that one's objects in; objects and their steps out.

    It is recurrent: an image needs what was found in the one before it, so that the images of a
    sequence cannot go through as a batch. `Recurrence` takes a sequence through it.
    """

    stride = 4

    def __init__(self, occlusion: bool = True, hidden: int = 256) -> None:
        """`occlusion` adds OUTrack's heads; `hidden` is the heads' inner width."""
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
        """Raw heads of images (B, 3, H, W), the ones before them, and those ones' objects.

        H and W are multiples of 32; images are normalised BGR (`CenterWarp`); `heatmap`
        (B, 1, H, W) in [0, 1] is `prior_heatmap` of what was found in `previous` (B, 3, H, W).

        `heatmap` (B, 1, h, w) before its sigmoid, h = H/4; `offset` (B, 2, h, w) x y of the
        centre in its cell; `size` (B, 2, h, w) width and height of what the image shows of the
        box; `displacement` (B, 2, h, w) x y from the centre to where it was in `previous`;
        `amodal` (B, 4, h, w) x1 y1 x2 y2 of the whole box, from the cell's corner. With occlusion
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
        """The peaks above `min_score`, at most 100 an image, highest first, without embeddings.

        As in the authors' code, what is tracked is the peak's cell, and the amodal box hangs on
        the cell too: neither takes the offset head in. That box may reach beyond the image, as
        MOTChallenge's do. Occlusion centres are up to four for every detection.
        """
        found = peaks(heads["heatmap"], MAX_DETECTIONS)
        boxes = found.centres.repeat(1, 1, 2) + gather(heads["amodal"], found.cells)  # (B, k, 4)
        boxes = boxes * self.stride
        centres = found.centres * self.stride  # (B, k, 2)
        offsets = gather(heads["displacement"], found.cells) * self.stride  # (B, k, 2)
        hidden: list[Tensor | None] = [None] * len(boxes)
        if "occlusion" in heads:
            hidden = [*occlusion_centres(heads, 4 * MAX_DETECTIONS, self.stride)]
        counts = (found.scores > min_score).sum(1).tolist()  # scores fall: the first ones are it
        return [
            Decoded(
                boxes=boxes[i, :n],
                scores=found.scores[i, :n],
                classes=found.classes[i, :n],
                occlusion_centres=hidden[i],
                centres=centres[i, :n],
                offsets=offsets[i, :n],
            )
            for i, n in enumerate(counts)
        ]

    @classmethod
    def from_checkpoint(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The network whose shapes the tensors of a checkpoint have, loaded with them.

        Takes CenterTrack's names and our own, with OUTrack's occlusion heads or without. Raises
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
    """One sequence on its way through `OTrack`: a `Network` that remembers the image before.

    Its images have to come in order. The first is its own previous image, with nothing in it.
    What the next image hears of are the detections above a score, as the paper has it (§4.1). The
    authors' code renders its active tracks, which are the same ones: every detection above 0.4
    becomes or continues a track. So association does not act back, and may be done later.
    """

    def __init__(self, network: OTrack, prior_score: float = PRIOR_SCORE) -> None:
        """Start a sequence; detections above `prior_score` are rendered for the next image."""
        self.network = network
        self.prior_score = prior_score
        self.previous: Tensor | None = None  # (1, 3, H, W)
        self.heatmap: Tensor | None = None  # (1, 1, H, W)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Raw heads of the sequence's next images (B, 3, H, W), which go through one by one."""
        steps = [self._step(image[None]) for image in images]
        return {name: torch.cat([heads[name] for heads in steps]) for name in steps[0]}

    def decode(self, heads: dict[str, Tensor], min_score: float) -> list[Decoded]:
        """As `OTrack.decode`."""
        return self.network.decode(heads, min_score)

    def _step(self, image: Tensor) -> dict[str, Tensor]:
        """The heads of one image (1, 3, H, W), which becomes the previous one."""
        if self.previous is None or self.heatmap is None:
            self.previous, self.heatmap = image, torch.zeros_like(image[:, :1])
        heads: dict[str, Tensor] = self.network(image, self.previous, self.heatmap)
        (found,) = self.network.decode(heads, self.prior_score)
        height, width = image.shape[2:]
        drawn = prior_heatmap(found.boxes.cpu().numpy(), width, height)
        self.previous, self.heatmap = image, torch.from_numpy(drawn)[None, None].to(image)
        return heads


def prior_heatmap(
    boxes: npt.NDArray[np.float32], width: int, height: int
) -> npt.NDArray[np.float32]:
    """Boxes (n, 4) in network pixels, as bumps on a map (height, width) in [0, 1] (§4.1).

    What lies outside the network's input is cut off first; nothing stands for a box without area.
    """
    heatmap = np.zeros((height, width), np.float32)
    last = np.array([width - 1, height - 1] * 2, np.float32)
    for x1, y1, x2, y2 in np.clip(boxes, 0, last):
        if x2 > x1 and y2 > y1:
            reach = radius(float(np.ceil(x2 - x1)), float(np.ceil(y2 - y1)))
            draw(heatmap, int((x1 + x2) / 2), int((y1 + y2) / 2), int(reach))
    return heatmap


def map_tensor_name(name: str) -> str:
    """The name here of a tensor that CenterTrack's authors name so; others stay."""
    for theirs, ours in NAMES.items():
        if name.startswith(f"{theirs}."):
            return ours + name.removeprefix(theirs)
    of_backbone = DLA34.map_tensor_name(name)
    return name if of_backbone is None else f"backbone.{of_backbone}"
