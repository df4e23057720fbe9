"""Run jobs in this process, or in a pool of processes with one thread each.

A job is a function at the top of a module, with arguments that can be pickled. It opens the files
that it needs itself, because an HDF5 file must not cross into another process, and writes its
results with `atomic_write`, so that ending it at any moment leaves no unfinished file.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType
from typing import Any, ParamSpec, TypeVar

from mottool.errors import InputError

__all__ = ["InProcess", "cores", "executor", "run_jobs", "result", "submit"]

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
RETRY_SECONDS = 0.01  # after an exit that was ignored


def cores(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Return the number of processor cores that this process may use, at least 1.

    `quota` is the file with the limit of a container: microseconds of all cores together and the
    period, or `max`.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        limit, period = map(int, quota.read_text().split())
    except (OSError, ValueError):  # no container, or no limit
        return count or 1
    return max(1, min(count or 1, round(limit / period)))


class InProcess(Executor):
    """An executor that runs each job in this process when it is submitted."""

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Run a job and return its completed future; raise `KeyboardInterrupt` immediately."""
        future: Future[R] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class _Pool(ProcessPoolExecutor):
    """Worker processes; they are spawned, because a fork would share open files and held locks."""

    interrupted = False

    def __init__(self, jobs: int) -> None:
        super().__init__(jobs, get_context("spawn"), _start_worker)

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Submit a job, for which a worker may be started; raise `KeyboardInterrupt` after Ctrl-C.

        A worker inherits the blocked SIGINT, so that Ctrl-C reaches only this process.
        """
        if self.interrupted:
            raise KeyboardInterrupt
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(_run, fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Handle Ctrl-C: terminate the workers, which breaks the pool and so ends every wait.

        An exception raised here could leave a lock of `concurrent.futures` held for ever.
        """
        self.interrupted = True
        _terminate_workers()


@contextmanager
def executor(jobs: int) -> Iterator[Executor]:
    """Give an executor of `jobs` processes, or one that runs jobs in this process if `jobs` is 1.

    Linear algebra uses one thread per process, in this one too unless its library is loaded
    already: small products take hundreds of times longer when they wait for threads. When the block
    ends with an error or by Ctrl-C, waiting jobs are cancelled; running ones clean up and end.
    """
    with _single_threads():
        if jobs == 1:
            yield InProcess()
            return
        pool = _Pool(jobs)
        main = threading.current_thread() is threading.main_thread()  # only it handles signals
        before = signal.signal(signal.SIGINT, pool.interrupt) if main else None
        try:
            with pool:
                try:
                    yield pool
                except BaseException:
                    _terminate_workers()
                    raise
        finally:
            if main:
                signal.signal(signal.SIGINT, before)
            if pool.interrupted:
                raise KeyboardInterrupt


def _terminate_workers() -> None:
    for process in active_children():
        process.terminate()


class _Worker:
    """State of this process if it is a worker."""

    working = False  # a job is running


def _start_worker() -> None:
    """Prepare a worker to end by SIGTERM, and with the process that started it."""
    signal.signal(signal.SIGTERM, _exit)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def _exit(number: int, frame: FrameType | None) -> None:
    """End a worker: immediately between two jobs, else when its job has cleaned up."""
    if not _Worker.working:
        os._exit(1)
    # The pool sends the signal again, which must not interrupt the cleaning.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, _raise_exit)
    sys.unraisablehook = _raise_again
    raise SystemExit(1)


def _raise_exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(1)


def _raise_again(ignored: "sys.UnraisableHookArgs") -> None:
    """Raise `SystemExit` a little later if Python ignored it, as in the callback of a weakref."""
    if ignored.exc_type is SystemExit:
        signal.setitimer(signal.ITIMER_REAL, RETRY_SECONDS)
    else:
        sys.__unraisablehook__(ignored)


def _run(job: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a job in a worker; when it is terminated, leave the process, not only the job."""
    try:
        try:
            _Worker.working = True
            return job(*args, **kwargs)
        finally:
            _Worker.working = False
    except SystemExit:
        os._exit(1)


@contextmanager
def _single_threads() -> Iterator[None]:
    """Set the variables that BLAS libraries read when they are loaded, here and in workers."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def submit(executor: Executor, job: Callable[[T], R], item: T) -> Future[R]:
    """Submit one job for one item."""
    return executor.submit(job, item)


def run_jobs(
    executor: Executor, job: Callable[[T], R], items: Iterable[T]
) -> Iterator[tuple[T, Future[R]]]:
    """Run `job` for every item, and yield each item with its future in the order of completion.

    Raises `KeyboardInterrupt` after Ctrl-C.
    """
    waiting = {}
    for item in items:
        future = executor.submit(job, item)
        if future.done():  # in this process, before the next one starts
            yield item, future
        else:
            waiting[future] = item
    for future in as_completed(waiting):
        if isinstance(executor, _Pool) and executor.interrupted:
            raise KeyboardInterrupt
        yield waiting[future], future


def result(future: Future[Any]) -> Any:
    """Return the result of a job, or raise its error; an `InputError` if memory ran out."""
    try:
        return future.result()
    except MemoryError as error:
        fix = "run the same command again with fewer --jobs, or on a machine with more"
        raise InputError("there is not enough memory", fix) from error
    except BrokenProcessPool as error:
        fix = "run the same command again with fewer --jobs"
        raise InputError("a worker was killed, most likely for want of memory", fix) from error
