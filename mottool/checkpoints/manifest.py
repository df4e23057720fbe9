"""The manifest of checkpoints: `weights/manifest.toml` and the cards of the bundled weights."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from mottool.pipelines.registry import NETWORKS

__all__ = ["Listing", "listings"]


@dataclass(frozen=True)
class Listing:
    """One checkpoint, or the note that none is published; weights/README.md defines the keys."""

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
        """The name of a downloaded file: the authors', or one made from the network's."""
        return self.file or f"{self.name}.pth"


def listings() -> list[Listing]:
    """Return every checkpoint: first the bundled ones, then the manifest's in its order."""
    text = (files("mottool.weights") / "manifest.toml").read_text(encoding="utf-8")
    entries = [Listing(**entry) for entry in tomllib.loads(text)["checkpoint"]]
    bundled = {name: entry.bundled for name, entry in NETWORKS.items() if entry.bundled}
    return [*(_bundled(name, file) for name, file in bundled.items()), *entries]


def _bundled(name: str, file: str) -> Listing:
    """Make the listing of a bundled weights file from its card."""
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
