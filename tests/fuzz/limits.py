"""Run damaged inputs in a forked process, with limits of time and memory for each."""

import multiprocessing
import resource
import signal
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

from forked import renew_threads

__all__ = ["faults"]

SECONDS = 20  # of computing for one input; ten times as much on a clock, for one that waits
MEMORY = 3 << 30  # bytes of address space in addition to those at the start


class TooSlowError(BaseException):
    """An input that takes longer than its limit."""


def _too_slow(number: int, frame: object) -> None:
    raise TooSlowError


def faults(job: Callable[[int], str | None], seeds: range) -> list[str]:
    """Run `job` for each seed in one forked process; return a line for every seed with a fault.

    `job` returns a description of a fault, or None. What it raises is one, too, as are a crash of
    the interpreter and more than `SECONDS` or `MEMORY`.
    """
    receive, send = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_run, args=(job, seeds, send.send))
    process.start()
    send.close()
    lines, last = [], None
    try:
        while (message := receive.recv()) is not None:
            if isinstance(message, str):
                lines.append(message)
            else:
                last = message
    except EOFError:
        lines.append(f"seed {last}: the interpreter crashed")
    process.join()
    return lines


def _run(job: Callable[[int], str | None], seeds: range, report: Callable[[object], None]) -> None:
    """Report each seed before its job, a line for each fault, and None at the end."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, _too_slow)
    warnings.simplefilter("ignore")
    renew_threads()
    for seed in seeds:
        report(seed)
        signal.alarm(10 * SECONDS)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            fault = job(seed)
        except TooSlowError:
            fault = f"longer than {SECONDS} s"
        except BaseException:  # a fault of any kind
            last = traceback.format_exc().strip().splitlines()
            fault = f"{last[-1][:200]} ({last[-3].strip() if len(last) > 2 else ''})"
        finally:
            signal.alarm(0)
            signal.setitimer(signal.ITIMER_PROF, 0)
        if fault:
            report(f"seed {seed}: {fault}")
    report(None)
