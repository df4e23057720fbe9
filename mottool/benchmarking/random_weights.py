"""Checkpoints with random weights: the speed of a network does not depend on their values."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision.models import detection

from mottool.checkpoints.download import find_downloaded
from mottool.models.fairmot import BACKBONES
from mottool.networks.registry import NETWORKS, load
from mottool.pipelines.detectors import torchvision
from mottool.pipelines.embedders import osnet
from mottool.pipelines.options import Options

__all__ = ["random_checkpoint", "random_network", "with_random_weights"]


def with_random_weights(
    pipeline: str, options: Options, folder: Path
) -> tuple[Options, tuple[str, ...]]:
    """Give the parts of a pipeline without weights random ones; return the options and the names.

    Weights that are given, bundled or downloaded are kept. The files are written to `folder`, where
    another process finds them again.
    """
    names = []
    flags = ("weights", "embedder_weights")
    for part, flag in zip(pipeline.split("+"), flags, strict=False):
        buildable = part in NETWORKS or part in torchvision.KINDS or part in osnet.VARIANTS
        bundled = part in NETWORKS and NETWORKS[part].bundled
        if not buildable or bundled or getattr(options, flag) or find_downloaded(part):
            continue
        path = folder / f"{part}.pth"
        weights: Any = {flag: path if path.exists() else random_checkpoint(part, folder)}
        options = replace(options, **weights)
        names.append(part)
    return options, tuple(names)


def random_network(name: str, embedding_size: int | None = None) -> nn.Module:
    """Build a one-shot network, a detector of torchvision or an OSNet with random weights.

    `embedding_size` applies to one-shot networks whose entry does not fix it. The weights are the
    same at every call.
    """
    torch.manual_seed(0)
    network: nn.Module
    if name in osnet.VARIANTS:
        file, _ = osnet.VARIANTS[name]
        network = getattr(osnet.authors_module(file), name)(num_classes=1, pretrained=False)
    elif name in torchvision.KINDS:
        build = getattr(detection, torchvision.KINDS[name].build)
        network = build(weights=None, weights_backbone=None, num_classes=torchvision.CLASSES)
    else:
        network = _one_shot(name, embedding_size)
    return network


def _one_shot(name: str, embedding_size: int | None) -> Any:
    """Build a network of the registry."""
    entry = NETWORKS[name]
    network = load(entry.family.network)
    sized = {"embedding_size": embedding_size} if embedding_size and entry.family.embeds else {}
    if "embedding_size" in entry.arguments:
        sized = {"embedding_size": entry.arguments["embedding_size"]}
    if name.startswith("fairmot-dla34-anchors"):
        return network(entry.arguments["stride"], **sized)
    if name.startswith("fairmot") or name == "outrack":
        backbone = entry.arguments.get("backbone", "dla34")
        return network(BACKBONES[backbone](), **sized)
    if name.startswith("jde"):
        return network(**entry.arguments, **sized)
    if name.startswith("cstrack"):
        scale = 0.3 if name.endswith("-s") else 1.0
        return network(scale, scale, **sized)
    if name.startswith("tdt"):
        return _normalised(network(name, **sized))
    return network(**sized) if name in {"otrack", "mottool-s"} else network(name, **sized)


def _normalised(network: nn.Module) -> nn.Module:
    """Give batch norms the statistics of a random image.

    The small initial weights of the heads would otherwise make the embeddings vanish.
    """

    def take_statistics(norm: Any, inputs: tuple[torch.Tensor]) -> None:
        norm.running_mean.copy_(inputs[0].mean((0, 2, 3)))
        norm.running_var.copy_(inputs[0].var((0, 2, 3), unbiased=False))

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(take_statistics) for norm in norms]
    with torch.no_grad():
        network.eval()(torch.randn(1, 3, 256, 256))
    for hook in hooks:
        hook.remove()
    return network.train()


def random_checkpoint(name: str, folder: Path, embedding_size: int | None = None) -> Path:
    """Write a random network as FOLDER/NAME.pth, in the layout of the authors' files."""
    path = folder / f"{name}.pth"
    torch.save({"state_dict": random_network(name, embedding_size).state_dict()}, path)
    return path
