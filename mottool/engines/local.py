"""Run tasks in a pool of processes on this machine; tasks of killed workers are run again.

A worker runs one task at a time. Workers are spawned, because a fork would share open files and
held locks. This process sends each task when a worker is free for it. Of short tasks, workers get
some ahead: then they need not wait for this process, which looks at several outcomes at a time.
Tasks that were sent ahead to a worker that is killed are sent to another one. The task that it ran
is sent to a worker that has completed others, if there are any: a new one imports libraries during
its first task, which takes longer, and so may be killed again by what kills workers at random.
"""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from multiprocessing.connection import wait
from types import FrameType, TracebackType
from typing import Any, Self

from mottool.engines.base import BaseEngine, InProcess, QueuedTask
from mottool.engines.task import Outcome
from mottool.engines.threads import single_threads
from mottool.engines.worker_handle import WorkerHandle
from mottool.errors import InputError, MottoolError

__all__ = ["LocalProcesses", "local_engine"]

TRIES = 5  # of a task during which its worker is killed
TIMEOUTS = 3  # tries of a task that takes too long
STARTS = 10  # consecutive workers that may be killed before they start a task
AHEAD_SECONDS = 0.5  # that the tasks of a worker take at most, if it has more than one
PAUSE_SECONDS = 0.1  # between two looks at the outcomes, while every worker has tasks ahead
NEW_SHARE = 0.2  # of the last task in the mean duration of a job


@contextmanager
def local_engine(
    jobs: int, network_jobs: int = 0, timeout: float | None = None
) -> Iterator[BaseEngine]:
    """Give an engine of `jobs` processes; a single job without `timeout` runs in this process.

    Linear algebra uses one thread, in this process too unless its library is loaded already. Tasks
    that need a network keep PyTorch's threads; at most `network_jobs` of them run at the same time,
    and 0 says that there are none. A task that takes longer than `timeout` seconds is killed, and
    tried three times in all; one whose worker is killed, five times.

    When the block ends with an error or by Ctrl-C, running tasks clean up and end; a second Ctrl-C
    kills those that do not.
    """
    with single_threads(networks=jobs == 1 and network_jobs > 0):
        if jobs == 1 and timeout is None:
            yield InProcess()
            return
        with LocalProcesses(jobs, network_jobs, timeout) as engine:
            yield engine


