"""Our own weights files: safetensors, and beside each a card in TOML that says what it is.

A card MUST hold `schema`, `pipeline`, `sha256` (of the weights file, in hex) and `origin` (where
the weights come from). It MAY hold `input` (WxH, the network's input that it was trained at),
`licence` (of the weights) and `tracker` (the tracker that suits them best). Its tables
`training_data` (each data set's name, and its licence) and `metrics` (what was measured, and the
figure) MAY be empty, which means that nothing is known. It MAY hold a table `trackers` with one
table for a tracker: the settings that were found to fit these weights.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from mottool.errors import CheckpointError
from mottool.files import atomic_write, file_digest

__all__ = ["Card", "card_of", "read_card", "save_weights"]

SCHEMA = "mottool/card/1"
TABLES = ("training_data", "metrics")
REQUIRED, OPTIONAL = {"pipeline", "sha256", "origin"}, {"input", "licence", "tracker"}
SIZE = re.compile(r"([1-9]\d*x[1-9]\d*)?")
AGAIN = "copy both files again from where they came from, or write them again"


@dataclass(frozen=True)
class Card:
    """What a weights file is; the module's docstring says what each entry means."""

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
        """Raise `CheckpointError` unless this describes the file `weights`, which has `sha256`."""
        if sha256 != self.sha256:
            problem = f"{weights} is not the file that its card describes (sha256 {sha256[:16]}… "
            raise CheckpointError(f"{problem}instead of {self.sha256[:16]}…)", AGAIN)


def card_of(weights: Path) -> Path:
    """Where the card of a weights file lies: beside it, under its name."""
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
    """Write `tensors` to `path` and their card beside it; both are whole or not there.

    Tensors keep their names and their precision; `size` (width, height) is the network's input and
    `trackers` are settings that fit it. Raises `OutputError` where nothing can be written.
    """
    # Each its own numbers, since safetensors takes no two tensors that share theirs.
    own = {
        name: value.detach().to("cpu", copy=True).contiguous() for name, value in tensors.items()
    }
    with atomic_write(card_of(path)) as card_part:
        with atomic_write(path) as part:
            part.write_bytes(save(own))  # its own writer hides why a disk refuses
            sha256 = file_digest(part)
        told = "x".join(map(str, size or ()))
        card = Card(
            pipeline,
            sha256,
            origin,
            training_data or {},
            metrics or {},
            told,
            trackers=trackers or {},
        )
        card_part.write_text(_toml(card), encoding="utf-8")
    return card


def read_card(weights: Path) -> Card | None:
    """The card beside a weights file, None where there is none.

    Raises `CheckpointError` for a card that is damaged or of another schema. Whether it describes
    this very file, `Card.check` says.
    """
    path = card_of(weights)
    if path == weights or not path.is_file():
        return None
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read the card {path}: {error}", AGAIN) from error
    if found.pop("schema", None) != SCHEMA:
        fix = "rename it, if it is no card; else use the mottool that wrote it"
        raise CheckpointError(f"{path} is no card of the schema {SCHEMA}", fix)
    return _card(path, found)


def _card(path: Path, found: dict[str, Any]) -> Card:
    """The card of a TOML document, every entry of its type."""
    kinds: dict[str, type | tuple[type, ...]] = {"training_data": str, "metrics": (int, float)}
    tables = {name: found.pop(name, {}) for name in TABLES}
    trackers = found.pop("trackers", {})
    sound = set(found) - OPTIONAL == REQUIRED and all(
        isinstance(value, str) for value in found.values()
    )
    sound = sound and isinstance(trackers, dict)
    sound = sound and all(_is_settings(table) for table in trackers.values())
    sound = sound and SIZE.fullmatch(found.get("input", "")) is not None
    for name, table in tables.items():
        sound = sound and isinstance(table, dict)
        sound = sound and all(isinstance(value, kinds[name]) for value in table.values())
    if not sound:
        raise CheckpointError(f"the card {path} has entries missing, unknown or misshapen", AGAIN)
    return Card(**found, **tables, trackers=trackers)


def _is_settings(table: object) -> bool:
    """Whether a table holds nothing but texts, numbers and booleans."""
    return isinstance(table, dict) and all(
        isinstance(value, str | int | float) for value in table.values()
    )


def _toml(card: Card) -> str:
    """The card as a TOML document."""
    entries = {"schema": SCHEMA, **asdict(card)}
    tables = {name: entries.pop(name) for name in TABLES}
    trackers = entries.pop("trackers")
    entries = {name: value for name, value in entries.items() if value or name not in OPTIONAL}
    lines = [f"{name} = {_quoted(value)}" for name, value in entries.items()]
    for name, table in tables.items():
        lines += ["", f"[{name}]"]
        lines += [f"{_quoted(key)} = {_value(value)}" for key, value in table.items()]
    for name, table in trackers.items():
        lines += ["", f"[trackers.{_quoted(name)}]"]
        lines += [f"{_quoted(key)} = {json.dumps(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _value(value: str | float) -> str:
    return _quoted(value) if isinstance(value, str) else repr(float(value))


def _quoted(text: str) -> str:
    # JSON's strings are TOML's, but for the one control character that JSON lets stand.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
