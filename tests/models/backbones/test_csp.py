"""YOLOv5's backbone and neck: what their parts compute, and their shapes."""

import pytest
import torch

from mottool.models.backbones.csp import (
    C3Block,
    CSPBackbone,
    CSPBlock,
    Focus,
    PathAggregation,
    SpatialPyramid,
)
from mottool.models.cstrack import map_tensor_name


def test_focus_gathers_every_second_pixel() -> None:
    """Left column first, top before bottom in each: the order that checkpoints are trained for."""
    focus = Focus(1, 4).eval()
    centre = torch.zeros(4, 4, 3, 3)
    centre[:, :, 1, 1] = torch.eye(4)
    torch.nn.init.ones_(focus.conv.bn.weight)
    focus.conv.conv.weight.data = centre
    image = torch.arange(16.0).view(1, 1, 4, 4)
    with torch.inference_mode():
        corners = focus(image)[0, :, 0, 0] * (1 + 1e-3) ** 0.5  # undo batch norm's epsilon
    torch.testing.assert_close(corners, torch.tensor([0.0, 4.0, 1.0, 5.0]))


def test_spatial_pyramid_sees_13_pixels() -> None:
    block = SpatialPyramid(8, 8).eval()
    for conv in (block.cv1.conv, block.cv2.conv):
        torch.nn.init.ones_(conv.weight)
    image = torch.zeros(1, 8, 1, 29)
    far, near = image.clone(), image.clone()
    far[..., 21], near[..., 20] = 1e3, 1e3
    with torch.inference_mode():
        middle = block(image)[..., 14]
        assert torch.equal(block(far)[..., 14], middle)
        assert not torch.equal(block(near)[..., 14], middle)


def test_the_residual_is_the_only_way_round_the_bottlenecks() -> None:
    torch.manual_seed(0)
    block = CSPBlock(8, 8, depth=1, residual=True).eval()
    plain = CSPBlock(8, 8, depth=1, residual=False).eval()
    plain.load_state_dict(block.state_dict())
    x = torch.rand(1, 8, 4, 4)
    with torch.inference_mode():
        assert not torch.allclose(block(x), plain(x))
        torch.nn.init.zeros_(block.m[0].cv2.bn.weight)  # the bottleneck is silent: cv3 sees cv1
        torch.nn.init.zeros_(plain.m[0].cv2.bn.weight)
        around = block.cv3(block.cv1(x))
        both = torch.cat((around, block.cv2(x)), 1)
        expected = block.cv4(torch.nn.functional.leaky_relu(block.bn(both), 0.1))
        torch.testing.assert_close(block(x), expected)


def test_release_4_s_block_joins_its_halves_by_one_convolution() -> None:
    torch.manual_seed(0)
    block = C3Block(8, 8, depth=1).eval()
    x = torch.rand(1, 8, 4, 4)
    with torch.inference_mode():
        halves = torch.cat((block.m(block.cv1(x)), block.cv2(x)), 1)
        torch.testing.assert_close(block(x), block.cv3(halves))
    # cv1 and cv2: 8·4 + 8 each; cv3: 8·8 + 16; bottleneck: 4·4 + 8 + 9·4·4 + 8.
    assert sum(value.numel() for value in block.parameters()) == 80 + 80 + 176


def test_backbone_and_neck_are_built_of_the_given_block() -> None:
    with torch.device("meta"):
        backbone = CSPBackbone(0.3, 0.3, C3Block)
        neck = PathAggregation(backbone.channels, 0.3, C3Block)
    assert not any(isinstance(part, CSPBlock) for part in (*backbone.modules(), *neck.modules()))
    # YOLOv5's names of release 4.0, from which `--form paper` starts.
    assert map_tensor_name("model.2.cv3.conv.weight") in {
        f"backbone.{name}" for name in backbone.state_dict()
    }


@pytest.mark.parametrize(
    ("width", "depth", "channels", "bottlenecks"),
    [(1.0, 1.0, (256, 512, 1024), 9), (0.3, 0.3, (80, 160, 312), 3)],
)
def test_channels_and_layers_scale(
    width: float, depth: float, channels: tuple[int, ...], bottlenecks: int
) -> None:
    with torch.device("meta"):
        backbone = CSPBackbone(width, depth)
        neck = PathAggregation(backbone.channels, depth)
        levels = neck(backbone(torch.zeros(2, 3, 64, 96)))
    assert len(backbone.stage4[1].m) == bottlenecks
    assert [tuple(level.shape) for level in levels] == [
        (2, channels[0], 8, 12),
        (2, channels[1], 4, 6),
        (2, channels[2], 2, 3),
    ]
