"""Two-stage pipelines: a detector finds people, then an embedder embeds each of their boxes.

JDE's paper calls this separate detection and embedding (SDE). The time of the second stage grows
with the number of people.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

from mottool.detections import Detections
from mottool.errors import InputError
from mottool.pipelines.interfaces import Embedder, FrameTimes, Pipeline, PipelineRun
from mottool.sources.sequence import Frame
from mottool.sources.sequence import Sequence as Source

__all__ = ["TwoStage"]


class TwoStage:
    """A detector and an embedder; embeddings of the detector, if any, are replaced."""

    weights_files: Mapping[str, str] = {}

    def __init__(self, name: str, detector: Pipeline, embedder: Embedder) -> None:
        """Create the pipeline `name` of both parts."""
        self.name, self.detector, self.embedder = name, detector, embedder
        self.weights, self.batch = detector.weights, detector.batch
        self.fitted = detector.fitted

    def start(self, sequence: Source, warn: Callable[[str], None]) -> "TwoStageRun":
        """Start a sequence. Raises `InputError` if it has no images to embed boxes from."""
        run = self.detector.start(sequence, warn)
        if not sequence.has_images:
            fix = "put the frames beside its seqinfo.ini, or give --embedder none"
            raise InputError(f"{sequence.path} has no images to embed boxes from", fix)
        return TwoStageRun(run, self.embedder)


class TwoStageRun:
    """A two-stage pipeline processing one sequence."""

    needs_pixels = True

    def __init__(self, detector: PipelineRun, embedder: Embedder) -> None:
        self.detector, self.embedder = detector, embedder
        self.needs_all_frames = detector.needs_all_frames
        self.last_frame = detector.last_frame
        settings = {f"embedder_{key}": value for key, value in embedder.settings.items()}
        if embedder.weights:
            settings["embedder_weights"] = embedder.weights
        self.settings: dict[str, Any] = detector.settings | {"embedder": embedder.name}
        self.settings |= settings

    def detect(self, frames: Sequence[Frame]) -> Iterator[tuple[Detections, FrameTimes]]:
        """Detect people in each frame; embed the boxes of all frames together."""
        detected = list(self.detector.detect(frames))
        start = perf_counter()
        embeddings = self.embedder.embed(
            [frame.image for frame in frames], [detections.boxes for detections, _ in detected]
        )
        seconds = (perf_counter() - start) / len(frames)
        for (detections, times), rows in zip(detected, embeddings, strict=True):
            yield replace(detections, embeddings=rows), times._replace(embed=seconds)
