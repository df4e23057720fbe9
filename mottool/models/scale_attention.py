"""CSTrack's scale-aware attention network (SAAN), and the basic head that it replaces.

Liang, Zhang, Zhou, Li, Zhu & Hu, "Rethinking the competition between detection and ReID in
multi-object tracking", IEEE Transactions on Image Processing 31, 2022, §III-C and Fig. 4.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from mottool.models.backbones.csp import CSPConv

__all__ = ["BasicHead", "ChannelAttention", "ScaleAwareAttention", "SpatialAttention"]


class SpatialAttention(nn.Module):
    """SAM: attention over the cells of a map (Fig. 4 b).

    The average and the maximum over channels pass a 7x7 convolution. In the form `code` a 1x1
    convolution first reduces the channels to a quarter.
    """

    def __init__(self, channels: int, form: str = "code") -> None:
        """Create the module; the number of `channels` does not change."""
        super().__init__()
        self.squeeze = CSPConv(channels, channels // 4) if form == "code" else nn.Identity()
        self.window = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Re-weight features (B, C, H, W)."""
        squeezed = self.squeeze(x)
        summaries = squeezed.mean(1, keepdim=True), squeezed.amax(1, keepdim=True)
        weights = self.window(torch.cat(summaries, 1)).sigmoid()  # (B, 1, H, W)
        attended: Tensor = x * weights + x
        return attended


class ChannelAttention(nn.Module):
    """CAM: attention over the channels of a map (Fig. 4 c).

    The average and the maximum over cells pass a 1D convolution and a fully connected layer. In the
    form `code` layer norm and a leaky ReLU are between them.
    """

    def __init__(self, channels: int, form: str = "code") -> None:
        """Create the module; the number of `channels` does not change."""
        super().__init__()
        between = [nn.LayerNorm([1, channels]), nn.LeakyReLU(0.3)] if form == "code" else []
        self.weigh = nn.Sequential(
            nn.Conv1d(1, 1, 3, padding=1, bias=False),
            *between,
            nn.Linear(channels, channels, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Re-weight features (B, C, H, W)."""
        summaries = x.mean((2, 3)), x.amax((2, 3))  # (B, C) each
        logits: Tensor = sum(self.weigh(summary[:, None]) for summary in summaries)  # (B, 1, C)
        return x * logits.sigmoid().transpose(-1, -2)[..., None] + x


ATTENTIONS: dict[str, type[SpatialAttention] | type[ChannelAttention]] = {
    "sam": SpatialAttention,
    "cam": ChannelAttention,
}


class ScaleAwareAttention(nn.Module):
    """SAAN: resize three levels to stride 8, apply attention, and fuse them into embeddings.

    In the form `code` each level is reduced to 256 channels and then enlarged by a learned
    interpolation; the levels are fused by a 3x3 and a 1x1 convolution. In the form `paper` each
    level is enlarged and then encoded by a 3x3 convolution of all its channels; one 3x3 convolution
    maps the levels to embeddings.
    """

    WIDTH = 256

    def __init__(
        self,
        channels: tuple[int, int, int],
        embedding_size: int,
        form: str = "code",
        level: Iterable[str] = ("sam",),
        fused: Iterable[str] = ("cam",),
    ) -> None:
        """Create the module for the `channels` of the levels at strides 8, 16 and 32.

        `level` and `fused` are the attentions, `sam` and `cam`, that are applied one after another
        to each level and to the concatenated levels (Table III).
        """
        super().__init__()
        widths = [self.WIDTH] * 3 if form == "code" else list(channels)
        self.levels = nn.ModuleList()
        for index, (inside, width) in enumerate(zip(channels, widths, strict=True)):
            steps: list[nn.Module] = [CSPConv(inside, width, 3)]
            if index and form == "code":
                steps.append(self._enlarge(2**index))
            elif index:
                steps.insert(0, nn.Upsample(scale_factor=2**index, mode="nearest"))
            steps += [ATTENTIONS[name](width, form) for name in level]
            self.levels.append(nn.Sequential(*steps))
        joined, chosen = sum(widths), set(fused)
        self.cells = SpatialAttention(joined, form) if "sam" in chosen else nn.Identity()
        self.channels = ChannelAttention(joined, form) if "cam" in chosen else nn.Identity()
        if form == "code":
            self.fuse: nn.Module = CSPConv(joined, self.WIDTH, 3)
            self.embed = nn.Conv2d(self.WIDTH, embedding_size, 1)
        else:
            self.fuse = nn.Identity()
            self.embed = nn.Conv2d(joined, embedding_size, 3, padding=1)

    def _enlarge(self, factor: int) -> nn.Module:
        size, padding, groups = 2 * factor, factor // 2, self.WIDTH
        return nn.ConvTranspose2d(
            self.WIDTH, self.WIDTH, size, factor, padding, groups=groups, bias=False
        )

    def forward(self, pyramid: Sequence[Tensor]) -> dict[str, Tensor]:
        """Fuse features at strides 8, 16 and 32 into `identity` (B, D, H/8, W/8)."""
        levels = [attend(x) for attend, x in zip(self.levels, pyramid, strict=True)]
        attended = self.channels(self.cells(torch.cat(levels, 1)))
        return {"identity": self.embed(self.fuse(attended))}


class BasicHead(nn.Module):
    """The re-identification head of JDE (§III-A, Fig. 2 b): a 1x1 convolution on each level."""

    def __init__(self, channels: tuple[int, int, int], embedding_size: int) -> None:
        """Create the module for the `channels` of the levels at strides 8, 16 and 32."""
        super().__init__()
        self.levels = nn.ModuleList(nn.Conv2d(inside, embedding_size, 1) for inside in channels)

    def forward(self, pyramid: Sequence[Tensor]) -> dict[str, Tensor]:
        """Embed the cells of each level: `identity` at stride 8, `identity_16`, `identity_32`."""
        names = ("identity", "identity_16", "identity_32")
        levels = zip(names, self.levels, pyramid, strict=True)
        return {name: embed(features) for name, embed, features in levels}
