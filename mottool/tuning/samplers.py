"""Who proposes the next point to try: a grid, chance, or optuna's sampler."""

from collections.abc import Iterable
from random import Random
from typing import Any, Protocol

from mottool.errors import SettingError
from mottool.tuning.search_space import Axis, Point, grid, grid_size

__all__ = ["Sampler", "proposer"]


class Sampler(Protocol):
    """Proposes points of a space by number, and may learn from what they scored."""

    def propose(self, number: int) -> Point:
        """The point of trial `number`, counted from 0."""
        ...

    def learn(self, number: int, point: Point, score: float) -> None:
        """Hear what a point scored, whether it was proposed in this run or in an earlier one."""
        ...


def proposer(method: str, space: tuple[Axis, ...], trials: int, seed: int) -> Sampler:
    """The proposer of that name; a `SettingError` if it does not fit the space or is missing."""
    if method == "grid":
        return _Grid(space, trials)
    if method == "optuna":
        return _Optuna(space, seed)
    return _Random(space, seed)


class _Random:
    """Points by chance; each follows from the seed and its number alone."""

    def __init__(self, space: tuple[Axis, ...], seed: int) -> None:
        self._space, self._seed = space, seed

    def propose(self, number: int) -> Point:
        random = Random(f"{self._seed} {number}")
        return {axis.name: axis.draw(random) for axis in self._space}

    def learn(self, number: int, point: Point, score: float) -> None:
        """Chance learns nothing."""


class _Grid:
    """All points in order."""

    def __init__(self, space: tuple[Axis, ...], trials: int) -> None:
        count = grid_size(space)
        if count != trials:
            fix = f"give --trials {count}, longer steps, or --method random"
            raise SettingError(f"the grid has {count} points for {trials} trials", fix)
        self._points = list(grid(space))

    def propose(self, number: int) -> Point:
        return self._points[number]

    def learn(self, number: int, point: Point, score: float) -> None:
        """A grid goes on whatever it finds."""


class _Optuna:
    """The tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011), of several at once."""

    def __init__(self, space: tuple[Axis, ...], seed: int) -> None:
        try:
            import optuna
        except ImportError as error:
            fix = "pip install 'mottool[tune]', or use --method random"
            raise SettingError("optuna is not installed", fix) from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna
        # Points that run are taken for bad ones, so that those asked for meanwhile are others.
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._axes = {axis.name: axis for axis in space}
        self._ranges = {axis.name: self._range(axis) for axis in space}
        self._asked: dict[int, Any] = {}

    def propose(self, number: int) -> Point:
        trial = self._asked[number] = self._study.ask(self._ranges)
        return {name: self._value(axis, trial.params[name]) for name, axis in self._axes.items()}

    def learn(self, number: int, point: Point, score: float) -> None:
        trial = self._asked.pop(number, None)
        if trial is not None:
            self._study.tell(trial, score)
            return
        told = {name: self._told(axis, point[name]) for name, axis in self._axes.items()}
        create = self._optuna.trial.create_trial
        self._study.add_trial(create(params=told, distributions=self._ranges, value=score))

    def _range(self, axis: Axis) -> Any:
        """Evenly spaced numbers have an order, which a list of categories would hide."""
        kinds = self._optuna.distributions
        if not axis.values:
            return kinds.FloatDistribution(axis.low, axis.high)
        if _numbers(axis.values):
            return kinds.IntDistribution(0, len(axis.values) - 1)
        return kinds.CategoricalDistribution(range(len(axis.values)))

    @staticmethod
    def _value(axis: Axis, told: Any) -> Any:
        return axis.values[told] if axis.values else axis.rounded(told)

    @staticmethod
    def _told(axis: Axis, value: Any) -> Any:
        return axis.values.index(value) if axis.values else value


def _numbers(values: Iterable[Any]) -> bool:
    """Whether these are numbers in rising order."""
    listed = list(values)
    plain = all(isinstance(each, int | float) and not isinstance(each, bool) for each in listed)
    return plain and listed == sorted(listed)
