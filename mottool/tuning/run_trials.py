"""Run the trials of a search: each on one sequence after the other, until it cannot win."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mottool.engines.task import Task
from mottool.tuning.objective import OBJECTIVES, Objective, figures_of
from mottool.tuning.search_space import Point, SearchSpace
from mottool.tuning.trials import Trial, Trials

if TYPE_CHECKING:
    from mottool.engines.base import BaseEngine
    from mottool.metrics.tracking import TrackingScore
    from mottool.tuning.samplers import Sampler

__all__ = ["run_trials"]


@dataclass(eq=False)
class _Running:
    """A trial that is not complete: its scores on the first sequences."""

    number: int
    point: Point
    scores: list[TrackingScore] = field(default_factory=list)


def run_trials(
    trials: Trials,
    space: SearchSpace,
    sampler: Sampler,
    objective: Objective,
    count: int,
    engine: BaseEngine,
    jobs: int,
) -> Iterator[Trial]:
    """Run the trials up to `count` that are not done yet; yield each as it ends.

    Trial 0, the start of the search, runs first; then `jobs` trials run at the same time in
    `engine`. A trial is stopped after a sequence if it would lose to the start even with the ground
    truth as its tracks of the other sequences, or if the sampler calls it hopeless. The sampler
    receives the scores of all trials, also of those that are done already.
    """
    for number in sorted(trials.done):
        _report(sampler, trials, trials.done[number])
    missing = [number for number in range(count) if number not in trials.done]
    if not missing:
        return
    if missing[0] == 0:
        yield from _run(trials, [0], space, sampler, objective, [], engine, 1)
        del missing[0]
    perfect = [Task(name, objective.perfect_score, (n,)) for n, name in enumerate(objective.names)]
    scores = {outcome.task.name: outcome.result() for outcome in engine.run(perfect)}
    bounds = [scores[name] for name in objective.names]
    yield from _run(trials, missing, space, sampler, objective, bounds, engine, jobs)


def _run(
    trials: Trials,
    numbers: list[int],
    space: SearchSpace,
    sampler: Sampler,
    objective: Objective,
    perfect: list[TrackingScore],
    engine: BaseEngine,
    jobs: int,
) -> Iterator[Trial]:
    """Run some trials; without `perfect` scores of the sequences, none is stopped."""
    waiting = iter(numbers)
    running: dict[str, _Running] = {}

    def go_on(trial: _Running) -> None:
        name = f"trial {trial.number} on {objective.names[len(trial.scores)]}"
        engine.submit(Task(name, objective.score, ((len(trial.scores), trial.point),)))
        running[name] = trial

    while True:
        while len(running) < jobs and (number := next(waiting, None)) is not None:
            point = sampler.suggest(number) if number else space.first_point
            go_on(_Running(number, point))
        if not running:
            return
        for outcome in engine.wait():
            trial = running.pop(outcome.task.name)
            trial.scores.append(outcome.result())
            ended = _ended(trial, trials, sampler, objective, perfect)
            if ended is None:
                go_on(trial)
                continue
            trials.add(ended)
            _report(sampler, trials, ended)
            yield ended


def _ended(
    running: _Running,
    trials: Trials,
    sampler: Sampler,
    objective: Objective,
    perfect: list[TrackingScore],
) -> Trial | None:
    """Return a trial if it is complete or hopeless, None if its next sequence is to be run."""
    scores, names, metric = running.scores, objective.names, trials.objective
    by_sequence = {}
    for name, score in zip(names, scores, strict=False):
        figures = figures_of([score])
        by_sequence[name] = {name: figures[name] for name in OBJECTIVES}
    if len(scores) == len(names):
        return Trial(running.number, running.point, figures_of(scores), by_sequence)
    if perfect:
        highest = figures_of([*scores, *perfect[len(scores) :]])[metric]
        values = [figures[metric] for figures in by_sequence.values()]
        loses = highest < trials.done[0].figures[metric]
        if loses or sampler.is_hopeless(running.point, values):
            return Trial(running.number, running.point, {}, by_sequence, stopped=metric)
    return None


def _report(sampler: Sampler, trials: Trials, trial: Trial) -> None:
    """Pass the scores of a trial to the sampler."""
    values = [figures[trials.objective] for figures in trial.by_sequence.values()]
    sampler.report(trial.number, trial.point, trial.figures.get(trials.objective), values)
