"""A local worker as its engine sees it: a process, its connection, and the tasks it has received.

A worker runs its tasks one after the other. It answers `STARTED` when it has received and imported
the first one, and then each outcome as soon as it is there.
"""

import signal
import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.reduction import ForkingPickler
from typing import Any

from mottool.engines.base import QueuedTask
from mottool.engines.task import Outcome
from mottool.engines.threads import single_threads
from mottool.engines.worker import STARTED, work

__all__ = ["WorkerHandle", "blocked_interrupt"]

# Of tasks that a process has not read: less than any connection holds, so that a send never waits
# for a process that waits itself until its outcome is read.
AHEAD_BYTES = 7000


@contextmanager
def blocked_interrupt() -> Iterator[None]:
    """Block SIGINT for the processes and threads that are started meanwhile, for good.

    Ctrl-C then reaches only this process, which ends them in order.
    """
    resource_tracker.ensure_running()  # else the start of a process does it, and unblocks SIGINT
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class WorkerHandle:
    """A process and its tasks: the first one runs, the others wait in the connection."""

    def __init__(self, needs: str, timeout: float, processes: int) -> None:
        """Prepare a worker for tasks that need `needs`, each for up to `timeout` seconds.

        It is one of up to `processes` that work at the same time.
        """
        context = get_context("spawn")
        self.needs, self._timeout = needs, timeout
        self.tasks: deque[QueuedTask] = deque()
        self._sizes: deque[int] = deque()  # of the tasks in bytes
        self.deadline = float("inf")  # of the first task
        self.started = False  # it has imported a task
        self.connection, self._other_end = context.Pipe()
        self.process = context.Process(target=work, args=(self._other_end, processes))

    def start(self) -> None:
        """Start the process.

        It inherits the blocked SIGINT, so that Ctrl-C reaches only this process.
        """
        threads: AbstractContextManager[None]
        threads = single_threads() if self.needs == "cpu" else nullcontext()
        try:
            with blocked_interrupt(), threads:
                self.process.start()
        finally:
            self._other_end.close()

    def send(self, queued: QueuedTask) -> None:
        """Send a task to the idle process."""
        self._send(queued, ForkingPickler.dumps(queued.task))
        self._reset_deadline()

    def send_ahead(self, queued: QueuedTask) -> bool:
        """Send a task to the busy process, which will run it after those that it has.

        Return whether the task was small enough for that.
        """
        content = ForkingPickler.dumps(queued.task)
        fits = sum(self._sizes) + len(content) <= AHEAD_BYTES
        if fits:
            self._send(queued, content)
        return fits

    def _send(self, queued: QueuedTask, content: Any) -> None:
        self.tasks.append(queued)
        self._sizes.append(len(content))
        with suppress(OSError):  # of a worker that was killed meanwhile: `receive` reports it
            self.connection.send_bytes(content)

    def receive(self) -> list[tuple[QueuedTask, Outcome]]:
        """Return the outcomes that have arrived.

        Raises `EOFError` if there are none and the process has ended, and an error that a job has
        raised by a mistake in its code.
        """
        received = list[tuple[QueuedTask, Outcome]]()
        try:
            while not received or self.connection.poll():
                answer = self.connection.recv()
                if isinstance(answer, Exception):
                    raise answer
                if answer is STARTED:
                    self.started = True
                    self._reset_deadline()
                    break
                queued = self.tasks.popleft()
                self._sizes.popleft()
                received.append((queued, Outcome(queued.task, *answer)))
                self._reset_deadline()
        except (EOFError, OSError) as error:
            if not received:
                raise EOFError from error
        return received

    def _reset_deadline(self) -> None:
        self.deadline = time.monotonic() + self._timeout if self.tasks else float("inf")

    def terminate(self) -> None:
        """Ask the process to clean up and end, if it has been started."""
        if self.process.pid is not None:
            self.process.terminate()

    def kill(self) -> None:
        """End the process at once, if it has been started."""
        if self.process.pid is not None:
            self.process.kill()

    def close(self) -> None:
        """Let an idle process end, and wait for the end of any."""
        self.connection.close()
        if self.process.pid is not None:
            self.process.join()
