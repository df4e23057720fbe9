"""A moving average of a network's weights, which often tracks better than the last ones.

Polyak & Juditsky, "Acceleration of stochastic approximation by averaging", 1992; with the growing
decay of YOLOv5's training, so that the random beginning does not linger.
"""

import math
from copy import deepcopy

import torch
from torch import nn

__all__ = ["Average"]

GROWTH = 2000  # steps after which the decay is 63 % of what it grows to


class Average(nn.Module):
    """The average of a network's parameters and buffers; whole numbers in them are copied."""

    steps: torch.Tensor

    def __init__(self, network: nn.Module, decay: float) -> None:
        """`decay` in [0, 1): what each step leaves of the average."""
        super().__init__()
        self.network = deepcopy(network).requires_grad_(False).eval()
        self.decay = decay
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move towards `network` by one step."""
        self.steps += 1
        decay = self.decay * (1 - math.exp(-int(self.steps) / GROWTH))
        current = network.state_dict()
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                value.lerp_(current[name].to(value), 1 - decay)
            else:
                value.copy_(current[name])
