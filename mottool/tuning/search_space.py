"""The space that is searched: one axis for each setting, read from `key=low:high` or `key=a,b`."""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import Field, dataclass
from random import Random
from typing import Any

from mottool.errors import SettingError, did_you_mean
from mottool.settings import Settings, build_settings

__all__ = ["Axis", "Kinds", "Point", "axes", "grid", "grid_size", "read_value"]

Kinds = Mapping[str, type[Settings]]
Point = dict[str, Any]

DIGITS = 4  # of a number drawn from a range: more say nothing and read badly
SLACK = 1e-9  # of a step: a range whose end is a step away includes it
FEW = 10_000  # values that an axis may list one by one


@dataclass(frozen=True)
class Axis:
    """The values of one setting: those listed, or every number in [low, high] if none are."""

    name: str
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0

    def draw(self, random: Random) -> Any:
        """One value, all being equally likely."""
        if self.values:
            return random.choice(self.values)
        return self.rounded(random.uniform(self.low, self.high))

    def rounded(self, number: float) -> float:
        """A number of the range with as many digits as say something."""
        return min(max(float(f"{number:.{DIGITS}g}"), self.low), self.high)

    def __str__(self) -> str:
        if self.values:
            return f"{self.name}={','.join(str(value) for value in self.values)}"
        return f"{self.name}={self.low}:{self.high}"


def axes(kinds: Kinds, texts: Iterable[str]) -> tuple[Axis, ...]:
    """The axes that `--search` texts name, in their order.

    A text is `key=low:high`, `key=low:high:step`, `key=a,b,c`, or `key` alone for the whole range
    or all choices of a setting that has such. Without any text the axes are those of all settings
    of the first of `kinds` that have. A `SettingError` for what is no setting of `kinds`, is given
    twice, lies outside the setting's range, or leaves nothing to search.
    """
    texts = tuple(texts)
    if not texts:
        (name, kind), *_ = kinds.items()
        found = [_whole(field) for field in dataclasses.fields(kind)]
        space = tuple(axis for axis in found if axis)
        if not space:
            fix = "say what to search, as --search key=low:high:step"
            raise SettingError(f"no setting of {name} has a range of its own", fix)
        return space
    space = tuple(_axis(kinds, text) for text in texts)
    names = [axis.name for axis in space]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise SettingError(f"--search {twice} is given twice", "give one range or list for each")
    return space


def _axis(kinds: Kinds, text: str) -> Axis:
    key, equals, told = (part.strip() for part in text.partition("="))
    name = key.replace("-", "_")
    field = _field(kinds, name)
    if not equals:
        axis = _whole(field)
        if axis is None:
            fix = f"write --search {key}=low:high:step, or {key}=a,b,c"
            raise SettingError(f"{name} has no range or list of values of its own", fix)
        return axis
    if ":" not in told:
        values = tuple(read_value(kinds, name, word.strip()) for word in told.split(","))
        return Axis(name, tuple(dict.fromkeys(values)))
    try:
        low, high, *steps = (float(word) for word in told.split(":"))
        (step,) = steps or [0.0]
        if not (low < high and step >= 0 and math.isfinite(high - low + step)):
            raise ValueError(told)
    except ValueError:
        problem = f"--search {text!r} is no range"
        raise SettingError(problem, f"write {key}=low:high or {key}=low:high:step") from None
    axis = _stepped(name, low, high, step, _is_whole(field))
    for value in axis.values or (low, high):
        read_value(kinds, name, str(value))
    return axis


def _stepped(name: str, low: float, high: float, step: float, whole: bool) -> Axis:
    """An axis from `low` to `high`; without a step, whole numbers are listed one by one."""
    step = step or (1.0 if whole else 0.0)
    if not step:
        return Axis(name, (), low, high)
    count = math.floor((high - low) / step + SLACK) + 1
    if count > FEW:
        raise SettingError(f"--search {name} has {count} values", "take longer steps")
    values = (float(f"{low + number * step:.12g}") for number in range(count))
    return Axis(name, tuple(round(value) if whole else value for value in values))


def _field(kinds: Kinds, name: str) -> Field[Any]:
    fields = {field.name: field for kind in kinds.values() for field in dataclasses.fields(kind)}
    if name not in fields:
        whose = next(iter(kinds))
        raise SettingError(f"{whose} has no setting {name!r}", did_you_mean(name, fields))
    return fields[name]


def _is_whole(field: Field[Any]) -> bool:
    return isinstance(field.default, int) and not isinstance(field.default, bool)


def _whole(field: Field[Any]) -> Axis | None:
    """The axis of everything that the setting may be, or None if that has no end."""
    told = field.metadata
    if isinstance(field.default, bool):
        return Axis(field.name, (False, True))
    if told["choices"]:
        return Axis(field.name, told["choices"])
    if told["low"] is None or told["high"] is None:
        return None
    return _stepped(field.name, told["low"], told["high"], 0.0, _is_whole(field))


def read_value(kinds: Kinds, name: str, text: str) -> Any:
    """The value of a setting from its text; a `SettingError` if it may not have it."""
    _field(kinds, name)
    whose, kind = next(
        (whose, kind) for whose, kind in kinds.items() if name in kind.__dataclass_fields__
    )
    return getattr(build_settings(kind, {name: text}, whose), name)


def grid(space: tuple[Axis, ...]) -> Iterator[Point]:
    """Every point of a space whose axes list their values; the last axis changes first."""
    names = [axis.name for axis in space]
    for values in itertools.product(*(axis.values for axis in space)):
        yield dict(zip(names, values, strict=True))


def grid_size(space: tuple[Axis, ...]) -> int:
    """How many points `grid` gives; a `SettingError` if an axis lists no values."""
    for axis in space:
        if not axis.values:
            fix = f"give a step, as --search {axis}:0.1, or use --method random"
            raise SettingError(f"a grid cannot go through all numbers of {axis}", fix)
    return math.prod(len(axis.values) for axis in space)
