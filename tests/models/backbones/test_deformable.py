"""Deformable convolution against the plain one, and the bilinear start of up-sampling."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import deform_conv2d

from mottool.models.backbones.deformable import DeformableConv2d, bilinear_


def test_without_offsets_it_is_half_a_plain_convolution():
    torch.manual_seed(0)
    layer, x = DeformableConv2d(4, 6), torch.randn(2, 4, 7, 9)
    plain = F.conv2d(x, layer.weight, padding=1)
    torch.testing.assert_close(layer(x), plain / 2, atol=1e-5, rtol=1e-4)


def test_offsets_are_read_y_before_x_for_each_tap():
    layer, x = DeformableConv2d(1, 1), torch.rand(1, 1, 6, 6)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, 0, 1, 1] = 2  # only the middle tap counts, and its mask is a half
        layer.conv_offset_mask.bias[8] = 1  # its y
    y = layer(x)
    torch.testing.assert_close(y[..., :-1, :], x[..., 1:, :])
    assert (y[..., -1, :] == 0).all()


def test_bfloat16_comes_out_as_it_went_in():
    layer = DeformableConv2d(4, 6).bfloat16()
    assert layer(torch.randn(1, 4, 5, 5).bfloat16()).dtype == torch.bfloat16


def test_float64_stays_float64():
    torch.manual_seed(0)
    layer, x = DeformableConv2d(4, 6).double(), torch.rand(1, 4, 5, 5).double()
    with torch.no_grad():
        layer.conv_offset_mask.weight.normal_(0, 0.1)
        shifts = layer.conv_offset_mask(x)
        places, masks = shifts[:, :18], shifts[:, 18:].sigmoid()
        expected = deform_conv2d(x, places, layer.weight, layer.bias, padding=1, mask=masks)
        torch.testing.assert_close(layer(x), expected, atol=1e-12, rtol=0)  # float32: 1e-7


@pytest.mark.parametrize("size", [(7, 9), (1, 4)])
def test_training_on_a_cpu_computes_the_same(size):
    torch.manual_seed(0)
    layer = DeformableConv2d(4, 6)
    with torch.no_grad():
        layer.conv_offset_mask.weight.normal_(0, 0.5)
        layer.bias.normal_()
    x = torch.randn(2, 4, *size, requires_grad=True)

    def plain():
        shifts = layer.conv_offset_mask(x)
        assert shifts[:, :18].abs().max() > 2  # beyond the image's edges too
        masks = shifts[:, 18:].sigmoid()
        return deform_conv2d(x, shifts[:, :18], layer.weight, layer.bias, padding=1, mask=masks)

    expected, trained = plain(), layer(x)
    torch.testing.assert_close(trained, expected, atol=1e-5, rtol=1e-5)
    with torch.no_grad():  # where it is that function itself
        torch.testing.assert_close(layer(x), plain(), atol=0, rtol=0)
    asked = [x, *layer.parameters()]
    along = torch.randn_like(expected)
    gradients = (torch.autograd.grad(each, asked, along) for each in (trained, expected))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@torch.inference_mode()
def test_sampling_in_lower_precision_rounds_as_other_convolutions_do(dtype):
    torch.manual_seed(0)
    layer = DeformableConv2d(16, 6)
    layer.conv_offset_mask.weight.normal_(0, 0.5)
    layer.by_sampling = True
    x = torch.randn(2, 16, 7, 9)
    with torch.autocast("cpu", dtype):
        result = layer(x.to(dtype))
        shifts = layer.conv_offset_mask(x.to(dtype)).float()
    assert result.dtype is dtype
    places, masks = shifts[:, :18], shifts[:, 18:].to(dtype).sigmoid().float()
    image = x.to(dtype).float()
    exact = deform_conv2d(image, places, layer.weight, layer.bias, padding=1, mask=masks)
    largest = deform_conv2d(image.abs(), places, layer.weight.abs(), padding=1, mask=masks)
    # Samples, weights and the result are each rounded once; places are within 1e-5 of a pixel.
    assert ((result - exact).abs() <= 2 * torch.finfo(dtype).eps * largest + 1e-5).all()


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_up_sampling_starts_as_bilinear(factor):
    up = nn.ConvTranspose2d(1, 1, 2 * factor, factor, factor // 2, bias=False)
    bilinear_(up.weight)
    x = torch.rand(1, 1, 5, 6)
    expected = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    inner = slice(factor, -factor)  # at the border the one sees zeros, the other repeats
    torch.testing.assert_close(up(x)[..., inner, inner], expected[..., inner, inner])
