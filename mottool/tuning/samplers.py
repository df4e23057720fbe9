"""Samplers suggest the next point of the search space: on a grid, at random, or with optuna.

The grid and the random sampler are not optuna's. They work without it, and a random point depends
only on the seed and on its number, so that workers and resumed runs try the same points.
"""

from collections.abc import Iterable
from random import Random
from typing import Any, Protocol

from mottool.errors import SettingError
from mottool.tuning.search_space import Axis, Point, grid, grid_size

__all__ = ["Sampler", "make_sampler"]


class Sampler(Protocol):
    """Suggests the points of trials, and may learn from their scores."""

    def suggest(self, number: int) -> Point:
        """Return the point of trial `number`, counted from 0."""
        ...

    def report(self, number: int, point: Point, score: float) -> None:
        """Receive the score of a point that this run or an earlier one has suggested."""
        ...


def make_sampler(method: str, space: tuple[Axis, ...], trials: int, seed: int) -> Sampler:
    """Return the sampler of a method: `grid`, `random` or `optuna`.

    Raises `SettingError` if a grid does not fit the space or `trials`, or if optuna is missing.
    """
    if method == "grid":
        return _GridSampler(space, trials)
    if method == "optuna":
        return _OptunaSampler(space, seed)
    return _RandomSampler(space, seed)


class _RandomSampler:
    """Draws random points; each depends only on the seed and its number."""

    def __init__(self, space: tuple[Axis, ...], seed: int) -> None:
        self._space, self._seed = space, seed

    def suggest(self, number: int) -> Point:
        random = Random(f"{self._seed} {number}")
        return {axis.name: axis.sample(random) for axis in self._space}

    def report(self, number: int, point: Point, score: float) -> None:
        """Ignore the score."""


class _GridSampler:
    """Suggests all points in order."""

    def __init__(self, space: tuple[Axis, ...], trials: int) -> None:
        count = grid_size(space)
        if count != trials:
            fix = f"give --trials {count}, longer steps, or --method random"
            raise SettingError(f"the grid has {count} points for {trials} trials", fix)
        self._points = list(grid(space))

    def suggest(self, number: int) -> Point:
        return self._points[number]

    def report(self, number: int, point: Point, score: float) -> None:
        """Ignore the score."""


class _OptunaSampler:
    """The tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011), run in parallel."""

    def __init__(self, space: tuple[Axis, ...], seed: int) -> None:
        try:
            import optuna
        except ImportError as error:
            fix = "pip install 'mottool[tune]', or use --method random"
            raise SettingError("optuna is not installed", fix) from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna
        # Running trials are assumed to score badly, so that parallel suggestions differ.
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._axes = {axis.name: axis for axis in space}
        self._distributions = {axis.name: self._distribution(axis) for axis in space}
        self._running: dict[int, Any] = {}

    def suggest(self, number: int) -> Point:
        trial = self._running[number] = self._study.ask(self._distributions)
        return {name: self._value(axis, trial.params[name]) for name, axis in self._axes.items()}

    def report(self, number: int, point: Point, score: float) -> None:
        trial = self._running.pop(number, None)
        if trial is not None:
            self._study.tell(trial, score)
            return
        params = {name: self._param(axis, point[name]) for name, axis in self._axes.items()}
        create = self._optuna.trial.create_trial
        trial = create(params=params, distributions=self._distributions, value=score)
        self._study.add_trial(trial)

    def _distribution(self, axis: Axis) -> Any:
        """Return the optuna distribution of an axis.

        Ascending numbers become integer indices: categories would lose their order.
        """
        distributions = self._optuna.distributions
        if not axis.values:
            return distributions.FloatDistribution(axis.low, axis.high)
        if _are_ascending_numbers(axis.values):
            return distributions.IntDistribution(0, len(axis.values) - 1)
        return distributions.CategoricalDistribution(range(len(axis.values)))

    @staticmethod
    def _value(axis: Axis, param: Any) -> Any:
        return axis.values[param] if axis.values else axis.rounded(param)

    @staticmethod
    def _param(axis: Axis, value: Any) -> Any:
        return axis.values.index(value) if axis.values else value


def _are_ascending_numbers(values: Iterable[Any]) -> bool:
    values = list(values)
    numbers = all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    )
    return numbers and values == sorted(values)
