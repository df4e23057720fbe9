"""OUTrack: FairMOT that also sees where people hide each other.

Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, "Online multi-object tracking with unsupervised
re-identification learning and occlusion estimation", Neurocomputing 2022. Its network is FairMOT's
on DLA-34 with the two heads of the occlusion estimation module; the unsupervised re-identification
changes how the identity head is trained, not what it is.
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
    """FairMOT's heads, and on the same features a heatmap and an offset for occlusion centres."""

    PIPELINE: ClassVar[str] = "outrack"

    def __init__(
        self,
        backbone: Backbone,
        embedding_size: int = 256,
        ltrb: bool = True,
        hidden: int = 256,
    ) -> None:
        """As `FairMOT`, with embeddings twice as long."""
        super().__init__(backbone, embedding_size, ltrb, hidden)
        self.occlusion = head(backbone.channels, hidden, 1, bias=PRIOR)
        self.occlusion_offset = head(backbone.channels, hidden, 2)

    def read(self, features: Tensor) -> dict[str, Tensor]:
        """FairMOT's heads; `occlusion` (B, 1, h, w) before its sigmoid and `occlusion_offset`.

        The latter is (B, 2, h, w), x y of the occlusion centre in its cell.
        """
        return super().read(features) | {
            "occlusion": self.occlusion(features),
            "occlusion_offset": self.occlusion_offset(features),
        }

    def decode(self, heads: dict[str, Tensor], min_score: float) -> list[Decoded]:
        """As FairMOT's, with the occlusion centres, up to four for every detection (2000).

        Boxes that lie beyond the frame are left in, as FairMOT leaves them, for the tracker to
        drop, which knows the frame: the network also sees the margins. (The authors' tracker drops
        them, but compares y1 with the frame's width, so that one below the frame may pass.)
        """
        centres = occlusion_centres(heads, 4 * MAX_DETECTIONS, self.stride)
        return [
            replace(found, occlusion_centres=hidden)
            for found, hidden in zip(super().decode(heads, min_score), centres, strict=True)
        ]
