"""Initialise a network from a checkpoint, as far as it fits, or from ImageNet weights."""

from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor
from torchvision.models import get_model_weights

from mottool.checkpoints.darknet import read_darknet_backbone
from mottool.checkpoints.fitting import NotFiniteError, check_finite
from mottool.checkpoints.manifest import bundled_file
from mottool.checkpoints.read import is_darknet, read
from mottool.errors import CheckpointError, InputError, SettingError
from mottool.models.backbones.darknet import FILES, DarkNet53
from mottool.networks.registry import NETWORKS
from mottool.pipelines.load_network import load_network
from mottool.training.learner import Learner

__all__ = ["IMAGENET", "initialise"]

IMAGENET = "imagenet"
MAX_NAMES = 6  # in the report
SMALLEST_SHARE = 0.05  # of the network's tensors; a backbone has more, and chance matches fewer


def initialise(learner: Learner, source: str, torchvision_backbone: str = "") -> str:
    """Load the tensors of `source` that fit into the network of `learner`; return a report.

    `source` is `imagenet`, the name of a network with bundled weights, or a checkpoint: ours, the
    authors' of any network, one whose tensor names the learner can map, or for JDE a darknet file
    of DarkNet-53. `torchvision_backbone` is torchvision's name of the backbone, for `imagenet`.

    Raises `CheckpointError` if the file cannot be read, if less than 5 % of the network's tensors
    and less than half of the file's fit, or if one of these contains NaN, `SettingError` if
    torchvision has no such backbone, and `InputError` if its weights cannot be downloaded.
    """
    tensors = (
        _imagenet(learner, torchvision_backbone)
        if source == IMAGENET
        else _checkpoint(learner, _path(source))
    )
    expected = learner.network.state_dict()
    fitting = {
        name: value
        for name, value in tensors.items()
        if name in expected and expected[name].shape == value.shape
    }
    few = len(fitting) < SMALLEST_SHARE * len(expected)
    if not fitting or (few and len(fitting) < len(tensors) / 2):
        fix = "give a checkpoint of the same network, or of one with the same backbone"
        number = f"only {len(fitting)}" if fitting else "none"
        problem = f"{number} of this network's {len(expected)} tensors are in {source}"
        raise CheckpointError(problem, fix)
    try:
        check_finite(fitting)
    except NotFiniteError as error:
        raise NotFiniteError(f"{source}: {error.problem}", error.fix) from error
    learner.network.load_state_dict(fitting, strict=False)
    missing = [
        name for name in expected if name not in fitting and not name.endswith("batches_tracked")
    ]
    report = f"{source}: {len(fitting)} of the network's {len(expected)} tensors are taken from it"
    if not missing:
        return report
    more = f" and {len(missing) - MAX_NAMES} more" if len(missing) > MAX_NAMES else ""
    return f"{report}; random weights remain in {', '.join(missing[:MAX_NAMES])}{more}"


def _path(source: str) -> Path:
    """Return the path of a checkpoint, or of the bundled weights of a network's name."""
    bundled = NETWORKS[source].bundled if source in NETWORKS else ""
    return bundled_file(bundled) if bundled and not Path(source).exists() else Path(source)


def _checkpoint(learner: Learner, path: Path) -> Mapping[str, Tensor]:
    """Read the tensors of a weights file under our names."""
    try:
        return load_network(path).network.state_dict()
    except CheckpointError:
        # Not a complete known network, or unreadable, which is reported by the next reader.
        prefix = _darknet53(learner)
        if prefix is not None and is_darknet(path):
            return read_darknet_backbone(path, DarkNet53.darknet_layers(prefix), FILES)
        return learner.map_tensor_names(read(path).tensors)


def _darknet53(learner: Learner) -> str | None:
    """Return the prefix of DarkNet-53's tensors in a network; None if it has no DarkNet-53."""
    names = (name for name, part in learner.network.named_modules() if isinstance(part, DarkNet53))
    name = next(names, None)
    return None if name is None else f"{name}."


def _imagenet(learner: Learner, backbone: str) -> Mapping[str, Tensor]:
    """Return torchvision's ImageNet weights of the backbone, downloaded if necessary."""
    if not backbone:
        fix = "give --init a checkpoint, or omit it"
        raise SettingError("torchvision has no ImageNet weights of this backbone", fix)
    weights = get_model_weights(backbone).DEFAULT
    try:
        tensors: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise InputError(
            f"cannot download {weights.url}: {error}",
            f"put the file into {folder}, or start from a checkpoint",
        ) from error
    return learner.map_tensor_names(tensors)
