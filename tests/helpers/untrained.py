"""Checkpoints with random weights for every part of a pipeline that has weights."""

from pathlib import Path

import torch
from torch import nn
from torchvision.models import detection

from mottool.models.fairmot import BACKBONES
from mottool.networks.registry import NETWORKS, load
from mottool.pipelines.detectors import torchvision
from mottool.pipelines.embedders import osnet

__all__ = ["checkpoint", "network", "unsure"]


def network(name: str, embedding_size: int | None = None) -> nn.Module:
    """Build the network of a pipeline, detector or embedder with random weights.

    `embedding_size` applies to one-shot networks whose entry does not fix it.
    """
    torch.manual_seed(0)
    if name in osnet.VARIANTS:
        file, _ = osnet.VARIANTS[name]
        return getattr(osnet.authors_module(file), name)(num_classes=1, pretrained=False)
    if name in torchvision.KINDS:
        build = getattr(detection, torchvision.KINDS[name].build)
        return build(weights=None, weights_backbone=None, num_classes=91)
    entry = NETWORKS[name]
    kind = load(entry.family.network)
    sized = {"embedding_size": embedding_size} if embedding_size and entry.family.embeds else {}
    if "embedding_size" in entry.arguments:
        sized = {"embedding_size": entry.arguments["embedding_size"]}
    if name.startswith("fairmot-dla34-anchors"):
        return kind(entry.arguments["stride"], **sized)
    if name.startswith("fairmot") or name == "outrack":
        backbone = entry.arguments.get("backbone", "dla34")
        return kind(BACKBONES[backbone](), **sized)
    if name.startswith("jde"):
        return kind(**entry.arguments, **sized)
    if name.startswith("cstrack"):
        scale = 0.3 if name.endswith("-s") else 1.0
        return kind(scale, scale, **sized)
    if name.startswith("tdt"):
        return _normalised(kind(name, **sized))
    return kind(**sized) if name in {"otrack", "mottool-s"} else kind(name, **sized)


def _normalised(network: nn.Module) -> nn.Module:
    """Give batch norms the statistics of a random image.

    The small initial weights of the heads would otherwise make the embeddings vanish.
    """

    def take_statistics(norm: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        norm.running_mean.copy_(inputs[0].mean((0, 2, 3)))
        norm.running_var.copy_(inputs[0].var((0, 2, 3), unbiased=False))

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(take_statistics) for norm in norms]
    with torch.no_grad():
        network.eval()(torch.randn(1, 3, 256, 256))
    for hook in hooks:
        hook.remove()
    return network.train()


def unsure(name: str) -> nn.Module:
    """Build a FairMOT that sees people everywhere, with low scores."""
    made = network(name).eval()
    with torch.no_grad():
        made.heatmap[2].weight.mul_(0.2)
        made.heatmap[2].bias.fill_(-1.0)
        made.size[2].bias.copy_(torch.tensor([2.0, 4.0, 2.0, 4.0]))  # cells to each side
    return made


def checkpoint(name: str, folder: Path, embedding_size: int | None = None) -> Path:
    """Write a checkpoint of the network in the layout of the authors' files."""
    path = folder / f"{name}.pth"
    torch.save({"state_dict": network(name, embedding_size).state_dict()}, path)
    return path
