"""All networks by name, and what follows from their declarations."""

from collections.abc import Iterable
from importlib import import_module
from os.path import commonprefix
from textwrap import fill
from typing import Any

from mottool.errors import SettingError, did_you_mean
from mottool.networks import cstrack, fairmot, jde, mottool_s, otrack, outrack, tdt
from mottool.networks.entry import NetworkEntry, NetworkFamily, Signature
from mottool.settings import Settings

__all__ = [
    "DEFAULT",
    "NETWORKS",
    "OSNET",
    "describe",
    "families",
    "identify",
    "learning_settings",
    "load",
    "names_help",
    "trainable",
]

DECLARED = (mottool_s, fairmot, jde, cstrack, outrack, otrack, tdt)  # in the order of help texts
NETWORKS: dict[str, NetworkEntry] = {
    entry.name: entry for declaration in DECLARED for entry in declaration.NETWORKS
}
DEFAULT = "mottool-s"  # the network that is used if none is named
OSNET = "osnet"
# Checkpoints of other networks that users mistake for one of these.
OTHERS = {
    OSNET: (Signature.of("conv1.conv.weight", "conv5.conv.weight", "fc.0.weight"),),
    "a plain YOLOv5 detector": (
        Signature.of("model.0.conv.conv.weight", "model.24.m.0.weight"),
        Signature.of("model.0.conv.weight", "model.24.m.0.weight"),
    ),
    "a plain CenterNet detector": (
        Signature.of(
            "hm.0.weight",
            "wh.0.weight",
            "reg.0.weight",
            absent=("id.0.weight", "tracking.0.weight"),
        ),
    ),
}


def load(path: str) -> Any:
    """Import the object that `module:name` names."""
    module, name = path.split(":")
    return getattr(import_module(module), name)


def identify(tensor_names: Iterable[str]) -> tuple[str, ...]:
    """Return the networks whose checkpoints have such tensor names.

    Several are returned if the names do not distinguish them.
    """
    names = frozenset(tensor_names)
    return tuple(
        entry.name
        for entry in NETWORKS.values()
        if any(signature.matches(names) for signature in entry.signatures)
    )


def describe(tensor_names: Iterable[str]) -> str | None:
    """Describe the network that a checkpoint belongs to by its tensor names; None if unknown.

    The description is the common beginning of the names of the networks that `identify` returns, or
    that of a network that mottool does not have ("a plain YOLOv5 detector").
    """
    names = frozenset(tensor_names)
    if networks := identify(names):
        return commonprefix(networks).rstrip("-")
    known = (
        description
        for description, signatures in OTHERS.items()
        if any(signature.matches(names) for signature in signatures)
    )
    return next(known, None)


def families() -> tuple[NetworkFamily, ...]:
    """Return the families in the order of help texts."""
    return tuple(dict.fromkeys(entry.family for entry in NETWORKS.values()))


def trainable(name: str) -> NetworkEntry:
    """Return the entry of a network that can be trained. Raises `SettingError` for other names."""
    known = [entry.name for entry in NETWORKS.values() if entry.family.learner]
    if name not in known:
        fix = did_you_mean(name, known)
        raise SettingError(f"there is no network {name!r} that can be trained", fix)
    return NETWORKS[name]


def learning_settings() -> dict[str, type[Settings]]:
    """Return the settings of training of each family, by its title."""
    return {family.title: family.learning for family in families() if family.learner}


def names_help(entries: Iterable[NetworkEntry]) -> str:
    """Return the names of networks for a help text, one family per line.

    The part before the first hyphen is written once per family: `tdt-r34, -r50`.
    """
    names: dict[str, list[str]] = {}
    for entry in entries:
        names.setdefault(entry.family.title, []).append(entry.name)
    lines = []
    for title, (first, *others) in names.items():
        prefix = first.partition("-")[0]
        listed = ", ".join([first, *(name.removeprefix(prefix) for name in others)])
        lines.append(fill(f"{title}: {listed}", 76, subsequent_indent="    "))
    return "\n".join(lines)
