"""Measure what it costs to spread many short sequences over local processes. Run it by hand:

    python tests/benchmarks/scale.py [SEQUENCES [FRAMES [EMPTY]]]

Made-up sequences (1,000 of 100 frames by default) go through `associate` and `evaluate` in one
process and in two workers. Printed are the seconds of the clock and of the processors, with the
load of the machine: on a busy machine only the seconds of the processors can be compared. Before
them, EMPTY tasks (10,000 by default) that do nothing measure the engine alone: the time that a task
takes of this process, and how much its memory grows in the last nine tenths of the tasks.
"""

import os
import resource
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path[:0] = [str(Path(__file__).parents[1])]

from benchmarks.faults import make, plan, run  # noqa: E402

from mottool.engines.local import LocalProcesses, local_engine  # noqa: E402
from mottool.engines.task import Task  # noqa: E402


def processor_seconds() -> float:
    """Return the seconds of the processors that this process and its ended workers have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds of the clock and of the processors of a function."""
    clock, processor = time.monotonic(), processor_seconds()
    work()
    return time.monotonic() - clock, processor_seconds() - processor


def run_all(folder: Path, jobs: int) -> None:
    """Run all sequences of a folder in so many processes."""
    tasks = plan(folder, folder / f"{jobs}")
    with local_engine(jobs) as engine:
        assert not run(engine, tasks)


def memory() -> int:
    """Return the bytes of memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def nothing(number: int) -> int:
    """Return the number: a task that does nothing."""
    return number


def overhead(count: int) -> tuple[float, float, int]:
    """Return the seconds of clock and of this process for a task, and the growth in bytes."""
    tasks = [Task(f"{number}", nothing, (number,)) for number in range(count)]
    with LocalProcesses(2) as engine:
        outcomes = engine.run(tasks)
        for _ in islice(outcomes, count // 10):  # workers have started
            pass
        clock, processor, before = time.monotonic(), time.process_time(), memory()
        rest = sum(1 for _ in outcomes)
        clock, processor = time.monotonic() - clock, time.process_time() - processor
        return clock / rest, processor / rest, memory() - before


if __name__ == "__main__":
    sequences, frames, empty = map(
        int, [*sys.argv[1:], *("1000", "100", "10000")[len(sys.argv) - 1 :]]
    )
    clock, processor, growth = overhead(empty)
    print(f"{empty} empty tasks in 2 workers, load {os.getloadavg()[0]:.1f}: ", end="")
    print(
        f"{1e3 * clock:.2f} ms each, {1e3 * processor:.2f} ms of the client's processor, ", end=""
    )
    print(f"{growth / 1e6:+.1f} MB in the last nine tenths", flush=True)
    with TemporaryDirectory() as scratch:
        make(Path(scratch), sequences, frames)
        seconds = {}
        for jobs in (1, 2):
            seconds[jobs] = measured(lambda jobs=jobs: run_all(Path(scratch), jobs))
            print(f"{sequences} sequences of {frames} frames, {jobs} processes, ", end="")
            print(f"load {os.getloadavg()[0]:.1f}: {seconds[jobs][0]:.1f} s, ", end="")
            print(f"{seconds[jobs][1]:.1f} s of the processors", flush=True)
    print(f"{seconds[1][0] / seconds[2][0]:.2f} times as fast by the clock; ", end="")
    print(f"{seconds[1][1] / seconds[2][1]:.1%} of the ideal by the processors")
