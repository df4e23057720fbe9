"""What is measured: a pipeline with a runtime on a source; and the numbers that come out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from mottool.pipelines.options import Options

__all__ = [
    "PARTS",
    "PEOPLE",
    "STATISTICS",
    "TWO_STAGE",
    "Case",
    "CrowdCost",
    "Result",
    "Sample",
    "Usage",
]

PARTS = ("decode", "resize", "network", "heads", "embed", "write")
ONE_SHOT, TWO_STAGE = "one-shot", "two-stage"
PEOPLE = 20  # in a frame of the drawn scene, and that random weights are made to detect
STATISTICS: Mapping[str, Callable[[Iterable[float]], float]] = {"minimum": min, "median": median}


@dataclass(frozen=True)
class Case:
    """A pipeline with a runtime, measured on the first frames of a source.

    `frames` is their number; None for as many as take a few seconds.
    `boxes` is a file of detections in MOTChallenge's format whose boxes a second stage embeds
    instead of those that its detector finds; None for the detector's. `folder` is a folder for
    temporary files. `people` are the numbers of people in a frame at which the cost is measured.
    """

    pipeline: str
    runtime: str
    options: Options
    source: Path
    boxes: Path | None
    frames: int | None
    people: tuple[int, ...]
    folder: Path


@dataclass(frozen=True)
class Sample:
    """One measurement of a case: seconds a frame.

    `parts` are those of each of `PARTS`, measured one after the other. `whole` is that of
    `detect-embed`, in which they overlap, and `processor` the time of all cores for it. `people` is
    the mean number of detections in a frame.
    """

    parts: Mapping[str, float]
    whole: float
    processor: float
    people: float


@dataclass(frozen=True)
class CrowdCost:
    """The seconds that a pipeline takes for a frame with a number of people, without decoding."""

    people: int
    seconds: float


@dataclass(frozen=True)
class Usage:
    """What the process of a case used, and messages for the user.

    `memory` is its highest resident memory and `device_memory` that of a GPU, in bytes; 0 without
    one. `device` describes the device and the number of threads.
    """

    memory: int
    device_memory: int
    device: str
    notes: Sequence[str]


@dataclass(frozen=True)
class Result:
    """All measurements of a case.

    `samples` are in the order in which they were taken. `crowd` has the least cost for each number
    of people; it is empty if none was measured.
    """

    case: Case
    samples: Sequence[Sample]
    crowd: Sequence[CrowdCost]
    usage: Usage

    @property
    def kind(self) -> str:
        """Return `TWO_STAGE` for a detector with an embedder, else `ONE_SHOT`."""
        return TWO_STAGE if "+" in self.case.pipeline else ONE_SHOT

    @property
    def people(self) -> float:
        """Return the mean number of detections in a frame."""
        return self.samples[0].people

    def costs(self) -> list[tuple[int, CrowdCost]]:
        """Return the cost for each number of people that was asked for; [] if none was measured."""
        return list(zip(self.case.people, self.crowd, strict=True)) if self.crowd else []

    def seconds(self, statistic: str) -> dict[str, float]:
        """Return the seconds a frame of each part, their sum, that of the whole and of all cores.

        `statistic` is one of `STATISTICS`, of the samples. The sum is that of the returned parts.
        """
        function = STATISTICS[statistic]
        parts = {part: function(sample.parts[part] for sample in self.samples) for part in PARTS}
        whole = function(sample.whole for sample in self.samples)
        cores = function(sample.processor for sample in self.samples)
        return parts | {"sum": sum(parts.values()), "whole": whole, "CPU": cores}
