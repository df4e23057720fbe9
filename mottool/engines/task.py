"""Tasks, their outcomes, and what every engine provides.

A task is a function at the top of a module with arguments that can be pickled. It opens the files
that it needs itself, because an HDF5 file must not cross into another process. It writes its
results with `atomic_write`, so that an engine may end it at any moment and run it again.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from errno import EHOSTDOWN, EHOSTUNREACH, EIO, ENETDOWN, ENETUNREACH, ENOTCONN, ESTALE, ETIMEDOUT
from typing import Any, Protocol

from mottool.errors import InputError, MottoolError, SettingError, as_mottool_error

__all__ = [
    "NEEDS",
    "PROCESSES",
    "Engine",
    "Outcome",
    "Task",
    "from_shared_folder",
    "run_task",
    "skipped",
]

NEEDS = ("cpu", "network")  # resources: a processor core, or what runs a network
# How many processes of an engine work at the same time at most, as a job in one of them sees it.
PROCESSES = ContextVar("PROCESSES", default=1)
# A shared folder is gone for a moment: the task is run again after each of these pauses.
SHARED_FOLDER_ERRNOS = {
    EHOSTDOWN,
    EHOSTUNREACH,
    EIO,
    ENETDOWN,
    ENETUNREACH,
    ENOTCONN,
    ESTALE,
    ETIMEDOUT,
}
PAUSES_SECONDS = (1.0, 5.0)


@dataclass(frozen=True)
class Task:
    """A job and its arguments, under a unique name that is shown to the user.

    `after` are names of tasks that must succeed before. `needs` is one of `NEEDS`.
    """

    name: str
    job: Callable[..., Any]
    arguments: tuple[Any, ...]
    after: tuple[str, ...] = ()
    needs: str = "cpu"


@dataclass(frozen=True)
class Outcome:
    """What a task returned, or its error, and the seconds that it took.

    A task is `skipped` if one that it comes after has failed; its error names that one. `worker`
    is the address of a remote worker that ran it.
    """

    task: Task
    value: Any = None
    error: MottoolError | None = None
    seconds: float = 0.0
    skipped: bool = False
    worker: str = ""

    def result(self) -> Any:
        """Return the value, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.value


class Engine(Protocol):
    """Runs tasks, in this process or elsewhere."""

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Run the tasks and yield the outcome of each, in the order of completion.

        The tasks that another one comes after are before it in the sequence; earlier tasks start
        first. A failed task stops no other, but those that come after it are skipped. Raises
        `KeyboardInterrupt` after Ctrl-C, and an error of a job that is no `MottoolError`, no
        `OSError` and not one of full memory.
        """
        ...


def run_task(task: Task) -> Outcome:
    """Run a task in this process.

    It is run up to three times while a shared folder is gone for a moment.
    """
    start = time.perf_counter()
    for pause in (*PAUSES_SECONDS, None):
        value, error = _attempt(task)
        if pause is None or error is None or not from_shared_folder(error):
            break
        time.sleep(pause)
    return Outcome(task, value, error, time.perf_counter() - start)


def _attempt(task: Task) -> tuple[Any, MottoolError | None]:
    """Return the value of a task, or its error."""
    try:
        return task.job(*task.arguments), None
    except Exception as error:
        failure = as_mottool_error(error)
        if failure is None:
            raise
        return None, failure


def from_shared_folder(error: BaseException | None) -> bool:
    """Return whether an error, or one that caused it, is that of a folder of a lost server."""
    while error is not None and not isinstance(error, SettingError):
        if isinstance(error, OSError) and error.errno in SHARED_FOLDER_ERRNOS:
            return True
        error = error.__cause__
    return False


def skipped(task: Task, failed: str) -> Outcome:
    """Return the outcome of a task that is not run because the task `failed` has failed."""
    error = InputError(
        f"not run, because {failed} failed", "correct that and run the same command again"
    )
    return Outcome(task, error=error, skipped=True)
