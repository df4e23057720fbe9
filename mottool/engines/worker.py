"""The process of a local worker: it runs one task after the other until its engine closes."""

import os
import signal
import sys
import threading
import traceback
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any

from mottool.engines.task import PROCESSES, Outcome, Task, run_task
from mottool.errors import MottoolError
from mottool.progress import SHOWN

__all__ = ["STARTED", "work"]

STARTED = None  # what a worker sends when it has received and imported its first task
RETRY_SECONDS = 0.01  # after an exit that was ignored


class _State:
    """State of this process."""

    working = False  # a job is running
    ending = False  # it is being terminated


def work(connection: "Connection[Any, Any]", processes: int) -> None:
    """Receive tasks, and send `STARTED` and the outcome of each, until the connection is closed.

    An outcome is sent as its value, its error and its seconds. What a job raises by a mistake in
    the code is sent instead of it. The process ends by SIGTERM, and with the process that started
    it. Up to `processes` work at the same time.
    """
    SHOWN.set(False)
    PROCESSES.set(processes)
    signal.signal(signal.SIGTERM, _exit)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    started = False
    while True:
        answer: tuple[Any, MottoolError | None, float] | Exception
        try:
            task = connection.recv()
            if not started:
                connection.send(STARTED)
                started = True
            outcome = _run(task)
            answer = outcome.value, outcome.error, outcome.seconds
        except (EOFError, OSError):
            return
        except Exception as error:  # also of a task that this process cannot import
            answer = _with_traceback(error)
        try:
            connection.send(answer)
        except OSError:  # the engine has ended
            return
        except Exception:  # what cannot be pickled
            connection.send(RuntimeError(f"a worker could not send\n{traceback.format_exc()}"))


def _run(task: Task) -> Outcome:
    """Run a task; when it is terminated, leave the process, not only the job."""
    try:
        try:
            _State.working = True
            return run_task(task)
        finally:
            _State.working = False
    except SystemExit:
        os._exit(1)


def _with_traceback(error: Exception) -> Exception:
    error.add_note(f"In a worker:\n{''.join(traceback.format_exception(error))}")
    return error


def _end_with_parent() -> None:
    # A signal that this thread received would not interrupt a wait of the main thread.
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def _exit(number: int, frame: FrameType | None) -> None:
    """End a worker: immediately between two jobs, else when its job has cleaned up."""
    if not _State.working:
        os._exit(1)
    if _State.ending:  # the signal comes again, which must not interrupt the cleaning
        return
    _State.ending = True
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
