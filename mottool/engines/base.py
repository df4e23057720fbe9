"""What all engines share: the tasks that are ready to run, and the loop over outcomes."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from mottool.engines.plan import Plan
from mottool.engines.task import NEEDS, Outcome, Task, run_task

__all__ = ["BaseEngine", "InProcess", "QueuedTask"]


class QueuedTask(NamedTuple):
    """A task that may start, and its position in the order of all."""

    position: int
    task: Task


class BaseEngine(ABC):
    """An engine to which tasks are submitted one by one, or as a plan with `run`."""

    def __init__(self) -> None:
        """Start without tasks."""
        self._ready: dict[str, list[QueuedTask]] = {needs: [] for needs in NEEDS}  # heaps
        self._counter = count()

    def submit(self, task: Task, position: int | None = None) -> None:
        """Add a task that may start now, at a position in the order or after all others."""
        position = next(self._counter) if position is None else position
        heappush(self._ready[task.needs], QueuedTask(position, task))

    def pop(self, *needs: str) -> QueuedTask | None:
        """Remove and return the first submitted task that needs one of `needs`; None without."""
        heaps = [self._ready[name] for name in needs if self._ready[name]]
        return heappop(min(heaps, key=lambda heap: heap[0].position)) if heaps else None

    def has(self, needs: str) -> bool:
        """Return whether a submitted task needs `needs`."""
        return bool(self._ready[needs])

    @abstractmethod
    def wait(self) -> list[Outcome]:
        """Start submitted tasks, wait until one has ended, and return the outcomes so far.

        At least one task must have been submitted. Raises as `Engine.run`.
        """

    def fill(self) -> None:  # noqa: B027  # an engine need not do anything
        """Start submitted tasks as far as there is room for them, without waiting."""

    def cancel(self) -> None:
        """Forget submitted tasks, and end those that run if that is possible."""
        for heap in self._ready.values():
            heap.clear()

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Run the tasks as `Engine.run` says, and raise its errors."""
        plan = Plan(tasks)
        positions = {task.name: next(self._counter) for task in tasks}
        for task in plan.first:
            self.submit(task, positions[task.name])
        try:
            while plan.unfinished:
                outcomes = list[Outcome]()
                for outcome in self.wait():
                    ready, left_out = plan.finish(outcome)
                    outcomes += [outcome, *left_out]
                    for task in ready:
                        self.submit(task, positions[task.name])
                self.fill()  # before the caller works on the outcomes
                yield from outcomes
        finally:
            if plan.unfinished:  # the caller wants no more of them
                self.cancel()


class InProcess(BaseEngine):
    """An engine that runs each task in this process, after the caller has seen the one before."""

    def wait(self) -> list[Outcome]:
        """Run the first submitted task."""
        queued = self.pop(*NEEDS)
        assert queued is not None
        return [run_task(queued.task)]
