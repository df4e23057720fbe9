"""Load a network from a weights file, by its name or identified from its tensors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from mottool.checkpoints.darknet import DarknetLayer
from mottool.checkpoints.fitting import NotFiniteError
from mottool.checkpoints.read import Checkpoint, read
from mottool.errors import CheckpointError, SettingError, did_you_mean
from mottool.networks.registry import NETWORKS, OSNET, describe, identify, load
from mottool.pipelines.embedders.osnet import VARIANTS, build_network

__all__ = ["LoadedNetwork", "load_network"]


@dataclass(frozen=True)
class LoadedNetwork:
    """The network `name`, in evaluation mode on the CPU.

    If no name was given, `others` are the networks that the file fits equally well: those of JDE,
    which differ only in input size and anchors.
    """

    name: str
    network: nn.Module
    checkpoint: Checkpoint
    others: tuple[str, ...] = ()


def load_network(path: Path, name: str | None = None) -> LoadedNetwork:
    """Load the network `name` with the tensors of `path`; without a name, identify it.

    Raises `SettingError` for an unknown name, and `CheckpointError` for a file that cannot be read,
    does not fit, or belongs to no known network.
    """
    names = (*NETWORKS, *VARIANTS)
    if name is not None and name not in names:
        raise SettingError(f"there is no network {name!r}", did_you_mean(name, names))
    reads_darknet = name is None or (name in NETWORKS and NETWORKS[name].family.darknet)
    checkpoint = read(path, _darknet_layers if reads_darknet else None)
    failures = []
    for guess in _guesses(path, checkpoint) if name is None else [name]:
        try:
            network = _maker(guess)(checkpoint.tensors).eval()
            others = () if name else _others(guess)
            return LoadedNetwork(guess, network, checkpoint, others)
        except NotFiniteError as error:  # damaged for any network
            raise NotFiniteError(f"{path}: {error.problem}", error.fix) from error
        except CheckpointError as error:
            failures.append(CheckpointError(f"{path}: {error.problem}", error.fix))
    raise failures[0]


def _darknet_layers() -> list[DarknetLayer]:
    """Return the layers of a file of Darknet, which are JDE's."""
    from mottool.models.jde import JDE  # with torchvision, whose import takes a second

    return JDE.darknet_layers()


def _maker(name: str) -> Callable[[Mapping[str, Tensor]], nn.Module]:
    """Return the function that builds the network `name` from tensors."""
    if name in VARIANTS:
        return partial(build_network, name)
    entry = NETWORKS[name]
    return partial(load(entry.family.network).from_checkpoint, **entry.arguments)


def _others(name: str) -> tuple[str, ...]:
    """Return the networks whose checkpoints cannot be distinguished from those of `name`."""
    if name not in NETWORKS or "size" not in NETWORKS[name].arguments:
        return ()
    family = NETWORKS[name].family
    return tuple(other for other in NETWORKS if other != name and NETWORKS[other].family == family)


def _guesses(path: Path, checkpoint: Checkpoint) -> list[str]:
    """Return the names of the networks that the tensors may belong to, at least one."""
    description = describe(checkpoint.tensors)
    if description is None:
        names = ", ".join(list(checkpoint.tensors)[:3])
        fix = "name its network with --pipeline"
        raise CheckpointError(f"{path} belongs to no known network ({names} …)", fix)
    guesses = VARIANTS if description == OSNET else identify(checkpoint.tensors)
    if not guesses:
        fix = "give the checkpoint of a pipeline; `mottool weights list` names them"
        raise CheckpointError(f"{path} looks like {description}, which mottool does not have", fix)
    return list(guesses)
