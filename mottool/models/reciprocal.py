"""CSTrack's reciprocal network (REN), and what replaces it in ablations.

Liang, Zhang, Zhou, Li, Zhu & Hu, "Rethinking the competition between detection and ReID in
multi-object tracking", IEEE Transactions on Image Processing 31, 2022, §III-B and Fig. 3. Each
module splits the features of one level between the tasks: `forward` maps (B, C, H, W) to the
features of detection and those of identity, both of the same shape.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mottool.models.backbones.csp import CSPConv

__all__ = ["ReciprocalNetwork", "SharedFeatures", "TaskConvolutions", "split_features"]


class ReciprocalNetwork(nn.Module):
    """REN: re-weight the features of a level for detection and for identity.

    The features are pooled to 6 by 10 for both tasks. Products between the channels of a task's map
    (self-relation, Eq. 2) and with those of the other task (cross-relation, Eq. 3) become weights
    by softmax. Their learned mixture (Eq. 4) re-weights the channels of the features, and the
    features are added.

    In the form `code`, that of the authors' code, the tasks' maps come from 3x3 convolutions with
    instance norm and a leaky ReLU, and the features themselves are weighted. In the form `paper`
    they come from a convolution alone, and the features first pass a 1x1 convolution.
    """

    POOLED = (6, 10)  # H', W' of §IV-A

    def __init__(self, channels: int, form: str = "code") -> None:
        """Create the module; the number of `channels` does not change."""
        super().__init__()
        self.normalised = form == "code"
        kernel = 3 if form == "code" else 1
        self.detection_map = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)
        self.identity_map = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)
        self.features = nn.Conv2d(channels, channels, 1) if form == "paper" else nn.Identity()
        self.detection_share = nn.Parameter(torch.full((1,), 0.5))  # lambda of self-relation
        self.identity_share = nn.Parameter(torch.full((1,), 0.5))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map features (B, C, H, W) to those for detection and identity, of the same shape."""
        pooled = F.adaptive_avg_pool2d(x, self.POOLED)  # (B, C, 6, 10)
        detection = self._task(self.detection_map(pooled))
        identity = self._task(self.identity_map(pooled))
        values = self.features(x)
        return (
            x + self._weighted(values, detection, identity, self.detection_share),
            x + self._weighted(values, identity, detection, self.identity_share),
        )

    def _task(self, x: Tensor) -> Tensor:
        if self.normalised:
            x = F.leaky_relu(F.instance_norm(x), 0.3)
        return x.flatten(2)  # (B, C, 60)

    @staticmethod
    def _weighted(x: Tensor, task: Tensor, other: Tensor, share: Tensor) -> Tensor:
        self_relation = (task @ task.transpose(-1, -2)).softmax(-1)  # (B, C, C)
        cross_relation = (task @ other.transpose(-1, -2)).softmax(-1)
        weights = share * self_relation + (1 - share) * cross_relation
        weighted: Tensor = weights @ x.flatten(2)
        return weighted.view_as(x)


class SharedFeatures(nn.Module):
    """Without REN (Table II, row 5): both tasks use the same features."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features twice."""
        return x, x


class TaskConvolutions(nn.Module):
    """Convolutions in place of REN (Table II, row 6), of about its cost.

    The paper prints only the size of the whole network, 77.2 M parameters. Here each task has a
    1x1 and a 3x3 convolution with a quarter of the channels between them, added to the features:
    77.4 M parameters in the form `paper`.
    """

    def __init__(self, channels: int) -> None:
        """Create the module; the number of `channels` does not change."""
        super().__init__()
        self.detection_convolutions = self._task(channels)
        self.identity_convolutions = self._task(channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map features (B, C, H, W) to those for detection and identity, of the same shape."""
        return x + self.detection_convolutions(x), x + self.identity_convolutions(x)

    @staticmethod
    def _task(channels: int) -> nn.Sequential:
        return nn.Sequential(CSPConv(channels, channels // 4), CSPConv(channels // 4, channels, 3))


def split_features(kind: str, channels: int, form: str) -> nn.Module:
    """Create the module of a level: `ren`, `cnn`, or `none`."""
    if kind == "ren":
        return ReciprocalNetwork(channels, form)
    return TaskConvolutions(channels) if kind == "cnn" else SharedFeatures()
