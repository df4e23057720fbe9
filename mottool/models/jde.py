"""JDE: detection and embedding by one network, jointly.

Wang, Zheng, Liu, Li, Wang: Towards Real-Time Multi-Object Tracking, ECCV 2020. Figure 2 is the
network: DarkNet-53, a feature pyramid over its last three stages, and on each level of the
pyramid a prediction head with box regression, box classification and a dense embedding map.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import box_convert, nms

from mottool.checkpoints.darknet import DarknetLayer
from mottool.checkpoints.fitting import dimension, fit
from mottool.errors import SettingError
from mottool.models.backbones.darknet import DarkNet53, DarknetConv
from mottool.models.candidates import candidates
from mottool.models.device import to_host
from mottool.models.grid import KEPT, cell_grid
from mottool.models.interfaces import Decoded

__all__ = ["ANCHORS", "PAPER_ANCHORS", "STRIDES", "JDE", "level_proposals"]

STRIDES = (32, 16, 8)

# Width and height in network pixels of the four anchors at strides 32, 16, 8, by input size
# (width, height), in the authors' code.
ANCHORS = {
    (1088, 608): (
        ((128, 384), (180, 540), (256, 640), (512, 640)),
        ((32, 96), (45, 135), (64, 192), (90, 271)),
        ((8, 24), (11, 34), (16, 48), (23, 68)),
    ),
    (864, 480): (
        ((102, 305), (143, 429), (203, 508), (407, 508)),
        ((25, 76), (36, 107), (51, 152), (71, 215)),
        ((6, 19), (9, 27), (13, 38), (18, 54)),
    ),
    (576, 320): (
        ((85, 255), (120, 360), (170, 420), (340, 320)),
        ((21, 64), (30, 90), (43, 128), (60, 180)),
        ((6, 16), (8, 23), (11, 32), (16, 45)),
    ),
}

# §3.3: 12 widths from 8·2^(1/2) to 8·2^(12/2) network pixels, all of an aspect ratio of 1:3. In the
# code the widths for 1088x608 are these rounded, with 8 in place of 362, and no anchor is taller
# than 640.
PAPER_ANCHORS = tuple(
    tuple((8 * 2 ** (k / 2), 24 * 2 ** (k / 2)) for k in range(first, first + 4))
    for first in (9, 5, 1)
)

# A cfg file numbers its shortcut, route, upsample and yolo layers too: how many of these stand
# between each of our convolutions, by its role, and the next one.
LAYERS_BETWEEN = {"expand": 1, "detection": 1, "embedding": 3, "lateral": 2}

# In the authors' `.pt` beside the network: the classifier over the training identities and, in
# the yolo layers, the learned weights of the losses ("Automatic Loss Balancing").
TRAINING_ONLY = r"classifier\.(weight|bias)$|module_list\.\d+\.yolo_\d+\.(s_c|s_r|s_id)$"


class PyramidLevel(nn.Module):
    """One level of Figure 2: fusion with the coarser level, if any, and the prediction head."""

    def __init__(self, skip: int, channels: int, embedding_size: int, coarsest: bool) -> None:
        super().__init__()
        if not coarsest:
            self.lateral = DarknetConv(2 * channels, channels, 1)
        wide = 2 * channels
        self.trunk = nn.Sequential(
            DarknetConv(skip if coarsest else skip + channels, channels, 1),
            DarknetConv(channels, wide, 3),
            DarknetConv(wide, channels, 1),
            DarknetConv(channels, wide, 3),
            DarknetConv(wide, channels, 1),
        )
        self.widen = DarknetConv(channels, wide, 3)
        self.detection = nn.Conv2d(wide, 4 * 6, 1)
        self.embedding = nn.Conv2d(channels, embedding_size, 3, padding=1)

    def forward(self, skip: Tensor, coarser: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the level's map, which the finer level uses, and its two heads."""
        if coarser is None:
            fused = skip  # (B, skip, h, w)
        else:
            above = F.interpolate(self.lateral(coarser), scale_factor=2.0, mode="nearest")
            fused = torch.cat((above, skip), dim=1)  # (B, channels + skip, h, w)
        features = self.trunk(fused)  # (B, channels, h, w)
        return features, self.detection(self.widen(features)), self.embedding(features)


