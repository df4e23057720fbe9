"""Run tasks in a Dask cluster: one that is started on this machine, or that of a scheduler.

The client keeps a limited number of tasks at the scheduler, so that neither grows with the plan.
A task is restricted to workers that offer what it needs (`dask worker --resources network=1`) if
any worker offers that. Dask runs the tasks of lost workers again; here they are submitted again if
the scheduler is lost, and if a worker hangs or lacks a device.
"""

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from socket import EAI_NONAME, gaierror
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from mottool.engines.base import BaseEngine, QueuedTask
from mottool.engines.build import build
from mottool.engines.task import PROCESSES, Outcome, Task, run_task
from mottool.engines.worker_handle import blocked_interrupt
from mottool.errors import DeviceError, InputError, MottoolError, SettingError, ignore_warning

try:
    from distributed import Client, Future, LocalCluster, get_worker
    from distributed.comm import resolve_address
    from distributed.scheduler import KilledWorker
except ImportError as error:
    fix = "install it: pip install distributed, or use --engine local"
    raise SettingError("--engine dask needs the package distributed", fix) from error

__all__ = ["DaskCluster"]

# Dask's, which print a traceback for a scheduler that is lost; here it is handled or reported.
LOGGERS = "distributed", "distributed.client"
CONNECT_SECONDS = 60.0  # until a scheduler answers, at the start or after it was lost
WORKER_SECONDS = 600.0  # until the first worker is there
RECONNECTIONS = 5  # in one run
TICK_SECONDS = 1.0  # between two looks at the cluster
TASKS_PER_THREAD = 3  # at the scheduler: one runs, others wait with their worker
TRIES = 3  # of a task that hangs, or that Dask gives up after several lost workers
SAME_BUILD_FIX = "install the same mottool on all machines, and restart the workers"


class _Client(Client):  # type: ignore[misc]  # of a package without types
    """A client that only its owner closes.

    Python would close one that could not connect at its exit, and wait for that without end.
    """

    def __del__(self) -> None:
        """Close nothing."""


def _run_on_worker(task: Task, folder: str, processes: int, expected: str) -> Outcome:
    """Run a task in a worker, with paths relative to `folder`; name the worker in its error.

    It is one of up to `processes` that run at the same time. The task fails if this worker has not
    the build `expected` of mottool, which could compute other results.
    """
    address = get_worker().address
    if build() != expected:
        problem = f"worker {address} has mottool {build()}, and this machine {expected}"
        return Outcome(task, error=InputError(problem, SAME_BUILD_FIX))
    PROCESSES.set(processes)
    try:
        os.chdir(folder)
    except OSError:
        fix = "run mottool in a folder that all machines share"
        return Outcome(task, error=InputError(f"worker {address} has no folder {folder}", fix))
    outcome = run_task(task)
    if outcome.error is not None:
        outcome.error.problem += f" (on worker {address})"
        outcome.error.args = outcome.error.problem, outcome.error.fix
    return replace(outcome, worker=address)


@dataclass(eq=False)
class _Flight:
    """A task at the scheduler, and since when a worker has been processing it, if one does.

    It is restricted to the workers `allowed`, if there are any.
    """

    queued: QueuedTask
    future: "Future[Outcome]"
    allowed: frozenset[str] = frozenset()
    worker: str = ""
    since: float = 0.0


