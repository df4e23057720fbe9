"""A process for each measured case, so that its memory and its threads are its own."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from mottool.benchmarking.case import Case
from mottool.errors import InputError, MottoolError, as_mottool_error
from mottool.runtimes.registry import VARIABLE

__all__ = ["CaseProcess", "case_process"]

EXIT_SECONDS = 10.0  # that a process has to end by itself


class CaseProcess:
    """A process that measures a case whenever it is asked to."""

    def __init__(self, case: Case, connection: Connection) -> None:
        """Talk to the process of `case` through `connection`."""
        self.case, self._connection = case, connection

    def ask(self, request: str) -> Any:
        """Call a method of `Measurement` in the process and return its result.

        Raises the error of the method, and `InputError` if the process ended.
        """
        try:
            self._connection.send(request)
            return self.answer()
        except OSError as error:
            raise self._ended() from error

    def answer(self) -> Any:
        """Wait for the answer to a request, of which the first is the construction."""
        try:
            answer = self._connection.recv()
        except EOFError as error:
            raise self._ended() from error
        if isinstance(answer, MottoolError):
            raise answer
        return answer

    def _ended(self) -> InputError:
        problem = f"the process that measures {self.case.pipeline} with {self.case.runtime} ended"
        fix = "measure it alone, with a smaller --input, or on a machine with more memory"
        return InputError(problem, fix)


@contextmanager
def case_process(case: Case) -> Iterator[CaseProcess]:
    """Start a process that builds and warms up the pipeline of a case, and end it afterwards."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(case, there), daemon=True)
    process.start()
    there.close()
    try:
        yield CaseProcess(case, here)
    finally:
        with suppress(OSError):
            here.send(None)
        here.close()
        process.join(EXIT_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()


def _serve(case: Case, connection: Connection) -> None:
    """Answer requests until there are no more; errors are answers too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asks is interrupted
    os.environ[VARIABLE] = case.runtime  # that of all parts which have runtimes
    from mottool.benchmarking.measurement import Measurement

    measurement: Any = None
    request = "usage"
    with suppress(EOFError, OSError):
        while request:
            try:
                measurement = measurement or Measurement(case)
                answer = getattr(measurement, request)()
            except Exception as error:
                answer = as_mottool_error(error)
                if answer is None:
                    raise
            connection.send(answer)
            request = connection.recv()
