"""Runs of pipelines as stages that can overlap; a run without stages is a single one."""

from collections.abc import Sequence
from typing import Any

from mottool.detections import Detections
from mottool.pipelines.interfaces import FrameTimes, PipelineRun, StagedRun
from mottool.sources.sequence import Frame

__all__ = ["staged"]


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