class LocalProcesses(BaseEngine):
    """An engine of `jobs` worker processes, for a `with` block."""

    def __init__(self, jobs: int, network_jobs: int = 0, timeout: float | None = None) -> None:
        """Start no worker yet; the arguments are those of `local_engine`."""
        super().__init__()
        self._jobs = {"network": network_jobs, "cpu": jobs}  # networks first: they take longest
        self._timeout = timeout or float("inf")
        self._workers: list[WorkerHandle] = []
        self._tries: Counter[int] = Counter()  # lost ones, by position
        self._lost: list[QueuedTask] = []  # tasks of killed workers
        self._seconds: dict[Callable[..., Any], float] = {}  # mean duration of tasks, by job
        self._failed_starts = 0
        self._interrupted = False

    def __enter__(self) -> Self:
        """Handle Ctrl-C until the block ends."""
        self._main = threading.current_thread() is threading.main_thread()  # it handles signals
        self._before = signal.signal(signal.SIGINT, self._interrupt) if self._main else None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the workers; running tasks clean up, waiting ones are not started."""
        try:
            self.cancel()
            for worker in self._workers:
                worker.close()
        finally:
            if self._main:
                signal.signal(signal.SIGINT, self._before)
        if self._interrupted:
            raise KeyboardInterrupt

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Handle Ctrl-C: terminate the workers, which ends every wait for them; a second one kills.

        An exception raised here could come between the start of a worker and its registration.
        """
        again, self._interrupted = self._interrupted, True
        for worker in self._workers:
            if again:
                worker.kill()
            else:
                worker.terminate()

    def _check_interrupt(self) -> None:
        if self._interrupted:
            raise KeyboardInterrupt

    def fill(self) -> None:
        """Send submitted tasks to free workers, and start workers up to the limits."""
        for needs, limit in self._jobs.items():
            while self._busy() < self._jobs["cpu"] and self._busy(needs) < limit:
                worker = self._idle_worker(needs)
                queued = self._next(needs, lost_first=worker is not None)
                if queued is None:
                    break
                (worker or self._new_worker(needs)).send(queued)
        self._send_ahead()

    def _next(self, needs: str, lost_first: bool) -> QueuedTask | None:
        """Remove and return the first task of a kind; a lost one before or after the others."""
        lost = [queued for queued in self._lost if queued.task.needs == needs]
        if lost and (lost_first or not self.has(needs)):
            self._lost.remove(lost[0])
            return lost[0]
        return self.pop(needs)

    def _busy(self, needs: str | None = None) -> int:
        """Return the number of busy workers, of all or of one kind."""
        return sum(bool(worker.tasks) and needs in (None, worker.needs) for worker in self._workers)

    def _idle_worker(self, needs: str) -> WorkerHandle | None:
        """Return an idle worker of a kind; None if there is none."""
        for worker in [w for w in self._workers if not w.tasks and w.needs == needs]:
            if worker.process.is_alive():
                return worker
            self._remove(worker)
        return None

    def _new_worker(self, needs: str) -> WorkerHandle:
        self._check_interrupt()
        worker = WorkerHandle(needs, self._timeout, self._jobs["cpu"])
        self._workers.append(worker)
        worker.start()
        if self._interrupted:  # by a Ctrl-C during the start
            worker.terminate()
        return worker

    def _send_ahead(self) -> None:
        """Send short tasks to workers that run short ones, if all workers are busy."""
        expected = {
            worker: self._duration(worker.tasks)
            for worker in self._workers
            if worker.started and worker.tasks and worker.needs == "cpu"
        }
        while expected and (queued := self._next("cpu", lost_first=True)):
            worker = min(expected, key=lambda worker: expected[worker])
            expected[worker] += self._duration([queued])
            if expected[worker] > AHEAD_SECONDS or not worker.send_ahead(queued):
                self._put_back(queued)
                break

    def _put_back(self, queued: QueuedTask) -> None:
        """Add a task again that was not run, or was lost with its worker."""
        if self._tries[queued.position]:
            self._lost.append(queued)
        else:
            self.submit(queued.task, queued.position)

    def _duration(self, tasks: Iterable[QueuedTask]) -> float:
        """Return how many seconds tasks take, as others of their jobs; infinity if unknown."""
        return sum(self._seconds.get(task.job, float("inf")) for _, task in tasks)

    def wait(self) -> list[Outcome]:
        """Wait until a task has ended; handle killed workers and those beyond the time limit."""
        outcomes = list[Outcome]()
        while not outcomes:
            self.fill()
            self._check_interrupt()
            busy = [worker for worker in self._workers if worker.tasks]
            ahead = min(self._duration(islice(worker.tasks, 1, None)) for worker in busy)
            time.sleep(min(PAUSE_SECONDS, ahead / 2))
            seconds = min(worker.deadline for worker in busy) - time.monotonic()
            handles = [h for worker in busy for h in (worker.connection, worker.process.sentinel)]
            ready = set(wait(handles, None if seconds == float("inf") else max(0, seconds)))
            self._check_interrupt()
            for worker in busy:
                if {worker.connection, worker.process.sentinel} & ready:
                    outcomes += self._receive(worker)
                elif worker.deadline <= time.monotonic():
                    worker.process.kill()
                    outcomes += self._lose(worker, TIMEOUTS, _too_slow(self._timeout))
        return outcomes

    def cancel(self) -> None:
        """Forget submitted tasks; terminate those that run, and wait until they have cleaned up."""
        super().cancel()
        self._lost.clear()
        busy = [worker for worker in self._workers if worker.tasks]
        for worker in busy:
            if not self._interrupted:  # else it was terminated already
                worker.terminate()
        for worker in busy:
            self._remove(worker)

    def _receive(self, worker: WorkerHandle) -> list[Outcome]:
        """Return the outcomes of a worker, or that of a lost try."""
        try:
            received = worker.receive()
        except EOFError:
            worker.process.join()
            return self._lose(worker, TRIES, _killed(worker.process.exitcode))
        if worker.started:
            self._failed_starts = 0
        for (number, task), outcome in received:
            self._tries.pop(number, None)
            before = self._seconds.get(task.job, outcome.seconds)
            self._seconds[task.job] = before + NEW_SHARE * (outcome.seconds - before)
        return [outcome for _, outcome in received]

    def _lose(self, worker: WorkerHandle, tries: int, error: MottoolError) -> list[Outcome]:
        """Submit the tasks of a killed worker again, or return a failure after so many tries."""
        lost, *ahead = worker.tasks
        number, task = lost
        self._remove(worker)
        for queued in ahead:
            self._put_back(queued)
        self._failed_starts += not worker.started
        # The task is not to blame before it has started, unless no worker starts.
        self._tries[number] += worker.started or self._failed_starts > STARTS
        if self._tries[number] < tries:
            self._put_back(lost)
            return []
        del self._tries[number]
        return [Outcome(task, error=error)]

    def _remove(self, worker: WorkerHandle) -> None:
        worker.close()  # a second Ctrl-C meanwhile kills it
        self._workers.remove(worker)


def _killed(code: int | None) -> MottoolError:
    """Return the error of a task whose worker ended with this exit code in every try."""
    try:
        name = signal.Signals(-(code or 0)).name
    except ValueError:
        name = f"exit code {code}"
    reason = ", most likely for want of memory" if name == "SIGKILL" else ""
    problem = f"a worker was killed ({name}) in each of {TRIES} tries{reason}"
    return InputError(problem, "run the same command again with fewer --jobs")


def _too_slow(timeout: float) -> MottoolError:
    problem = f"it took longer than {timeout:g} s in each of {TIMEOUTS} tries"
    return InputError(problem, "run the same command again with a longer --task-timeout")
