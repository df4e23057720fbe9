"""This machine as an executor: in this process, or in a pool of processes with one thread each.

A job is a function at the top of a module and picklable arguments; it opens the files it needs
itself, because an HDF5 file must not cross into another process.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from types import FrameType
from typing import Any, ParamSpec, TypeVar

from mottool.errors import InputError

__all__ = ["InProcess", "cores", "executor", "finished", "result", "submit"]

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def cores() -> int:
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class InProcess(Executor):
    """Does each job at once, where it is submitted; interrupting it is not its job's failure."""

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """A future that is already done."""
        future: Future[R] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def executor(jobs: int) -> Iterator[Executor]:
    """An executor of `jobs` processes, or this one where `jobs` is 1.

    Linear algebra runs on one thread in each, here too unless it is loaded already: small products
    take hundreds of times longer when they wait for threads. When the block is left by an error
    or by Ctrl-C, jobs that wait are dropped and those that run are interrupted and clean up.
    """
    with _single_threads():
        if jobs == 1:
            yield InProcess()
            return
        # It listens before the pool is made, and until its workers are gone.
        with _listening() as ear, _Pool(jobs, ear) as pool:
            try:
                yield pool
            except BaseException:
                ear.interrupt()
                raise


class _Ear:
    """Whether Ctrl-C came, or an error that ends the jobs just as well."""

    interrupted = False

    def interrupt(self) -> None:
        """Interrupt the jobs that run, and all that are to begin."""
        self.interrupted = True
        for process in active_children():
            if process.pid:
                os.kill(process.pid, signal.SIGINT)


@contextmanager
def _listening() -> Iterator[_Ear]:
    """Hand Ctrl-C on to the workers, whose jobs then fail with it.

    Raised here it could strike anywhere, in a callback too, where Python drops it.
    """
    ear = _Ear()
    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        yield ear
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: ear.interrupt())
    try:
        yield ear
    finally:
        signal.signal(signal.SIGINT, before)
    if ear.interrupted:
        raise KeyboardInterrupt


class _Pool(ProcessPoolExecutor):
    """Workers that are spawned, not forked: a fork would share open files and others' locks."""

    def __init__(self, jobs: int, ear: _Ear) -> None:
        super().__init__(jobs, get_context("spawn"), initializer=_begin)
        self.ear = ear


@contextmanager
def _single_threads() -> Iterator[None]:
    """Set what BLAS libraries read when they are loaded, for this process and those it starts."""
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


@contextmanager
def _sheltered() -> Iterator[None]:
    """Let no Ctrl-C reach a worker that is born in this block, until it is ready for one."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


class _Worker:
    """What a worker process knows of Ctrl-C: whether it came, and whether a job is to hear it."""

    stopped = False
    working = False


def _begin() -> None:
    """What a new worker does first."""
    signal.signal(signal.SIGINT, _stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _stop(number: int, frame: FrameType | None) -> None:
    """Interrupt the job that runs, once, so that a second signal lets it clean up; begin no more.

    A worker that waits stays quiet, because its parent ends it.
    """
    _Worker.stopped = True
    if _Worker.working:
        _Worker.working = False
        raise KeyboardInterrupt


def _heard(job: Callable[[T], R], item: T) -> R:
    """Do a job in a worker so that Ctrl-C ends it."""
    _Worker.working = True
    try:
        if _Worker.stopped:
            raise KeyboardInterrupt
        return job(item)
    finally:
        _Worker.working = False


def finished(
    executor: Executor, job: Callable[[T], R], items: Iterable[T]
) -> Iterator[tuple[T, Future[R]]]:
    """Do `job` for every item and hand out each with its future, in the order they end.

    Ctrl-C is raised, not handed out.
    """
    waiting = {}
    for item in items:
        future = submit(executor, job, item)
        if future.done():  # in this process, before the next one begins
            yield item, future
        else:
            waiting[future] = item
    for future in as_completed(waiting):
        if isinstance(future.exception(), KeyboardInterrupt):
            raise KeyboardInterrupt
        yield waiting[future], future


def submit(executor: Executor, job: Callable[[T], R], item: T) -> Future[R]:
    """Submit one job to an executor of this room."""
    if not isinstance(executor, _Pool):
        return executor.submit(job, item)
    if executor.ear.interrupted:
        raise KeyboardInterrupt
    with _sheltered():
        return executor.submit(_heard, job, item)


def result(future: Future[Any]) -> Any:
    """What the job gave, or the error it raised; an `InputError` if it found no memory."""
    try:
        return future.result()
    except MemoryError as error:
        fix = "run the same command again with fewer --jobs, or on a machine with more"
        raise InputError("there is not enough memory", fix) from error
    except BrokenProcessPool as error:
        fix = "run the same command again with fewer --jobs"
        raise InputError("a worker was killed, most likely for want of memory", fix) from error
