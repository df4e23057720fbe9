"""The order of tasks that come after each other."""

from collections import defaultdict
from collections.abc import Sequence

from mottool.engines.task import NEEDS, Outcome, Task, skipped

__all__ = ["Plan"]


class Plan:
    """The tasks of one run: which of them may start, and how many have not ended."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        """Check the tasks.

        Raises `ValueError` if two have the same name, if one needs what no engine knows, or if one
        comes after a task that is not before it.
        """
        self.unfinished = len(tasks)
        self.first: list[Task] = []
        self._missing: dict[str, int] = {}  # tasks that must succeed before, of each unfinished one
        self._followers: defaultdict[str, list[Task]] = defaultdict(list)
        for task in tasks:
            before = set(task.after)
            if task.name in self._missing or task.needs not in NEEDS:
                raise ValueError(f"task {task.name!r} is there twice, or needs {task.needs!r}")
            if not before <= self._missing.keys():
                raise ValueError(f"task {task.name!r} comes after {before - self._missing.keys()}")
            self._missing[task.name] = len(before)
            for name in before:
                self._followers[name].append(task)
            if not before:
                self.first.append(task)

    def finish(self, outcome: Outcome) -> tuple[list[Task], list[Outcome]]:
        """Record the end of a task; return the tasks that may start now, and skipped ones."""
        self.unfinished -= 1
        del self._missing[outcome.task.name]
        ready, left_out = list[Task](), list[Outcome]()
        for task in self._followers.pop(outcome.task.name, ()):
            if task.name not in self._missing:
                continue  # skipped already, after another one
            self._missing[task.name] -= 1
            if outcome.error is not None:
                left_out += self._skip(task, outcome.task.name)
            elif not self._missing[task.name]:
                ready.append(task)
        return ready, left_out

    def _skip(self, task: Task, failed: str) -> list[Outcome]:
        """Return the outcome of a task that is skipped, and those of all that come after it."""
        outcomes, pending = list[Outcome](), [task]
        while pending:
            task = pending.pop()
            if task.name in self._missing:
                del self._missing[task.name]
                self.unfinished -= 1
                outcomes.append(skipped(task, failed))
                pending += self._followers.pop(task.name, ())
        return outcomes
