"""Every pipeline by name: which network it is, how its frames are prepared, at which size."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from mottool.errors import CheckpointError, SettingError, did_you_mean
from mottool.pipelines.pipeline import Pipeline

__all__ = ["NETWORKS", "NetworkEntry", "one_shot", "public", "resolve"]

PUBLIC = "public"


@dataclass(frozen=True)
class NetworkEntry:
    """A network that detects and embeds in one pass.

    `network` is `module:class` with `from_checkpoint(tensors, **arguments)`; `view` is
    `module:class`, made of the network input's `width` and `height` in pixels.
    """

    network: str
    view: str
    width: int
    height: int
    arguments: dict[str, str]


LETTERBOX = "mottool.models.preprocessing:Letterbox"
FAIRMOT = "mottool.models.fairmot:FairMOT"

NETWORKS = {
    "fairmot-dla34": NetworkEntry(FAIRMOT, LETTERBOX, 1088, 608, {"backbone": "dla34"}),
}


def resolve(name: str) -> Any:
    """The object that `module:attribute` names."""
    module, attribute = name.split(":")
    return getattr(import_module(module), attribute)


def public(embedder: str | None, detections: Path | None, scale: float | None) -> Pipeline:
    """The pipeline of public detections; without an `embedder` the one that suits the file."""
    from mottool.detectors.public import holds_features
    from mottool.pipelines.public import Public

    if embedder is None:
        embedder = "file" if detections and holds_features(detections) else "histogram"
    return Public(embedder, detections, scale)


def one_shot(
    name: str, weights: Path | None, device: str, min_score: float, batch: int
) -> Pipeline:
    """The pipeline of one of `NETWORKS`, loaded from the checkpoint `weights`.

    Raises `SettingError` for an unknown name, missing weights or a device that is not here, and
    `CheckpointError` for a file that does not fit.
    """
    if name not in NETWORKS:
        known = (PUBLIC, *NETWORKS)
        raise SettingError(f"there is no pipeline {name!r}", did_you_mean(name, known))
    if weights is None:
        raise SettingError(f"{name} needs its weights", "give its authors' file with --weights")
    from mottool.models.checkpoints import read
    from mottool.pipelines.one_shot import OneShot

    entry = NETWORKS[name]
    where = _device(device)
    checkpoint = read(weights)
    try:
        network = resolve(entry.network).from_checkpoint(checkpoint.tensors, **entry.arguments)
    except CheckpointError as error:
        raise CheckpointError(f"{weights}: {error.problem}", error.fix) from error
    view = resolve(entry.view)(entry.width, entry.height)
    network = network.eval().to(where)
    return OneShot(name, network, checkpoint.sha256, view, where, min_score, batch)


def _device(name: str) -> Any:
    """The torch device of `auto`, `cpu`, `cuda` or `cuda:N`."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingError(
            f"there is no device {name!r}", "give auto, cpu, cuda or cuda:N"
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        fix = "give --device cpu, or install a torch and a driver that see the GPU"
        raise SettingError(f"this machine has no {name} that torch can use", fix)
    return device
