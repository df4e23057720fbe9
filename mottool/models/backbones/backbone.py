"""What every backbone promises to the heads on top of it, and to the reader of checkpoints."""

from typing import ClassVar, Self

from torch import Tensor, nn

__all__ = ["Backbone"]


class Backbone(nn.Module):
    """One feature map (B, `channels`, H/`stride`, W/`stride`) of images (B, 3, H, W)."""

    # Names (a regular expression, ours) that the authors' files hold and no feature depends on.
    UNUSED: ClassVar[str] = r"(?!)"
    # Between the two convolutions of the heads on top.
    activation: ClassVar[type[nn.Module]] = nn.ReLU

    channels: int
    stride: int

    @classmethod
    def with_channels(cls, channels: int) -> Self:
        """The variant whose features have that many channels; the only one where there is one."""
        return cls()

    @staticmethod
    def map_tensor_name(name: str) -> str | None:
        """The name here of a tensor that the authors name so; None if it is not the backbone's."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """The features of images (B, 3, H, W)."""
        raise NotImplementedError
