"""FairMOT with anchors: the baseline that its centre points are compared with.

Zhang, Wang, Wang, Zeng & Liu, "A simple baseline for multi-object tracking", arXiv 2004.01888v1
(the first version of FairMOT's paper), Table 1: on DLA-34, at strides 4 and 8, a detector with
anchors instead of centre points, otherwise unchanged. Its code is not published. Here anchors, box
coding and scores are those of JDE, from which the paper starts; the detection head is built like
FairMOT's other heads. Because a single map must detect people of all sizes, each of its cells has
the anchors of all levels of JDE.
"""

from collections.abc import Mapping, Sequence
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mottool.checkpoints.fitting import dimension, fit
from mottool.models.backbones.dla import DLA34
from mottool.models.candidates import candidates
from mottool.models.centre_heads import at_centres, head
from mottool.models.device import to_host
from mottool.models.fairmot import MAX_DETECTIONS
from mottool.models.interfaces import Decoded
from mottool.models.jde import ANCHORS as JDE_ANCHORS
from mottool.models.jde import level_proposals
from mottool.models.retinanet import select_detections

__all__ = ["ANCHORS", "FairMOTAnchors"]

# Width and height in network pixels of the twelve anchors of every cell.
ANCHORS = tuple(anchor for level in JDE_ANCHORS[1088, 608] for anchor in level)
HIDDEN = 256  # inner width of the heads, as in FairMOT
MAX_OVERLAP = 0.4  # IoU of non-maximum suppression, as in JDE
# Anchors per image for non-maximum suppression: 20 per detection that can remain. With all half a
# million anchors at stride 4, an untrained network takes minutes.
CANDIDATES = 20 * MAX_DETECTIONS


class FairMOTAnchors(nn.Module):
    """DLA-34 with a detection head with anchors and a head of re-identification."""

    def __init__(self, stride: int = 4, embedding_size: int = 128) -> None:
        """Create the network with random weights; `stride` is 4 or 8."""
        super().__init__()
        self.stride, self.embedding_size = stride, embedding_size
        self.backbone = DLA34(stride)
        channels = self.backbone.channels
        self.detection = head(channels, HIDDEN, 6 * len(ANCHORS))
        self.identity = head(channels, HIDDEN, embedding_size)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the raw heads of RGB images (B, 3, H, W) in [0, 1], H and W multiples of 32.

        For JDE's loss, they have the names of JDE's level with this stride s. `detection_s`
        (B, 72, H/s, W/s) contains for each of the twelve anchors the box's offset x, y from the
        cell's corner in anchor widths and heights, the logarithms of its width and height relative
        to the anchor's, and the logits of background and person. `embedding_s` (B, D, H/s, W/s) is
        the embedding of each cell, not normalised.
        """
        features = self.backbone(images)  # (B, C, H/s, W/s)
        return {
            f"detection_{self.stride}": self.detection(features),
            f"embedding_{self.stride}": self.identity(features),
        }

    def decode(self, heads: dict[str, Tensor], min_score: float) -> list[Decoded]:
        """Decode people that score above `min_score`, at most 500 per image, best first.

        The anchors of a cell share its embedding.
        """
        detection = heads[f"detection_{self.stride}"]
        all_boxes, all_scores = level_proposals(detection, ANCHORS, self.stride)
        cells = heads[f"embedding_{self.stride}"].flatten(2)  # (B, D, h·w)
        people, embeddings = [], []
        per_image = zip(candidates(all_scores, min_score, all_boxes), cells, strict=True)
        for (rows, scores, boxes), of_image in per_image:
            limits = MAX_OVERLAP, MAX_DETECTIONS, CANDIDATES
            best = select_detections(boxes, scores, [len(scores)], *limits)
            people.append((boxes[best], scores[best], torch.zeros_like(best)))
            index = (rows[best] % cells.shape[2]).to(cells.device)
            embeddings.append(F.normalize(of_image[:, index].T.float(), dim=1))  # (n, D)
        copies = to_host(embeddings)
        return [Decoded(*each, rows) for each, rows in zip(people, copies, strict=True)]

    def embed_at(self, heads: dict[str, Tensor], boxes: Sequence[Tensor]) -> list[Tensor]:
        """Read the L2-normalised embeddings (n, D) of each image's boxes (n, 4).

        Each is read in the cell whose corner, the centre of its anchors, is nearest to the box's
        centre. The nearest cell is used outside the map.
        """
        return [
            F.normalize(at_centres(cells, rows + self.stride / 2, self.stride), dim=1)
            for cells, rows in zip(heads[f"embedding_{self.stride}"], boxes, strict=True)
        ]

    @classmethod
    def from_checkpoint(cls, tensors: Mapping[str, Tensor], stride: int = 4) -> Self:
        """Build the network with the tensors of one of our files, which determine D.

        Raises `CheckpointError` with the names that are missing, unexpected or of another shape.
        """
        network = cls(stride, dimension(tensors, "identity.2.weight", 0, 128))
        fit(network, tensors, f"fairmot-dla34-anchors{stride}")
        return network
