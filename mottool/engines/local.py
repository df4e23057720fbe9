"""Run tasks in a pool of processes on this machine; tasks of killed workers are run again.

A worker runs one task at a time. Workers are spawned, because a fork would share open files and
held locks. This process sends each task when a worker is free for it, so nothing else is lost with
a worker.
"""

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from multiprocessing import active_children, get_context, resource_tracker
from multiprocessing.connection import wait
from types import FrameType, TracebackType
from typing import Self

from mottool.engines.base import BaseEngine, InProcess, Place
from mottool.engines.task import Outcome
from mottool.engines.threads import single_threads
from mottool.engines.worker import STARTED, work
from mottool.errors import InputError, MottoolError

__all__ = ["LocalProcesses", "local_engine"]

TRIES = 3  # of a task during which its worker is killed
STARTS = 10  # consecutive workers that may be killed before they start a task


@contextmanager
def local_engine(
    jobs: int, network_jobs: int = 0, timeout: float | None = None
) -> Iterator[BaseEngine]:
    """Give an engine of `jobs` processes; a single job without `timeout` runs in this process.

    Linear algebra uses one thread, in this process too unless its library is loaded already. Tasks
    that need a network keep PyTorch's threads; at most `network_jobs` of them run at the same time,
    and 0 says that there are none. A task that takes longer than `timeout` seconds is killed, and
    tried three times in all.

    When the block ends with an error or by Ctrl-C, running tasks clean up and end.
    """
    with single_threads(networks=jobs == 1 and network_jobs > 0):
        if jobs == 1 and timeout is None:
            yield InProcess()
            return
        with LocalProcesses(jobs, network_jobs, timeout) as engine:
            yield engine


class _Worker:
    """A process, its connection, and the task that it runs, if any."""

    def __init__(self, needs: str) -> None:
        """Start a worker for tasks that need `needs`.

        It inherits the blocked SIGINT, so that Ctrl-C reaches only this process.
        """
        context = get_context("spawn")
        self.needs = needs
        self.place: Place | None = None
        self.deadline = float("inf")
        self.started = False  # the task
        self.connection, other_end = context.Pipe()
        self.process = context.Process(target=work, args=(other_end,))
        threads: AbstractContextManager[None]
        threads = single_threads() if needs == "cpu" else nullcontext()
        resource_tracker.ensure_running()  # else the start does it, and unblocks SIGINT
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with threads:
                self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            other_end.close()

    def close(self) -> None:
        """Let an idle worker end, and wait for the end of any."""
        self.connection.close()
        self.process.join()


class LocalProcesses(BaseEngine):
    """An engine of `jobs` worker processes, for a `with` block."""

    def __init__(self, jobs: int, network_jobs: int = 0, timeout: float | None = None) -> None:
        """Start no worker yet; the arguments are those of `local_engine`."""
        super().__init__()
        self._jobs = {"network": network_jobs, "cpu": jobs}  # networks first: they take longest
        self._timeout = timeout or float("inf")
        self._workers: list[_Worker] = []
        self._tries: Counter[int] = Counter()  # lost ones, by place
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
        """Handle Ctrl-C: terminate the workers, which ends every wait for them.

        An exception raised here could come between the start of a worker and its registration.
        """
        self._interrupted = True
        _terminate_workers()

    def _check_interrupt(self) -> None:
        if self._interrupted:
            raise KeyboardInterrupt

    def fill(self) -> None:
        """Send submitted tasks to free workers, and start workers up to the limits."""
        for needs, limit in self._jobs.items():
            while self._busy() < self._jobs["cpu"] and self._busy(needs) < limit:
                place = self.pop(needs)
                if place is None:
                    break
                self._send(place)

    def _busy(self, needs: str | None = None) -> int:
        """Return the number of busy workers, of all or of one kind."""
        return sum(
            worker.place is not None and needs in (None, worker.needs) for worker in self._workers
        )

    def _send(self, place: Place) -> None:
        """Send a task to an idle worker of its kind, or to a new one."""
        needs = place[1].needs
        idle = [w for w in self._workers if w.place is None and w.needs == needs]
        for dead in [worker for worker in idle if not worker.process.is_alive()]:
            idle.remove(dead)
            self._remove(dead)
        if not idle:
            self._check_interrupt()
            idle = [_Worker(needs)]
            self._workers += idle
        worker = idle[0]
        worker.place, worker.started = place, False
        worker.deadline = time.monotonic() + self._timeout
        with suppress(OSError):  # of a worker that was killed meanwhile: `wait` handles it
            worker.connection.send(place[1])

    def wait(self) -> list[Outcome]:
        """Wait until a task has ended; handle killed workers and those beyond the time limit."""
        outcomes = list[Outcome]()
        while not outcomes:
            self.fill()
            self._check_interrupt()
            busy = [worker for worker in self._workers if worker.place is not None]
            seconds = min(worker.deadline for worker in busy) - time.monotonic()
            handles = [h for worker in busy for h in (worker.connection, worker.process.sentinel)]
            ready = set(wait(handles, None if seconds == float("inf") else max(0, seconds)))
            self._check_interrupt()
            for worker in busy:
                if {worker.connection, worker.process.sentinel} & ready:
                    outcomes += self._receive(worker)
                elif worker.deadline <= time.monotonic():
                    worker.process.kill()
                    outcomes += self._lose(worker, _too_slow(self._timeout))
        return outcomes

    def cancel(self) -> None:
        """Forget submitted tasks; terminate those that run, and wait until they have cleaned up."""
        super().cancel()
        busy = [worker for worker in self._workers if worker.place is not None]
        for worker in busy:
            if not self._interrupted:  # else it was terminated already
                worker.process.terminate()
        for worker in busy:
            self._remove(worker)

    def _receive(self, worker: _Worker) -> list[Outcome]:
        """Return the outcome of a worker, or that of a lost try."""
        try:
            answer = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join()
            return self._lose(worker, _killed(worker.process.exitcode))
        if answer is STARTED:
            worker.started, self._failed_starts = True, 0
            worker.deadline = time.monotonic() + self._timeout
            return []
        if isinstance(answer, Exception):
            raise answer
        assert worker.place is not None
        self._tries.pop(worker.place[0], None)
        worker.place, worker.deadline = None, float("inf")
        return [answer]

    def _lose(self, worker: _Worker, error: MottoolError) -> list[Outcome]:
        """Submit the task of a killed worker again, or return its failure after the last try."""
        assert worker.place is not None
        number, task = worker.place
        self._remove(worker)
        self._failed_starts += not worker.started
        # The task is not to blame before it has started, unless no worker starts.
        self._tries[number] += worker.started or self._failed_starts > STARTS
        if self._tries[number] < TRIES:
            self.submit(task, number)
            return []
        del self._tries[number]
        return [Outcome(task, error=error)]

    def _remove(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.close()


def _terminate_workers() -> None:
    for process in active_children():
        process.terminate()


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
    problem = f"it took longer than {timeout:g} s in each of {TRIES} tries"
    return InputError(problem, "run the same command again with a longer --task-timeout")
