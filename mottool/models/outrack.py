"""OUTrack: FairMOT with occlusion estimation.

Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, "Online multi-object tracking with unsupervised
re-identification learning and occlusion estimation", Neurocomputing 2022. Its network is FairMOT's
on DLA-34 with the two heads of the occlusion estimation module. Unsupervised re-identification
changes the training of the identity head, not the network.

There are at most four occlusion centres per detection (2000). Boxes outside the frame are kept, as
in FairMOT: the input of the network includes margins, and only the tracker knows the frame. (The
authors' tracker drops such boxes, but compares y1 with the frame's width, so that a box below the
frame can remain.)
"""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from mottool.models.backbones.backbone import Backbone
from mottool.models.centre_heads import PRIOR, head
from mottool.models.fairmot import FairMOT

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
        occlusion: bool = True,
    ) -> None:
        """Create the network as `FairMOT` does, with embeddings twice as long.

        Without `occlusion` it has no heads of occlusion centres.
        """
        super().__init__(backbone, embedding_size, ltrb, hidden)
        self.occlusion = head(backbone.channels, hidden, 1, bias=PRIOR) if occlusion else None
        self.occlusion_offset = head(backbone.channels, hidden, 2) if occlusion else None

    def read(self, features: Tensor) -> dict[str, Tensor]:
        """Compute FairMOT's heads and those of occlusion centres.

        `occlusion` is (B, 1, h, w) before its sigmoid, and `occlusion_offset` (B, 2, h, w) the x y
        of the occlusion centre in its cell.
        """
        heads = super().read(features)
        if self.occlusion is not None and self.occlusion_offset is not None:
            heads["occlusion"] = self.occlusion(features)
            heads["occlusion_offset"] = self.occlusion_offset(features)
        return heads

    @classmethod
    def optional_parts(cls, tensors: Mapping[str, Tensor]) -> dict[str, bool]:
        """Return whether a checkpoint has the heads of occlusion centres."""
        return {"occlusion": "occlusion.0.weight" in tensors}
