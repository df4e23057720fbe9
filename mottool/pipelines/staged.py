"""Runs of pipelines as stages that can overlap; a run without stages is a single one."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy.typing as npt

from mottool.detections import Detections
from mottool.pipelines.interfaces import FrameTimes, PipelineRun, StagedRun
from mottool.sources.sequence import Frame

__all__ = ["PreparedFrame", "Stages", "staged"]


class PreparedFrame(NamedTuple):
    """A frame for the input of a network, the width and height that it had, and the seconds."""

    pixels: npt.NDArray[Any]
    size: tuple[int, int]
    seconds: float


class Stages(ABC):
    """A run whose `detect` follows from its stages; see `StagedRun`."""

    @abstractmethod
    def prepare(self, frame: Frame) -> Any:
        """Prepare a frame."""

    @abstractmethod
    def infer(self, prepared: Sequence[Any]) -> Any:
        """Run the network on a batch of prepared frames."""

    @abstractmethod
    def finish(self, inferred: Any) -> Iterable[tuple[Detections, FrameTimes]]:
        """Complete the detections of a batch."""

    def detect(self, frames: Sequence[Frame]) -> Iterator[tuple[Detections, FrameTimes]]:
        """Detect people in a batch of frames, stage by stage."""
        yield from self.finish(self.infer([self.prepare(frame) for frame in frames]))


def staged(run: PipelineRun) -> StagedRun:
    """Return a run with stages: itself if it has some, else one with all the work in `infer`."""
    return run if isinstance(run, StagedRun) else _WholeRun(run)


class _WholeRun:
    """A run whose `detect` cannot be divided."""

    def __init__(self, run: PipelineRun) -> None:
        self.detect, self.settings = run.detect, run.settings
        self.needs_pixels, self.needs_all_frames = run.needs_pixels, run.needs_all_frames
        self.last_frame = run.last_frame

    def prepare(self, frame: Frame) -> Frame:
        """Return the frame."""
        return frame

    def infer(self, prepared: Sequence[Frame]) -> list[tuple[Detections, FrameTimes]]:
        """Detect people in the frames."""
        return list(self.detect(prepared))

    def finish(self, inferred: Any) -> Any:
        """Return the detections."""
        return inferred
