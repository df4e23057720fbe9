"""Provenance of published checkpoints: `weights/manifest.toml` and the cards of bundled weights."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from mottool.errors import CheckpointError
from mottool.networks.registry import NETWORKS

__all__ = ["Listing", "bundled_file", "listings"]


@dataclass(frozen=True)
class Listing:
    """One checkpoint, or why there is none. The fields are the keys of `weights/README.md`."""

    name: str
    page: str
    licence: str
    command: str
    file: str = ""
    url: str = ""
    note: str = ""
    sha256: str = ""
    training_data: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    beside: Sequence[str] = field(default_factory=list)

    @property
    def file_name(self) -> str:
        """Return the name of the downloaded file: the authors', or one made from the network's."""
        return self.file or f"{self.name}.pth"


def bundled_file(name: str) -> Path:
    """Return the path of a bundled weights file. Raises `CheckpointError` if it is missing."""
    path = Path(str(files("mottool.weights") / name))
    if not path.is_file():
        fix = "install mottool again, from a wheel or a complete copy of its repository"
        raise CheckpointError(f"the bundled weights {path} are missing", fix)
    return path


def listings() -> list[Listing]:
    """Return every checkpoint: bundled ones first, then those of the manifest in its order.

    A network without a checkpoint in the manifest is listed as not published.
    """
    text = (files("mottool.weights") / "manifest.toml").read_text(encoding="utf-8")
    published = [_published(table) for table in tomllib.loads(text)["checkpoint"]]
    bundled = [_bundled(name, entry.bundled) for name, entry in NETWORKS.items() if entry.bundled]
    listed = {listing.name for listing in (*bundled, *published)}
    others = [_unpublished(name) for name in NETWORKS if name not in listed]
    return [*bundled, *published, *others]


def _command(name: str, file: str) -> str:
    """Return the command that uses a checkpoint of a network."""
    return f"mottool detect-embed SOURCE --pipeline {name} --weights {file or 'FILE'}"


def _published(table: dict[str, Any]) -> Listing:
    """Read a table of the manifest; the command of a network follows from its name and file."""
    if table["name"] in NETWORKS:
        table = {"command": _command(table["name"], table.get("file", ""))} | table
    return Listing(**table)


def _unpublished(name: str) -> Listing:
    """Return the listing of a network that has no checkpoint."""
    note = "No weights are published: train it"
    return Listing(name, page="", licence="", command=_command(name, ""), note=note)


def _bundled(name: str, file: str) -> Listing:
    """Return the listing of a bundled checkpoint, from its card."""
    card = tomllib.loads((files("mottool.weights") / f"{Path(file).stem}.toml").read_text("utf-8"))
    return Listing(
        name=name,
        page="comes with mottool",
        licence=card["licence"],
        command=f"mottool detect-embed SOURCE --pipeline {name}",
        file=file,
        note=card["origin"],
        sha256=card["sha256"],
        training_data=card["training_data"],
        metrics=card["metrics"],
    )
