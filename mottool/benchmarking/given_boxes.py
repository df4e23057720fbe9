"""A detector whose boxes are replaced, so that a second stage embeds a known number of people."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mottool.detections import Detections
from mottool.pipelines.interfaces import NO_SETTINGS, FrameTimes, Pipeline, PipelineRun
from mottool.sources.sequence import Frame
from mottool.sources.sequence import Sequence as Source

__all__ = ["GivenBoxes"]


class GivenBoxes:
    """A detector that runs as usual and then returns other detections, by frame number."""

    def __init__(self, detector: Pipeline, boxes: Callable[[int], Detections]) -> None:
        """`boxes` returns the detections of a frame, counted from 1."""
        self.detector, self.boxes = detector, boxes
        self.name, self.weights, self.batch = detector.name, detector.weights, detector.batch
        self.fitted: Mapping[str, Any] = detector.fitted
        self.weights_files = detector.weights_files

    def start(
        self,
        sequence: Source,
        warn: Callable[[str], None],
        recorded: Mapping[str, Any] = NO_SETTINGS,
    ) -> "GivenBoxesRun":
        """Start a sequence; see `Pipeline`."""
        return GivenBoxesRun(self.detector.start(sequence, warn, recorded), self.boxes)


class GivenBoxesRun:
    """The detector processing one sequence."""

    def __init__(self, run: PipelineRun, boxes: Callable[[int], Detections]) -> None:
        self.run, self.boxes = run, boxes
        self.settings = run.settings
        self.needs_pixels = run.needs_pixels
        self.needs_all_frames = run.needs_all_frames
        self.last_frame = run.last_frame

    def detect(self, frames: Sequence[Frame]) -> Iterator[tuple[Detections, FrameTimes]]:
        """Detect people in each frame, and return the given boxes with the time it took."""
        for frame, (_, times) in zip(frames, self.run.detect(frames), strict=True):
            yield self.boxes(frame.number), times
