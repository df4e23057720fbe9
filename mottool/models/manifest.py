"""The manifest of checkpoints: what `weights/manifest.toml` says, entry by entry."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

__all__ = ["Listing", "listings"]


@dataclass(frozen=True)
class Listing:
    """One checkpoint, or the word that there is none: the keys of weights/README.md."""

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
        """The name that a downloaded file gets: the authors', or one made of the network's."""
        return self.file or f"{self.name}.pth"


def listings() -> list[Listing]:
    """Every checkpoint of the manifest, in its order."""
    text = (files("mottool.weights") / "manifest.toml").read_text(encoding="utf-8")
    return [Listing(**entry) for entry in tomllib.loads(text)["checkpoint"]]
