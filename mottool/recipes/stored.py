"""Results of a recipe in a store: where they can be, and tasks that fetch and publish them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mottool.engines.task import Task
from mottool.files import safe_name
from mottool.recipes.plan import Plan, PlannedResult
from mottool.recipes.recipe import Recipe
from mottool.recipes.sequences import PlannedSequence
from mottool.recipes.store import Store
from mottool.workdir import WorkDir

__all__ = ["make_stored", "result_paths", "stored_tasks"]


def result_paths(recipe: Recipe, work: WorkDir, sequences: Sequence[PlannedSequence]) -> list[Path]:
    """Return where the results of a recipe are in a work folder, if there are any."""
    names = [sequence.name for sequence in sequences]
    paths = [work.camera_motion(name) for name in names] + [work.comparison(recipe.name)]
    for pipeline in recipe.pipelines:
        if pipeline.caches is None:
            of_pipeline = names
            paths += [work.cache(pipeline.name, name) for name in names]
        else:
            of_pipeline = names or sorted(path.stem for path in pipeline.caches.glob("[!.]*.h5"))
        paths += [work.score(pipeline.name, name, "npz") for name in of_pipeline]
        for tracker in recipe.trackers:
            folder = work.tracks(pipeline.name, tracker.name)
            group = f"{pipeline.name}.{tracker.name}"
            for name in of_pipeline:
                paths += [folder / f"{safe_name(name)}.txt", work.score(group, name, "json")]
                paths += [work.video(folder.name, name)] if recipe.produce.videos else []
    return paths


def stored_tasks(plan: Plan, store: Store) -> list[Task]:
    """Return the tasks of a plan, so that each fetches its inputs and publishes its result.

    Segments are not results: the tasks of one cache share its work folder.
    """
    wrapped = {}
    for result in plan.stale:
        if result.task:
            inputs = _inputs(result, store)
            arguments = store, inputs, result.path, result.task.job, result.task.arguments
            wrapped[result.name] = replace(result.task, job=make_stored, arguments=arguments)
    return [wrapped.get(task.name, task) for task in plan.tasks]


def _inputs(result: PlannedResult, store: Store) -> tuple[Path, ...]:
    """Return the results in the work folder from which a task can make another one."""
    assert result.task
    paths = [each for each in result.task.arguments if isinstance(each, Path)]
    if result.kind == "tracks":
        paths.append(WorkDir(store.root).camera_motion(result.sequence))
    return tuple(path for path in paths if path != result.path and store.contains(path))


def make_stored(
    store: Store,
    inputs: Sequence[Path],
    out: Path,
    job: Callable[..., Any],
    arguments: Sequence[Any],
) -> Any:
    """Fetch the inputs of a job, run it, publish its result `out`, and return what it returns."""
    store.fetch(inputs)
    made = job(*arguments)
    store.publish(out)
    return made
