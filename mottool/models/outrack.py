"""OUTrack: FairMOT with occlusion estimation.

Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, "Online multi-object tracking with unsupervised
re-identification learning and occlusion estimation", Neurocomputing 2022. Its network is FairMOT's
on DLA-34 with the two heads of the occlusion estimation module. Unsupervised re-identification
changes the training of the identity head, not the network.
"""

from dataclasses import replace
from typing import ClassVar

from torch import Tensor

from mottool.models.backbones.backbone import Backbone
from mottool.models.centre_heads import PRIOR, head, occlusion_centres
from mottool.models.fairmot import MAX_DETECTIONS, FairMOT
from mottool.models.interfaces import Decoded

__all__ = ["OUTrack"]


class OUTrack(FairMOT):
    """FairMOT with two more heads: heatmap and offset of occlusion centres."""

    PIPELINE: ClassVar[str] = "outrack"

    def __init__(
        self,
        backbone: Backbone,
        embedding_size: int = 256,
        ltrb: bool = True,
        hidden: int = 256,
    ) -> None:
        """Create the network as `FairMOT` does, with embeddings twice as long."""
        super().__init__(backbone, embedding_size, ltrb, hidden)
        self.occlusion = head(backbone.channels, hidden, 1, bias=PRIOR)
        self.occlusion_offset = head(backbone.channels, hidden, 2)

    def read(self, features: Tensor) -> dict[str, Tensor]:
        """Compute FairMOT's heads and those of occlusion centres.

        `occlusion` is (B, 1, h, w) before its sigmoid, and `occlusion_offset` (B, 2, h, w) the x y
        of the occlusion centre in its cell.
        """
        return super().read(features) | {
            "occlusion": self.occlusion(features),
            "occlusion_offset": self.occlusion_offset(features),
        }

    def decode(self, heads: dict[str, Tensor], min_score: float) -> list[Decoded]:
        """Decode detections as FairMOT, and at most four occlusion centres per detection (2000).

        Boxes outside the frame are kept, as in FairMOT: the input of the network includes margins,
        and only the tracker knows the frame. (The authors' tracker drops such boxes, but compares
        y1 with the frame's width, so that a box below the frame can remain.)
        """
        centres = occlusion_centres(heads, 4 * MAX_DETECTIONS, self.stride)
        return [
            replace(decoded, occlusion_centres=points)
            for decoded, points in zip(super().decode(heads, min_score), centres, strict=True)
        ]
