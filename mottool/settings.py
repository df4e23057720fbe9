"""Settings written once: a frozen dataclass whose fields carry their help and their limits.

    @dataclass(frozen=True)
    class Config(Settings):
        max_age: int = knob(30, "Frames a track survives unseen.", low=0)

    @click.command("associate")
    @flags(Config)
    def command(config: Config) -> None: ...

The default, the flag, its help, the range check, `--set key=value` and the JSON kept beside a
result all come from that one line. `mottool.cli.options` makes the flags.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, dataclass
from pathlib import Path
from typing import Any, TypeVar

from mottool.errors import SettingError, did_you_mean

__all__ = [
    "Settings",
    "build_settings",
    "is_optional",
    "setting",
    "parse_key_values",
    "plain_type",
    "to_json",
]

T = TypeVar("T", bound="Settings")


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Iterable[str] = (),
    parse: Callable[[str], Any] | None = None,
    form: str | None = None,
) -> Any:
    """A dataclass field with its help, its closed range [low, high] or its choices.

    `parse` reads the value from a text where the field's type alone does not say how, and `form`
    is how the help writes such a value.
    """
    told = {"help": help, "low": low, "high": high, "choices": tuple(choices), "parse": parse}
    told["form"] = form
    return dataclasses.field(default=default, metadata=told)


@dataclass(frozen=True)
class Settings:
    """Base of every settings class: values are checked when an instance is made."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name))


def _check(field: Field[Any], value: Any) -> None:
    if value is None:
        return
    low, high = field.metadata.get("low"), field.metadata.get("high")
    choices = field.metadata.get("choices")
    if isinstance(value, float) and not math.isfinite(value):
        told = "not a number" if math.isnan(value) else "infinite"
        raise SettingError(f"{field.name} is {told}", "give a finite number")
    if choices and value not in choices:
        raise SettingError(f"{field.name} cannot be {value!r}", did_you_mean(str(value), choices))
    if (low is not None and value < low) or (high is not None and value > high):
        limits = " and ".join(
            text
            for text in (
                f"at least {low}" if low is not None else "",
                f"at most {high}" if high is not None else "",
            )
            if text
        )
        raise SettingError(f"{field.name} cannot be {value}", f"give a value of {limits}")


def build_settings(kind: type[T], given: Mapping[str, object], of: str) -> T:
    """An instance of `kind` from names and values, texts being parsed.

    `of` says whose settings they are. An unknown name is a `SettingError` with the near miss.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}
    values = {}
    for name, value in given.items():
        key = name.replace("-", "_")
        if key not in fields:
            raise SettingError(f"{of} has no setting {name!r}", did_you_mean(key, fields))
        values[key] = _parsed(kind, fields[key], value) if isinstance(value, str) else value
    return kind(**values)


def _parsed(kind: type[Settings], field: Field[Any], text: str) -> Any:
    base = plain_type(kind, field)
    parse = field.metadata.get("parse") or {bool: _truth}.get(base, base)
    optional = is_optional(kind, field)
    if optional and text.lower() == "none" and text not in field.metadata["choices"]:
        return None
    try:
        return parse(text)
    except ValueError:
        wanted = {int: "a whole number", float: "a number", bool: "true or false"}
        wanted[tuple[int, ...]] = "whole numbers from 0 on, with commas between"
        name = wanted.get(base, "a value that fits")
        if optional and field.default is not None:
            name += ", or none"
        raise SettingError(f"{field.name} cannot be {text!r}", f"give {name}") from None


def is_optional(kind: type[Settings], field: Field[Any]) -> bool:
    """Return whether a field of a settings class can be None."""
    return type(None) in typing.get_args(typing.get_type_hints(kind)[field.name])


def _truth(text: str) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True}
    words |= {"false": False, "no": False, "off": False, "0": False}
    if text.lower() not in words:
        raise ValueError(text)
    return words[text.lower()]


def plain_type(kind: type[Settings], field: Field[Any]) -> Any:
    """Return the type of a field of a settings class, without `| None`."""
    hint = typing.get_type_hints(kind)[field.name]
    if isinstance(hint, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    return hint


def parse_key_values(texts: Iterable[str], flag: str = "--set") -> dict[str, str]:
    """`key=value` texts, as `flag` takes them, as a dict.

    A text without `=`, or another value for a key that had one, is a `SettingError`.
    """
    found = dict[str, str]()
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise SettingError(f"{flag} {text!r} has no value", f"write {flag} key=value")
        key, value = key.strip(), value.strip()
        if found.setdefault(key, value) != value:
            raise SettingError(f"{flag} {key} is given two values", "give one of them")
    return found


def to_json(settings: Settings) -> dict[str, Any]:
    """The settings as JSON can hold them, in the order of the fields."""
    values = dataclasses.asdict(settings)
    return {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}
