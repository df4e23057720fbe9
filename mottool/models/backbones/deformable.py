"""Deformable convolution and learned up-sampling: the two blocks of CenterNet-type decoders."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

__all__ = ["DeformableBlock", "DeformableConv2d", "bilinear_"]


class DeformableConv2d(nn.Module):
    """Modulated deformable convolution, 3x3, stride 1 (Zhu et al. 2018, "DCNv2", §3.2, Eq. 1).

    Every tap of the kernel is shifted by a learned offset and weighted by a learned mask, both
    read off the same input by an ordinary convolution. (B, inputs, H, W) to (B, outputs, H, W).
    With `by_sampling`, PyTorch's operations compute it instead of torchvision's kernel.
    """

    by_sampling = False

    def __init__(self, inputs: int, outputs: int) -> None:
        """Create the layer; initial offsets are 0 and masks 1/2 (§3.2)."""
        super().__init__()
        plain = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.weight, self.bias = plain.weight, nn.Parameter(torch.zeros(outputs))
        self.conv_offset_mask = nn.Conv2d(inputs, 3 * 9, 3, padding=1)
        for parameter in self.conv_offset_mask.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve `x`, in its own precision."""
        shifts = self.conv_offset_mask(x)  # (B, 27, H, W): 18 of offsets, y before x, 9 of mask
        taken = (x, shifts[:, :18], self.weight, self.bias, shifts[:, 18:].sigmoid())
        # There is no kernel for bfloat16, and half precision knows a place only to 1/4 pixel.
        precision = torch.promote_types(x.dtype, torch.float32)
        image, offset, weight, bias, mask = (t.to(precision) for t in taken)
        if self.by_sampling:
            return _sampled(image, offset, weight, bias, mask, x.dtype)
        if torch.is_grad_enabled() and x.device.type == "cpu":
            return _sampled(image, offset, weight, bias, mask, precision).to(x.dtype)
        y: Tensor = deform_conv2d(image, offset, weight, bias, padding=1, mask=mask)
        return y.to(x.dtype)  # (B, outputs, H, W)


def _sampled(
    image: Tensor, offset: Tensor, weight: Tensor, bias: Tensor, mask: Tensor, product: torch.dtype
) -> Tensor:
    """Compute `deform_conv2d` by bilinear sampling and one matrix product.

    Samples are rounded to the precision `product`, as the inputs of other convolutions are. On a
    CPU torchvision's gradients go pixel by pixel: they take four times as long. On a GPU all
    operations are on the current stream, and none copies from the host, so that a CUDA graph can
    capture them.
    """
    count, channels, height, width = image.shape
    tap = torch.arange(9, device=image.device)[:, None, None]
    row = torch.arange(height, device=image.device)[:, None] + tap // 3 - 1  # (9, H, 1)
    column = torch.arange(width, device=image.device) + tap % 3 - 1  # (9, 1, W)
    y, x = offset.view(count, 9, 2, height, width).unbind(2)  # (B, 9, H, W) each
    # In grid_sample's coordinates the image's outer edges are at -1 and 1.
    x, y = (2 * (x + column) + 1) / width - 1, (2 * (y + row) + 1) / height - 1
    places = torch.stack((x, y), -1)
    with torch.autocast(image.device.type, enabled=False):
        taken = F.grid_sample(
            image, places.view(count, 9 * height, width, 2), align_corners=False
        ).view(count, channels, 9, height, width)
        if product is taken.dtype:
            weighted = taken * mask[:, None]
        else:  # rounded where it is computed, without another pass over the memory
            weighted = torch.empty_like(taken, dtype=product)
            torch.mul(taken, mask[:, None], out=weighted)
        weighted = weighted.view(count, 9 * channels, height * width)
        summed = weight.flatten(1).to(product) @ weighted  # (B, outputs, H·W)
    return summed.view(count, -1, height, width) + bias[:, None, None].to(product)


class DeformableBlock(nn.Module):
    """Deformable convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Create the block for `inputs` input and `outputs` output channels."""
        super().__init__()
        self.conv = DeformableConv2d(inputs, outputs)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H, W)."""
        y: Tensor = self.norm(self.conv(x)).relu()
        return y


def bilinear_(weight: Tensor) -> Tensor:
    """Fill a transposed convolution's weight (C, n, 2f, 2f) so that it starts as bilinear.

    Each channel is enlarged by the factor f on its own (Long et al. 2015, §3.3).
    """
    factor = weight.shape[-1] / 2
    at = torch.arange(weight.shape[-1], dtype=torch.float32)
    ramp = 1 - ((at - (factor - 0.5)) / factor).abs()  # (2f,)
    with torch.no_grad():
        return weight.copy_(ramp[:, None] * ramp)
