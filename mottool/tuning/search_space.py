"""The search space: one axis per setting, parsed from `key=low:high` or `key=a,b`."""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import Field, dataclass
from random import Random
from typing import Any

from mottool.errors import SettingError, did_you_mean
from mottool.settings import Settings, build_settings

__all__ = ["Axis", "Point", "SettingsClasses", "grid", "grid_size", "parse_axes", "parse_value"]

SettingsClasses = Mapping[str, type[Settings]]
Point = dict[str, Any]

DIGITS = 4  # significant digits of a number drawn from a range
TOLERANCE = 1e-9  # of a step: a range includes an end that is a whole number of steps away
MAX_VALUES = 10_000  # that an axis may list


@dataclass(frozen=True)
class Axis:
    """The values of one setting: those listed, or every number in [low, high] if none are."""

    name: str
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0

    def sample(self, random: Random) -> Any:
        """Draw a value, all with equal probability."""
        if self.values:
            return random.choice(self.values)
        return self.rounded(random.uniform(self.low, self.high))

    def rounded(self, number: float) -> float:
        """Round a number to `DIGITS` significant digits, within the range."""
        return min(max(float(f"{number:.{DIGITS}g}"), self.low), self.high)

    def __str__(self) -> str:
        if self.values:
            return f"{self.name}={','.join(str(value) for value in self.values)}"
        return f"{self.name}={self.low}:{self.high}"


def parse_axes(settings_classes: SettingsClasses, texts: Iterable[str]) -> tuple[Axis, ...]:
    """Parse `--search` texts into axes, in their order.

    A text is `key=low:high`, `key=low:high:step`, `key=a,b,c`, or `key` alone for all values of a
    setting that has a range or choices. Without any text the axes are all settings of the first
    class that have a range or choices. Raises `SettingError` for an unknown setting, for one that
    is given twice, for a value outside the setting's range, and if nothing is left to search.
    """
    texts = tuple(texts)
    if not texts:
        (name, settings_class), *_ = settings_classes.items()
        all_axes = [_axis_of_all_values(field) for field in dataclasses.fields(settings_class)]
        space = tuple(axis for axis in all_axes if axis)
        if not space:
            fix = "name the settings to search, as --search key=low:high:step"
            raise SettingError(f"no setting of {name} has a range", fix)
        return space
    space = tuple(_parse_axis(settings_classes, text) for text in texts)
    names = [axis.name for axis in space]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated:
        raise SettingError(f"--search {repeated} is given twice", "give one range or list for each")
    return space


def _parse_axis(settings_classes: SettingsClasses, text: str) -> Axis:
    key, equals, values_text = (part.strip() for part in text.partition("="))
    name = key.replace("-", "_")
    field = _field(settings_classes, name)
    if not equals:
        axis = _axis_of_all_values(field)
        if axis is None:
            fix = f"write --search {key}=low:high:step, or {key}=a,b,c"
            raise SettingError(f"{name} has no range or list of values", fix)
        return axis
    if ":" not in values_text:
        words = (word.strip() for word in values_text.split(","))
        values = tuple(parse_value(settings_classes, name, word) for word in words)
        return Axis(name, tuple(dict.fromkeys(values)))
    try:
        low, high, *steps = (float(word) for word in values_text.split(":"))
        (step,) = steps or [0.0]
        if not (low < high and step >= 0 and math.isfinite(high - low + step)):
            raise ValueError(values_text)
    except ValueError:
        problem = f"--search {text!r} is not a valid range"
        raise SettingError(problem, f"write {key}=low:high or {key}=low:high:step") from None
    axis = _axis_of_range(name, low, high, step, _is_integer(field))
    for value in axis.values or (low, high):
        parse_value(settings_classes, name, str(value))
    return axis


def _axis_of_range(name: str, low: float, high: float, step: float, integer: bool) -> Axis:
    """Return an axis from `low` to `high`; without a step, it lists every integer."""
    step = step or (1.0 if integer else 0.0)
    if not step:
        return Axis(name, (), low, high)
    count = math.floor((high - low) / step + TOLERANCE) + 1
    if count > MAX_VALUES:
        raise SettingError(f"--search {name} has {count} values", "take longer steps")
    values = (float(f"{low + number * step:.12g}") for number in range(count))
    return Axis(name, tuple(round(value) if integer else value for value in values))


def _axis_of_all_values(field: Field[Any]) -> Axis | None:
    """Return the axis of all values that a setting may have, or None if it is unbounded."""
    limits = field.metadata
    if isinstance(field.default, bool):
        return Axis(field.name, (False, True))
    if limits["choices"]:
        return Axis(field.name, limits["choices"])
    if limits["low"] is None or limits["high"] is None:
        return None
    return _axis_of_range(field.name, limits["low"], limits["high"], 0.0, _is_integer(field))


def _field(settings_classes: SettingsClasses, name: str) -> Field[Any]:
    """Return the field of a setting; raise `SettingError` if no class has it."""
    fields = {
        field.name: field
        for settings_class in settings_classes.values()
        for field in dataclasses.fields(settings_class)
    }
    if name not in fields:
        owner = next(iter(settings_classes))
        raise SettingError(f"{owner} has no setting {name!r}", did_you_mean(name, fields))
    return fields[name]


def _is_integer(field: Field[Any]) -> bool:
    return isinstance(field.default, int) and not isinstance(field.default, bool)


def parse_value(settings_classes: SettingsClasses, name: str, text: str) -> Any:
    """Return the value of a setting from its text; raise `SettingError` if it is not allowed."""
    _field(settings_classes, name)
    owner, settings_class = next(
        (owner, settings_class)
        for owner, settings_class in settings_classes.items()
        if name in settings_class.__dataclass_fields__
    )
    return getattr(build_settings(settings_class, {name: text}, owner), name)


def grid(space: tuple[Axis, ...]) -> Iterator[Point]:
    """Yield every point of a space whose axes list their values; the last axis changes first."""
    names = [axis.name for axis in space]
    for values in itertools.product(*(axis.values for axis in space)):
        yield dict(zip(names, values, strict=True))


def grid_size(space: tuple[Axis, ...]) -> int:
    """Return the number of points in `grid`; raise `SettingError` if an axis lists no values."""
    for axis in space:
        if not axis.values:
            fix = f"give a step, as --search {axis}:0.1, or use --method random"
            raise SettingError(f"a grid needs a list of values, unlike {axis}", fix)
    return math.prod(len(axis.values) for axis in space)
