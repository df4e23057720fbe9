"""A network with a deformable convolution."""

import torch
from torch import nn

from mottool.models.backbones.deformable import DeformableConv2d

__all__ = ["Deforming"]


class Deforming(nn.Module):
    """A deformable convolution whose taps are moved, and the means of the images."""

    def __init__(self):
        """Draw the weights."""
        super().__init__()
        torch.manual_seed(0)
        self.convolution = DeformableConv2d(3, 4)
        nn.init.normal_(self.convolution.conv_offset_mask.weight)

    def forward(self, images):
        """Return both heads."""
        return {"map": self.convolution(images), "mean": images.mean((2, 3))}
