"""Read and write mottool's weights files: safetensors, each with a card in TOML beside it.

A card MUST hold `schema`, `pipeline`, `sha256` (of the weights file, in hex) and `origin` (where
the weights come from). It MAY hold `input` (WxH, the network's input that it was trained at),
`licence` (of the weights) and `tracker` (the tracker that suits them best). Its tables
`training_data` (name and licence of each data set) and `metrics` (name and value of each metric)
MAY be empty, which means that nothing is known. It MAY hold a table `trackers`, which has one table
per tracker: the settings that suit these weights.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import tomli_w
from safetensors.torch import save
from torch import Tensor

from mottool.errors import CheckpointError
from mottool.files import atomic_write, file_digest

__all__ = ["Card", "card_path", "read_card", "save_weights"]

SCHEMA = "mottool/card/1"
TABLES = ("training_data", "metrics")
REQUIRED, OPTIONAL = {"pipeline", "sha256", "origin"}, {"input", "licence", "tracker"}
SIZE = re.compile(r"([1-9]\d*x[1-9]\d*)?")
RESTORE_FIX = "copy both files again from their source, or write them again"


@dataclass(frozen=True)
class Card:
    """The card of a weights file; the module's docstring defines each entry."""

    pipeline: str
    sha256: str
    origin: str
    training_data: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    input: str = ""
    licence: str = ""
    tracker: str = ""
    trackers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def check(self, weights: Path, sha256: str) -> None:
        """Raise `CheckpointError` unless `sha256`, that of the file `weights`, is the card's."""
        if sha256 != self.sha256:
            problem = f"{weights} is not the file that its card describes (sha256 {sha256[:16]}… "
            raise CheckpointError(f"{problem}instead of {self.sha256[:16]}…)", RESTORE_FIX)

    def tracker_settings(self) -> dict[str, Any]:
        """Return the tracker and the trackers' settings in the form of a cache's header."""
        if not self.trackers:
            return {}
        trackers = {name: dict(table) for name, table in self.trackers.items()}
        return {"trackers": trackers} | ({"tracker": self.tracker} if self.tracker else {})


def card_path(weights: Path) -> Path:
    """Return the path of the card of a weights file: its path with the suffix .toml."""
    return weights.with_suffix(".toml")


def save_weights(
    path: Path,
    tensors: Mapping[str, Tensor],
    pipeline: str,
    origin: str,
    training_data: Mapping[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
    size: tuple[int, int] | None = None,
    trackers: Mapping[str, Mapping[str, Any]] | None = None,
) -> Card:
    """Write `tensors` to `path` and their card beside it, both atomically.

    Tensors keep their names and their precision; `size` (width, height) is the network's input and
    `trackers` are settings that suit it. Raises `OutputError` where nothing can be written.
    """
    # Copies, because safetensors refuses tensors that share memory.
    copies = {
        name: value.detach().to("cpu", copy=True).contiguous() for name, value in tensors.items()
    }
    with atomic_write(card_path(path)) as card_part:
        with atomic_write(path) as part:
            part.write_bytes(save(copies))  # safetensors' own writer hides why a write failed
            sha256 = file_digest(part)
        card = Card(
            pipeline,
            sha256,
            origin,
            training_data or {},
            metrics or {},
            input="x".join(map(str, size or ())),
            trackers=trackers or {},
        )
        card_part.write_text(_toml(card), encoding="utf-8")
    return card


def read_card(weights: Path) -> Card | None:
    """Read the card beside a weights file; return None if there is none.

    Raises `CheckpointError` for a card that is damaged or of another schema. `Card.check` checks
    that it is the card of this file.
    """
    if not weights.name:
        return None
    path = card_path(weights)
    if path == weights or not path.is_file():
        return None
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"cannot read the card {path}: {error}", RESTORE_FIX) from error
    if document.pop("schema", None) != SCHEMA:
        fix = "rename it if it is not a card; else use the mottool that wrote it"
        raise CheckpointError(f"{path} is not a card of the schema {SCHEMA}", fix)
    return _card(path, document)


def _card(path: Path, document: dict[str, Any]) -> Card:
    """Build the card of a TOML document after checking the type of every entry."""
    types: dict[str, type | tuple[type, ...]] = {"training_data": str, "metrics": (int, float)}
    tables = {name: document.pop(name, {}) for name in TABLES}
    trackers = document.pop("trackers", {})
    sound = set(document) - OPTIONAL == REQUIRED and all(
        isinstance(value, str) for value in document.values()
    )
    sound = sound and isinstance(trackers, dict)
    sound = sound and all(_is_settings(table) for table in trackers.values())
    sound = sound and SIZE.fullmatch(document.get("input", "")) is not None
    for name, table in tables.items():
        sound = sound and isinstance(table, dict)
        sound = sound and all(isinstance(value, types[name]) for value in table.values())
    if not sound:
        raise CheckpointError(
            f"the card {path} has entries missing, unknown or misshapen", RESTORE_FIX
        )
    return Card(**document, **tables, trackers=trackers)


def _is_settings(table: object) -> bool:
    """Return whether a value is a table of texts, numbers and booleans."""
    return isinstance(table, dict) and all(
        isinstance(value, str | int | float) for value in table.values()
    )


def _toml(card: Card) -> str:
    """Return the card as a TOML document, without entries that may be missing and are empty."""
    entries = {"schema": SCHEMA, **asdict(card)}
    entries["metrics"] = {name: float(value) for name, value in card.metrics.items()}
    optional = {*OPTIONAL, "trackers"}
    return tomli_w.dumps(
        {name: value for name, value in entries.items() if value or name not in optional}
    )
