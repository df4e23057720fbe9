"""Samplers suggest the next point of the search space: on a grid, at random, or with optuna.

The grid and the random sampler are not optuna's. They work without it, and a random point depends
only on the seed and on its number, so that workers and resumed runs try the same points. A point of
optuna depends on those and on the results of earlier trials.
"""

from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from random import Random
from typing import Any, Protocol

from mottool.errors import SettingError
from mottool.tuning.search_space import Axis, Point, SearchSpace

__all__ = ["AUTO", "METHODS", "Sampler", "chosen_method", "make_sampler"]

METHODS = AUTO, RANDOM, GRID, OPTUNA = "auto", "random", "grid", "optuna"
TRIES = 1000  # of drawing a valid point


def chosen_method(method: str) -> str:
    """Return the method that `auto` stands for: optuna where it is installed, else random."""
    if method != AUTO:
        return method
    return OPTUNA if find_spec("optuna") else RANDOM


class Sampler(Protocol):
    """Suggests the points of trials, and may learn from their scores."""

    def suggest(self, number: int) -> Point:
        """Return the point of trial `number`, from 1 on; trial 0 is the start of the search."""
        ...

    def report(
        self, number: int, point: Point, score: float | None, by_sequence: Sequence[float]
    ) -> None:
        """Receive the scores of a trial of this run or an earlier one.

        `score` is that of all sequences together, None if the trial was stopped; `by_sequence`
        those of the sequences that it was tried on.
        """
        ...

    def is_hopeless(self, point: Point, by_sequence: Sequence[float]) -> bool:
        """Return whether earlier trials tell that a trial should be stopped after its scores."""
        ...


def make_sampler(method: str, space: SearchSpace, trials: int, seed: int) -> Sampler:
    """Return the sampler of a method: `grid`, `random` or `optuna`.

    Raises `SettingError` if a grid does not fit the space or `trials`, if the space has no valid
    point, or if optuna is missing.
    """
    if method == GRID:
        return _GridSampler(space, trials)
    random = _RandomSampler(space, seed)
    random.suggest(1)  # fails before the first trial without valid points
    return _OptunaSampler(space, seed) if method == OPTUNA else random


def _draw_valid(space: SearchSpace, draw: Callable[[], Point]) -> Point:
    """Return the first valid point of several draws; raise `SettingError` if there is none."""
    for _ in range(TRIES):
        point = draw()
        if space.is_valid(point):
            return point
    problem = f"the ranges of the search have no valid point: {space.problems(point)[0]}"
    raise SettingError(problem, "give other ranges with --search")


class _RandomSampler:
    """Draws random points; each depends only on the seed and its number."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._space, self._seed = space, seed

    def suggest(self, number: int) -> Point:
        random = Random(f"{self._seed} {number}")
        axes = self._space.axes
        return _draw_valid(self._space, lambda: {axis.name: axis.sample(random) for axis in axes})

    def report(
        self, number: int, point: Point, score: float | None, by_sequence: Sequence[float]
    ) -> None:
        """Ignore the scores."""

    def is_hopeless(self, point: Point, by_sequence: Sequence[float]) -> bool:
        return False


class _GridSampler(_RandomSampler):
    """Suggests all points in order."""

    def __init__(self, space: SearchSpace, trials: int) -> None:
        super().__init__(space, 0)
        self._points = space.grid()
        if len(self._points) != trials:
            count = len(self._points)
            fix = f"give --trials {count}, longer steps, or --method random"
            raise SettingError(f"the grid has {count} points for {trials} trials", fix)

    def suggest(self, number: int) -> Point:
        return self._points[number]


class _OptunaSampler:
    """The tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011), run in parallel.

    A trial is stopped as optuna's median pruner decides: if the mean score of the sequences it was
    tried on is below the median of complete trials. The study has the scores as `Trials` stores
    them, so that a resumed search goes on as an uninterrupted one.
    """

    def __init__(self, space: SearchSpace, seed: int) -> None:
        try:
            import optuna
        except ImportError as error:
            fix = "install it: pip install optuna, or use --method random"
            raise SettingError("optuna is not installed", fix) from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self._space, self._seed = optuna, space, seed
        self._study = optuna.create_study(direction="maximize")
        self._pruner = optuna.pruners.MedianPruner()
        self._distributions = {axis.name: self._distribution(axis) for axis in space.axes}
        self._running: dict[int, Any] = {}

    def suggest(self, number: int) -> Point:
        # Running trials are assumed to score badly, so that parallel suggestions differ.
        seed = Random(f"{self._seed} {number}").getrandbits(32)
        self._study.sampler = self._optuna.samplers.TPESampler(seed=seed, constant_liar=True)

        def draw() -> Point:
            self._end(number)
            trial = self._running[number] = self._study.ask(self._distributions)
            return {axis.name: self._value(axis, trial.params) for axis in self._space.axes}

        return _draw_valid(self._space, draw)

    def report(
        self, number: int, point: Point, score: float | None, by_sequence: Sequence[float]
    ) -> None:
        self._end(number)
        if all(axis.contains(point[axis.name]) for axis in self._space.axes):
            state = "COMPLETE" if score is not None else "PRUNED"
            self._study.add_trial(self._trial(state, point, by_sequence, score))

    def is_hopeless(self, point: Point, by_sequence: Sequence[float]) -> bool:
        trial = self._trial("RUNNING", point, by_sequence)
        return bool(self._pruner.prune(self._study, trial))

    def _end(self, number: int) -> None:
        """Remove a suggestion from the trials that are assumed to run."""
        if number in self._running:
            self._study.tell(self._running.pop(number), state=self._optuna.trial.TrialState.FAIL)

    def _trial(
        self, state: str, point: Point, by_sequence: Sequence[float], score: float | None = None
    ) -> Any:
        """Return a trial in optuna's form, with the mean score after each of its sequences."""
        means = {
            count: sum(by_sequence[:count]) / count for count in range(1, len(by_sequence) + 1)
        }
        return self._optuna.trial.create_trial(
            state=self._optuna.trial.TrialState[state],
            params={axis.name: self._param(axis, point[axis.name]) for axis in self._space.axes},
            distributions=self._distributions,
            value=score,
            intermediate_values=means,
        )

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
    def _value(axis: Axis, params: dict[str, Any]) -> Any:
        param = params[axis.name]
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
