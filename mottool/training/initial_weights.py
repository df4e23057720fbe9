"""What a training starts from: a checkpoint, of which whatever fits is taken, or ImageNet."""

from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor
from torchvision.models import get_model_weights

from mottool.checkpoints.darknet import read_darknet_backbone
from mottool.checkpoints.fitting import NotFiniteError, need_finite
from mottool.checkpoints.read import is_darknet, read
from mottool.errors import CheckpointError, InputError, SettingError
from mottool.models.backbones.darknet import FILES, DarkNet53
from mottool.networks.registry import NETWORKS
from mottool.pipelines.load_network import bundled_file, load_network
from mottool.training.learner import Learner

__all__ = ["IMAGENET", "initialise"]

IMAGENET = "imagenet"
SHOWN = 6  # names in the report


def initialise(learner: Learner, source: str, torchvision_backbone: str = "") -> str:
    """Give the network of `learner` the tensors of `source` that fit, and report which did.

    `source` is `imagenet`, a network whose weights are in the box, or a checkpoint: ours, the
    authors' of any network here, one whose names the learner knows, or for JDE a file of
    darknet's that holds DarkNet-53. Raises `CheckpointError` if it cannot be read, nothing in it
    fits or what fits holds NaN, `SettingError` for ImageNet where torchvision has no such
    backbone, and `InputError` if its weights cannot be downloaded.
    """
    given = (
        _imagenet(learner, torchvision_backbone)
        if source == IMAGENET
        else _checkpoint(learner, _path(source))
    )
    own = learner.network.state_dict()
    fitting = {
        name: value
        for name, value in given.items()
        if name in own and own[name].shape == value.shape
    }
    if not fitting:
        fix = "give a checkpoint of the same network, or of one with the same backbone"
        raise CheckpointError(f"nothing in {source} fits this network", fix)
    try:
        need_finite(fitting)
    except NotFiniteError as error:
        raise NotFiniteError(f"{source}: {error.problem}", error.fix) from error
    learner.network.load_state_dict(fitting, strict=False)
    left = [name for name in own if name not in fitting and not name.endswith("batches_tracked")]
    told = f"{source}: {len(fitting)} of the network's {len(own)} tensors are taken from it"
    if not left:
        return told
    more = f" and {len(left) - SHOWN} more" if len(left) > SHOWN else ""
    return f"{told}; at random start {', '.join(left[:SHOWN])}{more}"


def _path(source: str) -> Path:
    """Return the file that `source` is, or the weights in the box of the network it names."""
    bundled = NETWORKS[source].bundled if source in NETWORKS else ""
    return bundled_file(bundled) if bundled and not Path(source).exists() else Path(source)


def _checkpoint(learner: Learner, path: Path) -> Mapping[str, Tensor]:
    """The tensors of a weights file under the names of our networks."""
    try:
        return load_network(path).network.state_dict()
    except CheckpointError:
        # Of no whole network that is known here, or it cannot be read, which this tells again.
        prefix = _darknet53(learner)
        if prefix is not None and is_darknet(path):
            return read_darknet_backbone(path, DarkNet53.darknet_layers(prefix), FILES)
        return learner.our_names(read(path).tensors)


def _darknet53(learner: Learner) -> str | None:
    """What the names of DarkNet-53 begin with in a network; None if it is not in there."""
    found = (name for name, part in learner.network.named_modules() if isinstance(part, DarkNet53))
    name = next(found, None)
    return None if name is None else f"{name}."


def _imagenet(learner: Learner, backbone: str) -> Mapping[str, Tensor]:
    """torchvision's weights of the backbone, which it downloads unless it has them."""
    if not backbone:
        fix = "give --init a checkpoint, or leave it out"
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
    return learner.our_names(tensors)
