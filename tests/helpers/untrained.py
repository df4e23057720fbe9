"""Networks and checkpoints with random weights for every part of a pipeline that has weights."""

from pathlib import Path

import torch
from torch import nn
from torchvision.models import detection

from mottool.benchmarking.random_weights import random_checkpoint as checkpoint
from mottool.benchmarking.random_weights import random_network as network
from mottool.models.folding import fold_batch_norms
from mottool.models.interfaces import Deployable
from mottool.networks.registry import NETWORKS
from mottool.pipelines.detectors.torchvision import KINDS

__all__ = ["checkpoint", "deployed", "network", "people_detector", "unsure"]


def deployed(name: str) -> nn.Module:
    """Build a one-shot network or an OSNet in the form in which pipelines call it."""
    made = network(name).eval()
    if name not in NETWORKS:
        made.classifier = nn.Identity()
        return fold_batch_norms(made).to(memory_format=torch.channels_last)
    return made.deployed() if isinstance(made, Deployable) else made


def unsure(name: str) -> nn.Module:
    """Build a FairMOT that sees people everywhere, with low scores."""
    made = network(name).eval()
    with torch.no_grad():
        made.heatmap[2].weight.mul_(0.2)
        made.heatmap[2].bias.fill_(-1.0)
        made.size[2].bias.copy_(torch.tensor([2.0, 4.0, 2.0, 4.0]))  # cells to each side
    return made


def people_detector(folder: Path, name: str) -> Path:
    """Save a torchvision detector with random weights whose highest class is always person."""
    torch.manual_seed(0)
    build = getattr(detection, KINDS[name].build)
    network = build(weights=None, weights_backbone=None, num_classes=91)
    ahead = 50 if name == "fasterrcnn" else 2  # its random logits differ by up to tens
    for module in network.modules():
        bias = getattr(module, "bias", None)
        if isinstance(bias, torch.Tensor) and len(bias) in {91, 6 * 91, 9 * 91}:
            bias.data.view(-1, 91)[:, 1] += ahead
    torch.save(network.state_dict(), folder / f"{name}.pth")
    return folder / f"{name}.pth"
