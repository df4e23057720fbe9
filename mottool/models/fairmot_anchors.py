"""FairMOT with anchors: what its centre points are held against.

Zhang, Wang, Wang, Zeng & Liu, "A simple baseline for multi-object tracking", arXiv 2004.01888v1
(the first form of FairMOT's paper), Table 1: on DLA-34, at strides 4 and 8, a detector with anchors
in place of the centre points, and all else as it is. No code of it is published. Here anchors,
coding of boxes and scores are those of JDE, which the paper sets out from; the head that says them
has the form of FairMOT's others; and since a single map has to find people of every size, each of
its cells has the anchors of all of JDE's levels.
"""

from collections.abc import Mapping, Sequence
from typing import Self

import torch.nn.functional as F
from torch import Tensor, nn

from mottool.checkpoints.fitting import dimension, fit
from mottool.models.backbones.dla import DLA34
from mottool.models.centre_heads import at_centres, head
from mottool.models.fairmot import MAX_DETECTIONS
from mottool.models.interfaces import Decoded
from mottool.models.jde import ANCHORS as JDE_ANCHORS
from mottool.models.jde import level_proposals
from mottool.models.retinanet import strongest

__all__ = ["ANCHORS", "FairMOTAnchors"]

# Widths and heights in network pixels of the twelve anchors of every cell.
ANCHORS = tuple(anchor for level in JDE_ANCHORS[1088, 608] for anchor in level)
HIDDEN = 256  # inner width of the heads, as FairMOT's
MAX_OVERLAP = 0.4  # the IoU that non-maximum suppression allows, as JDE's
# Anchors of an image that go into non-maximum suppression: 20 for each detection that may be
# left. All of them, half a million at stride 4, would take an untrained network minutes.
CANDIDATES = 20 * MAX_DETECTIONS


class FairMOTAnchors(nn.Module):
    """DLA-34, and on its features a head that detects by anchors and one that re-identifies."""

    def __init__(self, stride: int = 4, embedding_size: int = 128) -> None:
        """`stride` is 4 or 8."""
        super().__init__()
        self.stride, self.embedding_size = stride, embedding_size
        self.backbone = DLA34(stride)
        channels = self.backbone.channels
        self.detection = head(channels, HIDDEN, 6 * len(ANCHORS))
        self.identity = head(channels, HIDDEN, embedding_size)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Raw heads of RGB images (B, 3, H, W) in [0, 1], H and W multiples of 32.

        They are named as JDE's of a level with this stride s, for JDE's loss to read:
        `detection_s` (B, 72, H/s, W/s) has for each of twelve anchors in turn the box's offset
        x, y in anchor widths and heights from the cell's corner, the logarithms of width and
        height over the anchor's, and the logits of background and person; `embedding_s`
        (B, D, H/s, W/s) is of whatever stands in the cell, not normalised.
        """
        features = self.backbone(images)  # (B, C, H/s, W/s)
        return {
            f"detection_{self.stride}": self.detection(features),
            f"embedding_{self.stride}": self.identity(features),
        }

    def decode(self, heads: dict[str, Tensor], min_score: float) -> list[Decoded]:
        """People that score above `min_score`, at most 500 an image, best first.

        The anchors of a cell share its embedding.
        """
        detection = heads[f"detection_{self.stride}"]
        levels = zip(
            *level_proposals(detection, ANCHORS, self.stride),
            heads[f"embedding_{self.stride}"].flatten(2).float(),
            strict=True,
        )
        decoded = []
        for boxes, scores, cells in levels:  # (N, 4), (N,), (D, h·w)
            rows = strongest(
                boxes, scores, [len(scores)], min_score, MAX_OVERLAP, MAX_DETECTIONS, CANDIDATES
            )
            embeddings = F.normalize(cells[:, rows % cells.shape[1]].T, dim=1)  # (n, D)
            decoded.append(
                Decoded(boxes[rows], scores[rows], rows.new_zeros(len(rows)), embeddings)
            )
        return decoded

    def embed_at(self, heads: dict[str, Tensor], boxes: Sequence[Tensor]) -> list[Tensor]:
        """Unit embeddings (n, D) of each image's boxes (n, 4).

        Read in the cell whose corner, which anchors are centred on, is nearest to the box's
        centre. The nearest cell counts outside the map.
        """
        return [
            F.normalize(at_centres(cells, own + self.stride / 2, self.stride), dim=1)
            for cells, own in zip(heads[f"embedding_{self.stride}"], boxes, strict=True)
        ]

    @classmethod
    def from_checkpoint(cls, tensors: Mapping[str, Tensor], stride: int = 4) -> Self:
        """The network with the tensors of one of our files, its D told from them.

        Raises `CheckpointError` with the names that are missing, unexpected or of another shape.
        """
        network = cls(stride, dimension(tensors, "identity.2.weight", 0, 128))
        fit(network, tensors, f"fairmot-dla34-anchors{stride}")
        return network