class DaskCluster(BaseEngine):
    """An engine on a Dask cluster, for a `with` block."""

    def __init__(
        self,
        scheduler: str | None,
        workers: int = 0,
        network_jobs: int = 1,
        timeout: float | None = None,
        warn: Callable[[str], None] = ignore_warning,
    ) -> None:
        """Name the address of a scheduler, or a number of workers to start on this machine.

        There at most `network_jobs` tasks run a network at the same time. A task that a worker
        processes for longer than `timeout` seconds is run again elsewhere and its worker restarted.
        `warn` receives a message about each worker that is left out, as it lacks a device.
        """
        super().__init__()
        self._scheduler, self._count, self._network_jobs = scheduler, workers, network_jobs
        self._timeout, self._warn = timeout, warn
        self._levels: dict[str, int] = {}
        self._client: Client | None = None
        self._cluster: LocalCluster | None = None
        self._flights: dict[str, _Flight] = {}  # by key
        self._ended: SimpleQueue[Future[Outcome]] = SimpleQueue()
        self._workers: dict[str, dict[str, Any]] = {}  # by address
        self._looked = self._checked = float("-inf")
        self._without_device: set[str] = set()
        self._tries: Counter[int] = Counter()
        self._reconnections = 0

    def __enter__(self) -> Self:
        """Start or find the cluster, and wait for its first worker.

        Raises `InputError` if there is no scheduler or no worker, and `SettingError` if the
        network has no machine of that name.
        """
        self._check_name()
        for name in LOGGERS:
            self._levels[name] = logging.getLogger(name).level
            logging.getLogger(name).setLevel(logging.CRITICAL)
        if self._count:
            options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
            with blocked_interrupt():  # its threads, too, which start the workers
                self._cluster = LocalCluster(
                    n_workers=self._count, host="127.0.0.1", silence_logs=50, **options
                )
        try:
            self._connect()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cancel what has not ended, and leave the cluster, or end it if it was started here."""
        self.cancel()
        self._disconnect()
        if self._cluster is not None:
            self._cluster.close()
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)

    def _check_name(self) -> None:
        """Refuse a scheduler's name that no machine has, without the wait for one that starts."""
        try:
            with suppress(ValueError):  # of an address that is none
                resolve_address(self._scheduler or "")
        except gaierror as error:
            if error.errno == EAI_NONAME:  # else the name server does not answer
                problem = f"there is no machine of the scheduler's name {self._scheduler}"
                raise SettingError(problem, "check the address") from error

    def _connect(self) -> None:
        """Connect to the scheduler, and wait for a worker; try again until the time is over."""
        address = self._cluster or self._scheduler
        end = time.monotonic() + CONNECT_SECONDS
        while True:
            try:
                left = max(1.0, end - time.monotonic())
                self._client = _Client(address, timeout=left, set_as_default=False)
                break
            except (OSError, ValueError) as error:
                if time.monotonic() > end or isinstance(error, ValueError):
                    fix = "check the address, start dask scheduler, and run the same command again"
                    problem = f"the Dask scheduler {self._scheduler} does not answer"
                    raise InputError(problem, fix) from error
                time.sleep(TICK_SECONDS)
        try:
            self._client.wait_for_workers(1, timeout=WORKER_SECONDS)
        except TimeoutError as error:
            fix = f"start one with dask worker {self._scheduler}"
            raise InputError(f"the scheduler {self._scheduler} has no workers", fix) from error
        self._look()

    def _disconnect(self) -> None:
        if self._client is not None:
            with suppress(Exception):  # of a scheduler that is lost
                self._client.close(timeout=5)
            self._client = None

    def _look(self) -> None:
        """Update what is known of the workers, at most once a second."""
        assert self._client is not None
        if time.monotonic() - self._looked > TICK_SECONDS:
            self._looked = time.monotonic()
            self._workers = self._client.scheduler_info(n_workers=-1)["workers"]
            self._take_back()

    def _take_back(self) -> None:
        """Submit again the tasks that are restricted to lost workers: Dask would keep them."""
        for key, flight in list(self._flights.items()):
            lost = flight.allowed and flight.allowed.isdisjoint(self._workers)
            if lost and not flight.future.done():
                del self._flights[key]
                flight.future.cancel()
                self.submit(flight.queued.task, flight.queued.position)

    def fill(self) -> None:
        """Submit tasks to the scheduler up to the limits."""
        self._look()
        limit = TASKS_PER_THREAD * self._threads()
        limits = {"network": self._network_jobs if self._cluster else limit, "cpu": limit}
        running = Counter(flight.queued.task.needs for flight in self._flights.values())
        for needs in limits:
            while running[needs] < limits[needs] and (queued := self.pop(needs)):
                running[needs] += 1
                self._send(queued)

    def _threads(self) -> int:
        """Return how many tasks the workers run at the same time, at least 1."""
        return max(1, sum(int(worker["nthreads"]) for worker in self._workers.values()))

    def _send(self, queued: QueuedTask) -> None:
        assert self._client is not None
        task = queued.task
        offered = any(task.needs in worker["resources"] for worker in self._workers.values())
        allowed = frozenset[str]()
        if self._without_device and task.needs == "network":
            allowed = frozenset(self._workers) - self._without_device
        future = self._client.submit(
            _run_on_worker,
            task,
            os.getcwd(),
            self._threads(),
            build(),
            key=f"{task.name}-{uuid4().hex}",
            resources={task.needs: 1} if offered else None,
            workers=sorted(allowed) or None,
            priority=-queued.position,
            pure=False,
        )
        self._flights[str(future.key)] = _Flight(queued, future, allowed)
        future.add_done_callback(self._ended.put)

    def wait(self) -> list[Outcome]:
        """Wait until a task has ended; handle lost schedulers and workers that hang."""
        outcomes = list[Outcome]()
        while not outcomes:
            self.fill()
            outcomes += self._stop_hanging()
            try:
                future = self._ended.get(timeout=0 if outcomes else TICK_SECONDS)
            except Empty:
                continue
            while True:
                if flight := self._flights.get(str(future.key)):
                    outcomes += self._receive(flight)
                if self._ended.empty():
                    break
                future = self._ended.get()
        return outcomes

    def _receive(self, flight: _Flight) -> list[Outcome]:
        """Return the outcome of a task, or nothing if it has been submitted again."""
        if flight.future.status == "cancelled":
            self._reconnect()
            return []
        number, task = flight.queued
        try:
            outcome = flight.future.result(timeout=CONNECT_SECONDS)
        except KilledWorker as error:
            # Dask also blames tasks that were waiting at a worker for what another one did to it.
            problem = f"worker {error.last_worker.address} was killed, as others before that ran it"
            lost = InputError(problem, "give the workers more memory")
            return self._try_again(flight, lost)
        except (TimeoutError, OSError, asyncio.CancelledError):
            self._reconnect()
            return []
        except ImportError as error:
            problem = f"a worker lacks a module that {task.name} needs: {error}"
            return self._fail(flight, InputError(problem, SAME_BUILD_FIX))
        del self._flights[str(flight.future.key)]
        flight.future.release()
        if isinstance(outcome.error, DeviceError) and self._leave_out(outcome):
            self.submit(task, number)
            return []
        return [replace(outcome, task=task)]

    def _fail(self, flight: _Flight, error: MottoolError) -> list[Outcome]:
        self._flights.pop(str(flight.future.key), None)
        return [Outcome(flight.queued.task, error=error)]

    def _leave_out(self, outcome: Outcome) -> bool:
        """Give no more networks to a worker without a device; return whether others are left."""
        offering = {
            name
            for name, worker in self._workers.items()
            if "network" in worker["resources"]
            or not any("network" in other["resources"] for other in self._workers.values())
        }
        if outcome.worker not in self._without_device:
            self._without_device.add(outcome.worker)
            assert outcome.error is not None
            self._warn(f"{outcome.error.problem}: it gets no more networks")
        return bool(offering - self._without_device)

    def _reconnect(self) -> None:
        """Connect again to a scheduler that was restarted, and submit what it had.

        Raises `InputError` if it does not come back.
        """
        self._reconnections += 1
        if self._reconnections > RECONNECTIONS:
            problem = f"the Dask scheduler was lost {self._reconnections} times"
            raise InputError(problem, "run the same command again; finished results are kept")
        self._disconnect()
        lost, self._flights, self._ended = list(self._flights.values()), {}, SimpleQueue()
        for flight in lost:
            self.submit(flight.queued.task, flight.queued.position)
        self._looked = float("-inf")
        self._connect()

    def _stop_hanging(self) -> list[Outcome]:
        """Restart workers whose task takes too long; return the failures of last tries.

        It looks at most once a second.
        """
        assert self._client is not None
        if self._timeout is None or time.monotonic() - self._checked < TICK_SECONDS:
            return []
        self._checked = time.monotonic()
        try:
            processing = self._client.processing()
        except OSError:  # of a lost scheduler, which cancels the futures
            return []
        outcomes, now = list[Outcome](), time.monotonic()
        for worker, keys in processing.items():
            for flight in [self._flights[key] for key in list(keys)[:1] if key in self._flights]:
                if flight.worker != worker:
                    flight.worker, flight.since = worker, now
                elif now - flight.since > self._timeout:
                    outcomes += self._stop(flight)
        return outcomes

    def _stop(self, flight: _Flight) -> list[Outcome]:
        assert self._client is not None
        del self._flights[str(flight.future.key)]  # before the end of its future is reported
        flight.future.cancel()
        with suppress(Exception):  # of one without a nanny, which the scheduler gives up
            self._client.restart_workers([flight.worker], timeout=CONNECT_SECONDS)
        error = InputError(
            f"it took longer than {self._timeout:g} s in each of {TRIES} tries, the last on worker "
            f"{flight.worker}",
            "run the same command again with a longer --task-timeout",
        )
        return self._try_again(flight, error)

    def _try_again(self, flight: _Flight, error: MottoolError) -> list[Outcome]:
        """Submit a task again, or return its failure after the last try."""
        number, task = flight.queued
        self._tries[number] += 1
        if self._tries[number] == TRIES:
            return self._fail(flight, error)
        self._flights.pop(str(flight.future.key), None)
        self.submit(task, number)
        return []

    def cancel(self) -> None:
        """Forget submitted tasks; workers complete those that they run, and drop the results."""
        super().cancel()
        with suppress(Exception):  # of a scheduler that is lost
            for flight in self._flights.values():
                flight.future.cancel()
        self._flights.clear()
