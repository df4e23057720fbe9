"""The search space: one axis per setting, parsed from `key=low:high` or `key=a,b`.

Without a text, and for `key` alone, an axis lies around the value that the search starts from.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass
from random import Random
from typing import Any

from mottool.errors import SettingError, did_you_mean
from mottool.settings import Settings, build_settings, crossed_bounds, parse_setting

__all__ = [
    "Axis",
    "Point",
    "SearchSpace",
    "SettingsClasses",
    "parse_axes",
    "parse_value",
]

SettingsClasses = Mapping[str, type[Settings]]
Point = dict[str, Any]

DIGITS = 4  # significant digits of a number drawn from a range
TOLERANCE = 1e-9  # of a step: a range includes an end that is a whole number of steps away
MAX_VALUES = 10_000  # that an axis may list
SHARE = 0.25  # of a setting's range that is searched on each side of the start


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

    def contains(self, value: Any) -> bool:
        """Return whether the axis has a value."""
        if self.values:
            return value in self.values
        return value is not None and self.low <= value <= self.high

    def __str__(self) -> str:
        if self.values:
            return f"{self.name}={','.join(str(value) for value in self.values)}"
        return f"{self.name}={self.low}:{self.high}"


@dataclass(frozen=True)
class SearchSpace:
    """The axes of a search, and which of their points are valid.

    `start` are the values of all settings at which the search starts, by name. A valid point is one
    with which all settings can be made, and no setting crosses another that is declared as its
    bound (`crossed_bounds`), unless it does so at the start.
    """

    axes: tuple[Axis, ...]
    settings_classes: SettingsClasses
    start: Point

    @property
    def first_point(self) -> Point:
        """The values of the axes' settings at the start."""
        return {axis.name: self.start[axis.name] for axis in self.axes}

    def is_valid(self, point: Point) -> bool:
        """Return whether a search may try a point."""
        return not self.problems(point)

    def problems(self, point: Point) -> list[str]:
        """Return why a point is not valid, [] if it is."""
        try:
            made = _build(self.settings_classes, self.start | point)
        except SettingError as error:
            return [error.problem]
        accepted = {
            message
            for settings in _build(self.settings_classes, self.start)
            for message in crossed_bounds(settings)
        }
        messages = (message for settings in made for message in crossed_bounds(settings))
        return [message for message in messages if message not in accepted]

    def grid(self) -> list[Point]:
        """Return the first point, and then every valid point of axes that list their values.

        The last axis changes first. Raises `SettingError` if an axis lists no values.
        """
        for axis in self.axes:
            if not axis.values:
                fix = f"give a step, as --search {axis}:0.1, or use --method random"
                raise SettingError(f"a grid needs a list of values, unlike {axis}", fix)
        names = [axis.name for axis in self.axes]
        products = itertools.product(*(axis.values for axis in self.axes))
        points = [dict(zip(names, values, strict=True)) for values in products]
        first = self.first_point
        return [first, *(point for point in points if point != first and self.is_valid(point))]


def parse_axes(
    settings_classes: SettingsClasses, texts: Iterable[str], start: Point
) -> tuple[Axis, ...]:
    """Parse `--search` texts into axes, in their order.

    A text is `key=low:high`, `key=low:high:step`, `key=a,b,c`, or `key` alone for values around
    that of `start`, the settings at which the search starts. Without any text the axes are the
    numbers among the settings of the first class that have a range, or one to search. Raises
    `SettingError` for an unknown setting, for one that is given twice, for a value outside the
    setting's range, and if nothing is left to search.
    """
    texts = tuple(texts)
    if not texts:
        (name, settings_class), *_ = settings_classes.items()
        fields = dataclasses.fields(settings_class)
        axes = [_axis_around(field, start[field.name]) for field in fields if _is_number(field)]
        space = tuple(axis for axis in axes if axis and _has_effect(axis, settings_classes, start))
        if not space:
            fix = "name the settings to search, as --search key=low:high:step"
            raise SettingError(f"no setting of {name} has a range", fix)
        return space
    space = tuple(_parse_axis(settings_classes, text, start) for text in texts)
    names = [axis.name for axis in space]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated:
        raise SettingError(f"--search {repeated} is given twice", "give one range or list for each")
    return space


def _parse_axis(settings_classes: SettingsClasses, text: str, start: Point) -> Axis:
    key, equals, values_text = (part.strip() for part in text.partition("="))
    name = key.replace("-", "_")
    field = _field(settings_classes, name)
    if not equals:
        axis = _axis_around(field, start[name])
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


def _axis_around(field: Field[Any], value: Any) -> Axis | None:
    """Return the axis to search around a setting's `value`, or None if it is unbounded.

    Settings without numbers, and those whose value is None, have all their values.
    """
    limits = field.metadata
    if isinstance(field.default, bool):
        return Axis(field.name, (False, True))
    if limits["choices"]:
        return Axis(field.name, limits["choices"])
    low, high = limits["search"] or (limits["low"], limits["high"])
    if low is None or high is None:
        return None
    if value is not None and not limits["search"]:
        width = SHARE * (high - low)
        low, high = max(low, value - width), min(high, value + width)
    if value is not None:
        low, high = min(low, value), max(high, value)
    low, high = (float(f"{end:.{DIGITS}g}") for end in (low, high))
    return _axis_of_range(field.name, low, high, 0.0, _is_integer(field))


def _has_effect(axis: Axis, settings_classes: SettingsClasses, start: Point) -> bool:
    """Return whether a setting may change alone; some apply to one form of the tracker only."""
    ends = axis.values[:1] + axis.values[-1:] or (axis.low, axis.high)
    try:
        for end in ends:
            _build(settings_classes, start | {axis.name: end})
    except SettingError:
        return False
    return True


def _build(settings_classes: SettingsClasses, values: Point) -> list[Settings]:
    """Make an instance of each class from the values of all settings."""
    return [
        build_settings(kind, {name: values[name] for name in kind.__dataclass_fields__}, owner)
        for owner, kind in settings_classes.items()
    ]


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


def _is_number(field: Field[Any]) -> bool:
    """Return whether a setting is a number by default, neither a switch nor a choice."""
    return _is_integer(field) or isinstance(field.default, float)


def parse_value(settings_classes: SettingsClasses, name: str, text: str) -> Any:
    """Return the value of a setting from its text; raise `SettingError` if it is not allowed."""
    _field(settings_classes, name)
    owner = next(kind for kind in settings_classes.values() if name in kind.__dataclass_fields__)
    return parse_setting(owner, name, text)
