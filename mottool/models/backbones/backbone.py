"""Base class of the backbones."""

from typing import ClassVar, Self

from torch import Tensor, nn

__all__ = ["Backbone"]


class Backbone(nn.Module):
    """Backbone: one feature map (B, `channels`, H/`stride`, W/`stride`) of images.

    Images are (B, 3, H, W).
    """

    # Pattern of mapped tensor names in the authors' files that do not affect the features.
    UNUSED: ClassVar[str] = r"(?!)"
    # Activation between the two convolutions of each head.
    activation: ClassVar[type[nn.Module]] = nn.ReLU

    channels: int
    stride: int

    @classmethod
    def with_channels(cls, channels: int) -> Self:
        """Return the variant with `channels` feature channels, or the only variant."""
        return cls()

    @staticmethod
    def map_tensor_name(name: str) -> str | None:
        """Map a tensor name of the authors' file to ours; None if it is not the backbone's."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of images (B, 3, H, W)."""
        raise NotImplementedError
