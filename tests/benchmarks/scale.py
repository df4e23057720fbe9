"""Measure what it costs to spread many short sequences over local processes. Run it by hand:

    python tests/benchmarks/scale.py [SEQUENCES [FRAMES [EMPTY [ROUNDS]]]]

Made-up sequences (1,000 of 100 frames by default) go through `associate` and `evaluate` in turn in
one process, in two workers, and in two processes that know nothing of each other and do half of the
sequences each, in a number of rounds (5 by default). The last is what two processes can reach on
the machine: its cores may share caches, or be threads of one core. Printed are the seconds of the
clock and of the processors, with the load of the machine, and the medians of the rounds' ratios.
Before them, EMPTY tasks (10,000 by default) that do nothing measure the engine alone: the time that
a task takes of this process, and how much its memory grows in the last nine tenths of the tasks.
"""

import multiprocessing
import os
import resource
import statistics
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


def run_halves(folder: Path) -> None:
    """Run all sequences of a folder in two processes, without an engine between them."""
    spawn = multiprocessing.get_context("spawn")
    halves = [spawn.Process(target=run_half, args=(folder, first)) for first in (0, 1)]
    for half in halves:
        half.start()
    for half in halves:
        half.join()
        assert half.exitcode == 0


def run_half(folder: Path, first: int) -> None:
    """Run every second sequence of a folder in this process."""
    tasks = plan(folder, folder / "halves")  # associate and evaluate of each sequence in turn
    with local_engine(1) as engine:
        assert not run(engine, [task for n, task in enumerate(tasks) if n // 2 % 2 == first])


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
    sequences, frames, empty, rounds = map(
        int, [*sys.argv[1:], *("1000", "100", "10000", "3")[len(sys.argv) - 1 :]]
    )
    clock, processor, growth = overhead(empty)
    print(f"{empty} empty tasks in 2 workers, load {os.getloadavg()[0]:.1f}: ", end="")
    print(
        f"{1e3 * clock:.2f} ms each, {1e3 * processor:.2f} ms of the client's processor, ", end=""
    )
    print(f"{growth / 1e6:+.1f} MB in the last nine tenths", flush=True)
    works = {
        "1 process": lambda folder: run_all(folder, 1),
        "2 workers": lambda folder: run_all(folder, 2),
        "2 processes": run_halves,
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(rounds):
        with TemporaryDirectory() as scratch:
            make(Path(scratch), sequences, frames)
            for name, work in works.items():
                times[name].append(measured(lambda work=work: work(Path(scratch))))
                print(f"{sequences} sequences of {frames} frames, {name:11}, ", end="")
                print(f"load {os.getloadavg()[0]:.1f}: {times[name][-1][0]:.1f} s, ", end="")
                print(f"{times[name][-1][1]:.1f} s of the processors", flush=True)
    single, workers, halves = times.values()
    for title, others, by in [
        ("2 workers against 1 process, by the clock", single, 0),
        ("2 workers against 2 processes, by the clock", halves, 0),
        ("2 workers against 2 processes, by the processors", halves, 1),
    ]:
        ratios = [other[by] / own[by] for other, own in zip(others, workers, strict=True)]
        print(f"{title}: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
