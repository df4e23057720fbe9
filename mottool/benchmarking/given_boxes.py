"""A detector whose boxes are replaced, so that a second stage embeds a known number of people."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mottool.detections import Detections
from mottool.pipelines.interfaces import NO_SETTINGS, FrameTimes, Pipeline, PipelineRun
from mottool.pipelines.staged import Stages, staged
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


class Numbered(NamedTuple):
    """What a stage of the detector has made of some frames, and their numbers."""

    numbers: list[int]
    content: Any


class GivenBoxesRun(Stages):
    """The detector processing one sequence."""

    def __init__(self, run: PipelineRun, boxes: Callable[[int], Detections]) -> None:
        self.run, self.boxes = staged(run), boxes
        self.settings = run.settings
        self.needs_pixels = run.needs_pixels
        self.needs_all_frames = run.needs_all_frames
        self.last_frame = run.last_frame

    def prepare(self, frame: Frame) -> Numbered:
        """Prepare a frame as the detector does."""
        return Numbered([frame.number], self.run.prepare(frame))

    def infer(self, prepared: Sequence[Numbered]) -> Numbered:
        """Run the detector."""
        numbers = [number for frame in prepared for number in frame.numbers]
        return Numbered(numbers, self.run.infer([frame.content for frame in prepared]))

    def finish(self, inferred: Numbered) -> Iterator[tuple[Detections, FrameTimes]]:
        """Return the given boxes of each frame with the time that the detector took."""
        results = self.run.finish(inferred.content)
        for number, (_, times) in zip(inferred.numbers, results, strict=True):
            yield self.boxes(number), times