class JDE(nn.Module):
    """Figure 2, for images in RGB, letterboxed, in [0, 1], of any size in multiples of 32.

    `forward` returns, for each stride s of 32, 16 and 8:

    detection_s (B, 24, H/s, W/s): for each of four anchors the box's offset x, y from the cell's
        corner in anchor widths and heights, the logarithms of its width and height relative to the
        anchor's, and the logits of background and person;
    embedding_s (B, 512, H/s, W/s): the embedding of whatever stands in the cell, not normalised.
    """

    def __init__(
        self,
        size: tuple[int, int] = (1088, 608),
        embedding_size: int = 512,
        max_overlap: float = 0.4,
        anchors: str = "code",
    ) -> None:
        """Create the network for an input `size` (width, height), which selects the anchors.

        With `anchors` "paper" they are `PAPER_ANCHORS` instead, for any size. `max_overlap` is the
        IoU of non-maximum suppression. Raises `SettingError` if the authors have no network of that
        size and the anchors are to be theirs.
        """
        super().__init__()
        if anchors == "code" and size not in ANCHORS:
            sizes = ", ".join(f"{width}x{height}" for width, height in ANCHORS)
            raise SettingError(f"JDE has no anchors for {size[0]}x{size[1]}", f"use one of {sizes}")
        self.anchors = PAPER_ANCHORS if anchors == "paper" else ANCHORS[size]
        self.embedding_size = embedding_size
        self.max_overlap = max_overlap
        self.backbone = DarkNet53()
        fine, middle, coarse = self.backbone.channels
        self.level_32 = PyramidLevel(coarse, 512, embedding_size, coarsest=True)
        self.level_16 = PyramidLevel(middle, 256, embedding_size, coarsest=False)
        self.level_8 = PyramidLevel(fine, 128, embedding_size, coarsest=False)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the six raw heads of images (B, 3, H, W).

        Raises `SettingError` unless H and W are multiples of 32.
        """
        height, width = images.shape[-2:]
        if height % 32 or width % 32:
            raise SettingError(
                f"JDE does not support an input of {width}x{height}",
                "choose a width and a height that are multiples of 32, such as 1088x608",
            )
        return self.read(self.backbone(images))

    def read(self, maps: Sequence[Tensor]) -> dict[str, Tensor]:
        """Compute the raw heads from the backbone's maps at strides 8, 16 and 32."""
        heads = {}
        c3, c4, c5 = maps
        p5, heads["detection_32"], heads["embedding_32"] = self.level_32(c5, None)
        p4, heads["detection_16"], heads["embedding_16"] = self.level_16(c4, p5)
        _, heads["detection_8"], heads["embedding_8"] = self.level_8(c3, p4)
        return heads

    def proposals(self, heads: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Decode all anchors: boxes (B, N, 4) x1 y1 x2 y2 and scores (B, N) in [0, 1].

        Boxes are in network pixels and can extend beyond the image. N is ordered by stride (32, 16,
        8), then by anchor, row and column.
        """
        levels = [
            level_proposals(heads[f"detection_{stride}"], anchors, stride)
            for stride, anchors in zip(STRIDES, self.anchors, strict=True)
        ]
        boxes, scores = (torch.cat(part, dim=1) for part in zip(*levels, strict=True))
        return boxes, scores

    def decode(self, heads: dict[str, Tensor], min_score: float) -> list[Decoded]:
        """Decode people that score above `min_score` with greedy NMS, best first."""
        all_boxes, all_scores = self.proposals(heads)
        people, chosen = [], []
        for rows, scores, boxes in candidates(all_scores, min_score, all_boxes):
            best = nms(boxes, scores, self.max_overlap)  # (n,)
            people.append((boxes[best], scores[best], torch.zeros_like(best)))
            chosen.append(rows[best])
        embeddings = self._embeddings(heads, chosen)
        return [Decoded(*each, rows) for each, rows in zip(people, embeddings, strict=True)]

    def embed_at(self, heads: dict[str, Tensor], boxes: Sequence[Tensor]) -> list[Tensor]:
        """Read the L2-normalised embeddings (n, D) of each image's boxes (n, 4).

        They are read where training assigns such boxes: on the level of the most similar anchor, in
        the cell whose corner, the centre of its anchors, is nearest to the box's centre.
        """
        return [self._embed_image(heads, image, rows) for image, rows in enumerate(boxes)]

    def _embed_image(self, heads: dict[str, Tensor], image: int, boxes: Tensor) -> Tensor:
        """Read the embeddings (n, D) of the boxes (n, 4) of one image of the batch."""
        sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)  # (n, 2)
        centres = (boxes[:, 2:] + boxes[:, :2]) / 2  # (n, 2)
        levels = [_anchor_sides(level, sides.device) for level in self.anchors]
        anchors = torch.cat(levels).to(sides.dtype)  # (12, 2)
        shared = torch.minimum(sides[:, None], anchors).prod(2)  # (n, 12)
        union = sides.prod(1)[:, None] + anchors.prod(1) - shared
        level = (shared / union).argmax(1) // len(self.anchors[0])  # (n,)
        embeddings = torch.empty(len(boxes), self.embedding_size, device=boxes.device)
        for index, stride in enumerate(STRIDES):
            cells = heads[f"embedding_{stride}"][image].float()  # (D, h, w)
            x, y = (centres / stride).round().long().unbind(1)
            last_y, last_x = cells.shape[1] - 1, cells.shape[2] - 1
            of_level = cells[:, y.clamp(0, last_y), x.clamp(0, last_x)].T  # (n, D)
            embeddings = torch.where((level == index)[:, None], of_level, embeddings)
        return F.normalize(embeddings.contiguous(), dim=1)

    def _embeddings(self, heads: dict[str, Tensor], chosen: Sequence[Tensor]) -> Sequence[Tensor]:
        """Read the L2-normalised embeddings (n, D) of each image's proposals `chosen` (n,).

        The four anchors of a cell share its embedding. Both are on the CPU.
        """
        sizes = [len(rows) for rows in chosen]
        images = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
        anchors = torch.cat([*chosen])
        masks, parts = [], []
        first = 0
        for stride in STRIDES:
            cells = heads[f"embedding_{stride}"].flatten(2)  # (B, D, hw)
            count = cells.shape[2]
            on_level = (anchors >= first) & (anchors < first + 4 * count)
            index = torch.stack((images[on_level], (anchors[on_level] - first) % count))
            masks.append(on_level)
            parts.append(cells.transpose(0, 1)[:, *index.to(cells.device)])  # (D, n)
            first += 4 * count
        embeddings = torch.empty(len(anchors), self.embedding_size)
        for on_level, part in zip(masks, to_host(parts), strict=True):
            embeddings[on_level] = part.T.float()
        return torch.split(F.normalize(embeddings, dim=1), sizes)

    @classmethod
    def from_checkpoint(
        cls,
        tensors: Mapping[str, Tensor],
        size: tuple[int, int] = (1088, 608),
        anchors: str = "code",
    ) -> Self:
        """Build the network with the tensors of the authors' `.pt` or `.weights`, or of our files.

        Tensors of training are skipped; counters of batch norm, which `.weights` files lack, start
        at zero. Raises `CheckpointError` that lists missing and unexpected tensors and wrong
        shapes.
        """
        width = dimension(tensors, "module_list.83.conv_83.bias", axis=0, default=512)
        with torch.device("meta"):
            network = cls(
                size,
                dimension(tensors, "level_32.embedding.bias", axis=0, default=width),
                anchors=anchors,
            )
        network.to_empty(device="cpu")  # faster than drawing random values that are overwritten
        modules = {theirs: ours for ours, theirs in authors_modules(network).items()}
        renamed = {
            name: torch.zeros_like(value)
            for name, value in network.named_buffers()
            if name.endswith("num_batches_tracked")
        }
        for name, value in tensors.items():
            module, dot, leaf = name.rpartition(".")
            renamed[modules.get(module, module) + dot + leaf] = value
        fit(network, renamed, f"jde-{size[0]}x{size[1]}", TRAINING_ONLY, file_names=tensors)
        return network

    @classmethod
    def darknet_layers(cls) -> list[DarknetLayer]:
        """Return the convolutions of a `.weights` file in order, with the names of the `.pt`."""
        with torch.device("meta"):
            network = cls()
        names = authors_modules(network)
        return [
            DarknetLayer(
                names[name],
                names.get(f"{name.rpartition('.')[0]}.norm"),
                tuple(module.weight.shape),
            )
            for name, module in network.named_modules()
            if isinstance(module, nn.Conv2d)
        ]


def level_proposals(
    head: Tensor, anchors: Sequence[tuple[float, float]], stride: int
) -> tuple[Tensor, Tensor]:
    """Decode the A `anchors` in each cell of one level: boxes (B, A·h·w, 4) and scores.

    `head` (B, 6·A, h, w) is an output of `JDE.forward`. Boxes are x1 y1 x2 y2 in network pixels;
    scores (B, A·h·w) are in [0, 1]. The order is by anchor, row and column.
    """
    head = head.float()
    head = head.reshape(len(head), len(anchors), 6, *head.shape[2:])  # (B, A, 6, h, w)
    offset, log_size, logits = torch.split(
        head.permute(0, 1, 3, 4, 2), 2, dim=-1
    )  # (B, A, h, w, 2)
    corner = stride * cell_grid(*head.shape[3:], head.device)  # (h, w, 2)
    sides = _anchor_sides(tuple(anchors), head.device)[:, None, None]  # (A, 1, 1, 2)
    boxes = torch.cat((corner + sides * offset, sides * log_size.exp()), dim=-1)
    scores = logits.softmax(dim=-1)[..., 1]  # (B, A, h, w)
    return box_convert(boxes.flatten(1, 3), "cxcywh", "xyxy"), scores.flatten(1)


@lru_cache(KEPT)
@torch.inference_mode(False)
def _anchor_sides(anchors: tuple[tuple[float, float], ...], device: torch.device) -> Tensor:
    """Return width and height (A, 2) float32 of anchors; copied to a device once."""
    return torch.tensor(anchors, dtype=torch.float32, device=device)


def authors_modules(network: nn.Module) -> dict[str, str]:
    """The authors' names of our convolutions and batch norms, in the order of both."""
    names = {}
    layer = 0
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            names[name] = f"module_list.{layer}.conv_{layer}"
            block = name.removesuffix(".conv")
            if block != name:
                names[f"{block}.norm"] = f"module_list.{layer}.batch_norm_{layer}"
            layer += 1 + LAYERS_BETWEEN.get(block.rpartition(".")[2], 0)
    return names
