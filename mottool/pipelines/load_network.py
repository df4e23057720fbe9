"""Networks by the name of their pipeline or embedder, with the tensors of a weights file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path

from torch import Tensor, nn

from mottool.checkpoints.fitting import NotFiniteError
from mottool.checkpoints.read import Checkpoint, read
from mottool.errors import CheckpointError, SettingError, did_you_mean
from mottool.models.jde import JDE
from mottool.networks.registry import NETWORKS, OSNET, describe, identify, load
from mottool.pipelines.embedders.osnet import VARIANTS, build_network

__all__ = ["LoadedNetwork", "bundled_file", "load_network"]


@dataclass(frozen=True)
class LoadedNetwork:
    """The network of the pipeline or embedder `name`, in evaluation mode on the CPU.

    `others` are pipelines that its tensors may as well be for, where no name was given: JDE's
    sizes, which differ in their anchors alone.
    """

    name: str
    network: nn.Module
    checkpoint: Checkpoint
    others: tuple[str, ...] = ()


def bundled_file(name: str) -> Path:
    """Return the path of a weights file in the box; a `CheckpointError` if it is not installed."""
    path = Path(str(files("mottool.weights") / name))
    if not path.is_file():
        fix = "install mottool again, from a wheel or a whole copy of its repository"
        raise CheckpointError(f"the weights {path} that belong to mottool are missing", fix)
    return path


def load_network(path: Path, name: str | None = None) -> LoadedNetwork:
    """The network `name` with the tensors of `path`; without a name, the one they look like.

    Raises `SettingError` for a name that no network has, and `CheckpointError` for a file that
    cannot be read, does not fit, or is of no network that is known here.
    """
    names = (*NETWORKS, *VARIANTS)
    if name is not None and name not in names:
        raise SettingError(f"there is no network {name!r}", did_you_mean(name, names))
    takes_darknet = name is None or (name in NETWORKS and NETWORKS[name].family.darknet)
    checkpoint = read(path, JDE.darknet_layers if takes_darknet else None)
    failures = []
    for guess in _guesses(path, checkpoint) if name is None else [name]:
        try:
            network = _maker(guess)(checkpoint.tensors).eval()
            others = () if name else _others(guess)
            return LoadedNetwork(guess, network, checkpoint, others)
        except NotFiniteError as error:  # whatever it is for, it is broken
            raise NotFiniteError(f"{path}: {error.problem}", error.fix) from error
        except CheckpointError as error:
            failures.append(CheckpointError(f"{path}: {error.problem}", error.fix))
    raise failures[0]


def _maker(name: str) -> Callable[[Mapping[str, Tensor]], nn.Module]:
    """What makes the network `name` of a checkpoint's tensors."""
    if name in VARIANTS:
        return partial(build_network, name)
    entry = NETWORKS[name]
    return partial(load(entry.family.network).from_checkpoint, **entry.arguments)


def _others(name: str) -> tuple[str, ...]:
    """The pipelines that no file tells from `name`."""
    if name not in NETWORKS or "size" not in NETWORKS[name].arguments:
        return ()
    family = NETWORKS[name].family
    return tuple(other for other in NETWORKS if other != name and NETWORKS[other].family == family)


def _guesses(path: Path, checkpoint: Checkpoint) -> list[str]:
    """The names of the networks that the tensors may be for, one at least."""
    description = describe(checkpoint.tensors)
    if description is None:
        some = ", ".join(list(checkpoint.tensors)[:3])
        fix = "name the pipeline that it is for with --pipeline"
        raise CheckpointError(f"{path} is for no network that is known here ({some} …)", fix)
    guesses = VARIANTS if description == OSNET else identify(checkpoint.tensors)
    if not guesses:
        fix = "give the checkpoint of a pipeline; `mottool weights list` names them"
        raise CheckpointError(f"{path} looks like {description}, which no pipeline takes", fix)
    return list(guesses)
