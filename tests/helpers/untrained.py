"""Networks and checkpoints with random weights for every part of a pipeline that has weights."""

import torch
from torch import nn

from mottool.benchmarking.random_weights import random_checkpoint as checkpoint
from mottool.benchmarking.random_weights import random_network as network

__all__ = ["checkpoint", "network", "unsure"]


def unsure(name: str) -> nn.Module:
    """Build a FairMOT that sees people everywhere, with low scores."""
    made = network(name).eval()
    with torch.no_grad():
        made.heatmap[2].weight.mul_(0.2)
        made.heatmap[2].bias.fill_(-1.0)
        made.size[2].bias.copy_(torch.tensor([2.0, 4.0, 2.0, 4.0]))  # cells to each side
    return made
