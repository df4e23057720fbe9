"""Settings classes: frozen dataclasses whose fields have a help text and limits.

    @dataclass(frozen=True)
    class Config(Settings):
        max_age: int = setting(30, "Frames without a detection after which a track ends.", low=0)

    @click.command("associate")
    @settings_options(Config)
    def command(config: Config) -> None: ...

That one line gives the default, the flag, its help, the range check, `--set key=value` and the
JSON kept beside a result. `mottool.cli.options` makes the flags.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from mottool.errors import SettingError, did_you_mean

__all__ = [
    "Settings",
    "build_settings",
    "crossed_bounds",
    "is_optional",
    "parse_key_values",
    "parse_setting",
    "plain_type",
    "setting",
    "to_json",
]

T = TypeVar("T", bound="Settings")

_hints: Callable[[Any], dict[str, Any]] = cache(typing.get_type_hints)
LARGEST = 2**31 - 1  # magnitude of whole numbers, which libraries keep in 32 bits
BOOLEANS = {"true": True, "yes": True, "on": True, "1": True}
BOOLEANS |= {"false": False, "no": False, "off": False, "0": False}


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Iterable[str] = (),
    parse: Callable[[str], Any] | None = None,
    form: str | None = None,
    search: tuple[float, float] | None = None,
    at_least: str | None = None,
    at_most: str | None = None,
) -> Any:
    """Create a dataclass field with a help text, and a closed range [low, high] or choices.

    `parse` converts a text to a value where the field's type alone does not define how. `form` is
    the form of such a value in the help text. `search` is the range in which `tune` searches,
    where a part of [low, high] around the default is not the right one. `at_least` and `at_most`
    name settings of the same class beyond which this one has no sensible effect.
    """
    limits = {"low": low, "high": high, "at_least": at_least, "at_most": at_most}
    values = {"choices": tuple(choices), "parse": parse, "form": form, "search": search}
    return dataclasses.field(default=default, metadata={"help": help} | limits | values)


@dataclass(frozen=True)
class Settings:
    """Base of every settings class; it checks the values when an instance is made."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name))


def _check(field: Field[Any], value: Any) -> None:
    """Raise `SettingError` for a value that is not finite, too large, no choice or out of range."""
    if value is None:
        return
    low, high = field.metadata.get("low"), field.metadata.get("high")
    choices = field.metadata.get("choices")
    if isinstance(value, float) and not math.isfinite(value):
        problem = "not a number" if math.isnan(value) else "infinite"
        raise SettingError(f"{field.name} is {problem}", "give a finite number")
    if isinstance(value, int) and abs(value) > LARGEST:
        problem = f"{field.name} is a number of more than 31 bits"
        raise SettingError(problem, f"give a value of at most {LARGEST}")
    if choices and value not in choices:
        raise SettingError(f"{field.name} cannot be {value!r}", did_you_mean(str(value), choices))
    if (low is not None and value < low) or (high is not None and value > high):
        limits = [f"at least {low}"] if low is not None else []
        limits += [f"at most {high}"] if high is not None else []
        fix = f"give a value of {' and '.join(limits)}"
        raise SettingError(f"{field.name} cannot be {value}", fix)


def build_settings(settings_class: type[T], values: Mapping[str, object], of: str) -> T:
    """Make an instance of a settings class from names and values, and parse values that are texts.

    `of` names the owner of the settings in messages. Raises `SettingError` for a value that does
    not fit, and for an unknown name, with its near miss.
    """
    fields = {field.name: field for field in dataclasses.fields(settings_class)}
    parsed = {}
    for name, value in values.items():
        key = name.replace("-", "_")
        if key not in fields:
            raise SettingError(f"{of} has no setting {name!r}", did_you_mean(key, fields))
        field = fields[key]
        parsed[key] = _parse(settings_class, field, value) if isinstance(value, str) else value
    return settings_class(**parsed)


def parse_setting(settings_class: type[Settings], name: str, text: str) -> Any:
    """Return the value of one setting from its text, whatever the other settings are.

    Raises `SettingError` for a value that the setting does not allow.
    """
    field = settings_class.__dataclass_fields__[name]
    value = _parse(settings_class, field, text)
    _check(field, value)
    return value


def _parse(settings_class: type[Settings], field: Field[Any], text: str) -> Any:
    """Convert a text to a value of a field's type."""
    base = plain_type(settings_class, field)
    parse = field.metadata.get("parse") or {bool: _boolean}.get(base, base)
    optional = is_optional(settings_class, field)
    if optional and text.lower() == "none" and text not in field.metadata["choices"]:
        return None
    try:
        return parse(text)
    except ValueError:
        names = {int: "a whole number", float: "a number", bool: "true or false"}
        names[tuple[int, ...]] = "whole numbers from 0 on, with commas between"
        name = names.get(base, "a value that fits")
        if optional and field.default is not None:
            name += ", or none"
        raise SettingError(f"{field.name} cannot be {text!r}", f"give {name}") from None


def _boolean(text: str) -> bool:
    if text.lower() not in BOOLEANS:
        raise ValueError(text)
    return BOOLEANS[text.lower()]


def is_optional(settings_class: type[Settings], field: Field[Any]) -> bool:
    """Return whether a field of a settings class can be None."""
    return type(None) in typing.get_args(_hints(settings_class)[field.name])


def plain_type(settings_class: type[Settings], field: Field[Any]) -> Any:
    """Return the type of a field of a settings class, without `| None`."""
    hint = _hints(settings_class)[field.name]
    if isinstance(hint, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    return hint


def crossed_bounds(settings: Settings) -> list[str]:
    """Return a message for each setting beyond another that is declared as its bound.

    Such settings are allowed, but without a sensible effect. A setting that is None is unbounded
    and bounds none.
    """
    messages = []
    for field in dataclasses.fields(settings):
        for bound, sign, word in (("at_least", -1, "below"), ("at_most", 1, "above")):
            name = field.metadata.get(bound)
            value, limit = getattr(settings, field.name), getattr(settings, name) if name else None
            if value is not None and limit is not None and sign * value > sign * limit:
                messages.append(f"{field.name} {value} is {word} {name} {limit}")
    return messages


def parse_key_values(texts: Iterable[str], flag: str = "--set") -> dict[str, str]:
    """Parse texts of the form `key=value`, as the option `flag` takes them, into a dict.

    Raises `SettingError` for a text without `=` and for two values of one key.
    """
    values = dict[str, str]()
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise SettingError(f"{flag} {text!r} has no value", f"write {flag} key=value")
        key, value = key.strip(), value.strip()
        if values.setdefault(key, value) != value:
            raise SettingError(f"{flag} {key} is given two values", "give one of them")
    return values


def to_json(settings: Settings) -> dict[str, Any]:
    """Return the settings as a dict for JSON, in the order of the fields."""
    values = dataclasses.asdict(settings)
    return {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}
