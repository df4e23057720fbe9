"""Measure pipelines with several runtimes, in turns, each in a process of its own."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from mottool.benchmarking.case import Case, CrowdCost, Result, Sample
from mottool.benchmarking.processes import CaseProcess, case_process
from mottool.errors import MottoolError

__all__ = ["Fail", "measure"]

Fail = Callable[[Case, MottoolError], None]


@dataclass
class _Measured:
    """A case with its process, and what has been measured so far."""

    case: Case
    process: CaseProcess
    samples: list[Sample] = field(default_factory=list)
    crowds: list[list[CrowdCost]] = field(default_factory=list)

    def result(self) -> Result:
        """Return everything that has been measured."""
        by_people = zip(*self.crowds, strict=True)
        crowd = [min(costs, key=lambda cost: cost.seconds) for costs in by_people]
        return Result(self.case, self.samples, crowd, self.process.ask("usage"))


def measure(
    cases: Sequence[Case], repeats: int, fail: Fail, step: Callable[[], object]
) -> Iterator[Result]:
    """Measure cases of one pipeline in turns and yield their results.

    The cases take turns `repeats` times, so that a machine that becomes slower for a while does not
    slow down one of them alone. Each has been warmed up. A case that cannot be measured is passed
    to `fail`, which may raise its error. `step` is called after each measurement.
    """
    with ExitStack() as stack:
        running = []
        for case in cases:
            process = stack.enter_context(case_process(case))
            try:
                process.answer()
            except MottoolError as error:
                fail(case, error)
                continue
            running.append(_Measured(case, process))
        for _ in range(repeats):
            for measured in list(running):
                try:
                    measured.samples.append(measured.process.ask("sample"))
                    measured.crowds.append(measured.process.ask("crowd"))
                except MottoolError as error:
                    fail(measured.case, error)
                    running.remove(measured)
                step()
        for measured in running:
            yield measured.result()
