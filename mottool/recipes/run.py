"""Plan a recipe in a work folder, and run the plan on an engine."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mottool.engines.task import Engine, Outcome, Task, run_task
from mottool.errors import MottoolError, OutputError, SettingError
from mottool.locks import locked
from mottool.recipes.ground_truth import find_truth
from mottool.recipes.jobs import Made
from mottool.recipes.page import comparison_state, read_notes, write_comparison
from mottool.recipes.plan import Plan
from mottool.recipes.planner import Planner
from mottool.recipes.recipe import Recipe
from mottool.recipes.sequences import PlannedSequence, find_dataset, remember_hash
from mottool.recipes.store import Listing, Store
from mottool.recipes.stored import result_paths, stored_tasks
from mottool.records.known_files import KnownFiles, signature
from mottool.workdir import WorkDir

__all__ = ["RecipeRun", "RunReport", "run_recipe"]


class RunReport(Protocol):
    """Receives what happens while `run_recipe` works."""

    def failed(self, name: str, error: MottoolError) -> None:
        """Receive the error of a source that cannot be used, or of the comparison."""
        ...

    def note(self, message: str) -> None:
        """Receive a message for the user."""
        ...

    def planned(self, plan: Plan) -> None:
        """Receive the plan, before any result is made."""
        ...

    def results(self, plan: Plan, outcomes: Iterator[Outcome]) -> None:
        """Take the outcome of each task of a plan, as it ends."""
        ...

    def compared(self, page: Path) -> None:
        """Receive the page of the comparison, which is fresh."""
        ...


def run_recipe(
    recipe: Recipe,
    work: WorkDir,
    open_engine: Callable[[Plan], AbstractContextManager[Engine]],
    report: RunReport,
    fail_fast: bool = False,
    dry_run: bool = False,
) -> Path:
    """Make what is missing or stale of a recipe's results, and return the path of its page.

    With `dry_run` it is only planned. There is no page if the recipe produces no comparison or no
    scores. `open_engine` returns the engine for the tasks of a plan. With `fail_fast` no more tasks
    are started after the first that fails. Raises as `RecipeRun`.
    """
    opened = RecipeRun(recipe, work, report.failed, report.note)
    plan = opened.plan()
    report.planned(plan)
    if not dry_run:
        opened.publish(result.path for result in plan.fresh)
        if plan.tasks:
            with opened.alone(plan) as plan, open_engine(plan) as engine:
                report.results(plan, opened.run(plan, engine, fail_fast))
            plan = opened.plan()
        if recipe.produce.comparison and recipe.produce.scores:
            _compare(opened, plan, report)
    opened.save()
    return work.comparison(recipe.name)


def _compare(opened: "RecipeRun", plan: Plan, report: RunReport) -> None:
    """Write the comparison if it is stale, and report it with the notes on it."""
    path = opened.work.comparison(opened.recipe.name)
    page, notes = path if path.is_file() else None, read_notes(path)
    if comparison_state(plan, path):
        arguments = opened.recipe, opened.work, plan
        outcome = run_task(Task(opened.recipe.name, write_comparison, arguments))
        if outcome.error is not None:
            report.failed(opened.recipe.name, outcome.error)
            return
        page, notes = outcome.value
    for note in notes:
        report.note(note)
    if page is not None:
        opened.publish([page])
        report.compared(page)


@dataclass
class RecipeRun:
    """A recipe and its work folder.

    `refused` receives each source that cannot be used with its error, and `note` messages. With a
    store in the recipe, results are fetched from it and published to it; its errors are raised.
    """

    recipe: Recipe
    work: WorkDir
    refused: Callable[[str, MottoolError], None]
    note: Callable[[str], None]

    def __post_init__(self) -> None:
        """Read what is known of files, and find the sequences and their ground truth."""
        self.known = KnownFiles(self.work.known_files())
        self._store = Store(self.recipe.store, self.work.root) if self.recipe.store else None
        self._listing: Listing = {}
        self._sequences = {
            dataset: find_dataset(dataset, self.work.root, self.known, self.refused, self.note)
            for dataset in self.recipe.datasets
        }
        _check_names(self.all_sequences)
        self._truth = find_truth(self._sequences, self.work.root, self.known, self.note)

    @property
    def all_sequences(self) -> list[PlannedSequence]:
        """The sequences of all datasets."""
        return [sequence for several in self._sequences.values() for sequence in several]

    def plan(self) -> Plan:
        """Plan the results, after those that only the store has are fetched.

        Raises `SettingError` and `InputError` as `Planner.plan`.
        """
        if self._store:
            paths = result_paths(self.recipe, self.work, self.all_sequences)
            self._listing = self._store.update(paths)
        return Planner(self.recipe, self.work, self._truth, self.known).plan(self.all_sequences)

    @contextmanager
    def alone(self, plan: Plan) -> Iterator[Plan]:
        """Let no other process run this recipe in this work folder meanwhile; yield the plan.

        If one does, wait until it has ended, and yield a new plan. `note` receives a message.
        """
        waited = list[bool]()

        def wait() -> None:
            self.note(f"waiting until another run of {self.recipe.name} in {self.work.root} ends")
            waited.append(True)

        with locked(self.work.run_lock(self.recipe.name), wait):
            if waited:
                self.known = KnownFiles(self.work.known_files())
                plan = self.plan()
            yield plan

    def run(self, plan: Plan, engine: Engine, fail_fast: bool = False) -> Iterator[Outcome]:
        """Make the stale results of a plan, and yield the outcome of each task.

        With `fail_fast` no more tasks are started after the first that fails.
        """
        outcomes = engine.run(stored_tasks(plan, self._store) if self._store else plan.tasks)
        try:
            for outcome in outcomes:
                if isinstance(outcome.value, Made):
                    self._remember(outcome.value)
                yield outcome
                if outcome.error and fail_fast:
                    break
        finally:
            close = getattr(outcomes, "close", None)
            if close:
                close()
            self.save()

    def publish(self, paths: Iterable[Path]) -> None:
        """Publish results that the store, if there is one, does not have as they are here."""
        for path in paths:
            if self._store:
                self._store.publish(path, self._listing)

    def save(self) -> None:
        """Write what is known of files for the next run, if there is a work folder.

        `note` receives a message if that is impossible: the next run then reads more files.
        """
        try:
            if self.work.root.is_dir():
                self.known.save()
        except OutputError as error:
            self.note(f"what is known of files is not kept: {error.problem}")

    def _remember(self, made: Made) -> None:
        signed = signature(made.path)
        for name, value in made.facts.items():
            if value is not None:
                self.known.put(made.path, name, signed, value)
        if made.source is not None:
            remember_hash(made.source[0], self.known, made.source[1])


def _check_names(sequences: list[PlannedSequence]) -> None:
    """Raise `SettingError` if two sequences have one name, and so the same files."""
    paths: dict[str, Path] = {}
    for sequence in sequences:
        path = Path(str(sequence.source["path"]) if sequence.source else "")
        other = paths.setdefault(sequence.name, path)
        if other is not path:
            problem = f"{other} and {path} are both named {sequence.name}"
            raise SettingError(problem, "rename one, or write a recipe for each with its own work")
