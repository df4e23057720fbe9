"""Two-stage pipelines: a detector finds people, then an embedder embeds each of their boxes.

JDE's paper calls this separate detection and embedding (SDE). The time of the second stage grows
with the number of people.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mottool.cache.layout import EMBED_MIN_SCORE
from mottool.detections import Detections
from mottool.errors import InputError
from mottool.pipelines.interfaces import (
    NO_SETTINGS,
    Embedder,
    FrameTimes,
    Pipeline,
    PipelineRun,
    Startable,
)
from mottool.pipelines.staged import Stages, staged
from mottool.runtimes.registry import recorded_runtime
from mottool.sources.sequence import Frame
from mottool.sources.sequence import Sequence as Source

__all__ = ["TwoStage"]


class TwoStage:
    """A detector and an embedder; embeddings of the detector, if any, are replaced.

    `batch` is the number of frames whose boxes are embedded together. The detector processes them
    in batches of its own.
    """

    weights_files: Mapping[str, str] = {}

    def __init__(
        self, name: str, detector: Pipeline, embedder: Embedder, min_score: float | None = None
    ) -> None:
        """Create the pipeline `name` of both parts.

        Boxes that score below `min_score` are not embedded: their embeddings are zeros.
        """
        self.name, self.detector, self.embedder = name, detector, embedder
        self.weights, self.fitted = detector.weights, detector.fitted
        self.batch = detector.batch * -(-embedder.frames // detector.batch)
        self.min_score = min_score

    def start(
        self,
        sequence: Source,
        warn: Callable[[str], None],
        recorded: Mapping[str, Any] = NO_SETTINGS,
    ) -> "TwoStageRun":
        """Start a sequence. Raises `InputError` if it has no images to embed boxes from."""
        run = self.detector.start(sequence, warn, recorded)
        if not sequence.has_images:
            fix = "put the frames beside its seqinfo.ini, or give --embedder none"
            raise InputError(f"{sequence.path} has no images to embed boxes from", fix)
        if isinstance(self.embedder, Startable):
            runtime = recorded_runtime(recorded, "embedder_runtime")
            self.embedder.start(warn, runtime, sequence.length)
        return TwoStageRun(self, run)


class Prepared(NamedTuple):
    """The pixels of a frame, and the frame as the detector's input."""

    image: npt.NDArray[np.uint8]
    input: Any


class Detected(NamedTuple):
    """The pixels of a batch of frames, and the detections in them."""

    images: list[npt.NDArray[np.uint8]]
    results: list[tuple[Detections, FrameTimes]]


class TwoStageRun(Stages):
    """A two-stage pipeline processing one sequence.

    The detector's heads are decoded in `infer`, since those of all frames would fill the memory.
    """

    needs_pixels = True

    def __init__(self, pipeline: TwoStage, detector: PipelineRun) -> None:
        self.pipeline, self.detector = pipeline, staged(detector)
        self.needs_all_frames = detector.needs_all_frames
        self.last_frame = detector.last_frame
        embedder = pipeline.embedder
        settings = {f"embedder_{key}": value for key, value in embedder.settings.items()}
        if embedder.weights:
            settings["embedder_weights"] = embedder.weights
        if pipeline.min_score is not None:
            settings[EMBED_MIN_SCORE] = pipeline.min_score
        self.settings: dict[str, Any] = detector.settings | {"embedder": embedder.name}
        self.settings |= settings

    def prepare(self, frame: Frame) -> Prepared:
        """Prepare a frame for the detector."""
        return Prepared(frame.image, self.detector.prepare(frame))

    def infer(self, prepared: Sequence[Prepared]) -> Detected:
        """Detect people in each frame, in batches of the detector's size."""
        batch = self.pipeline.detector.batch
        results: list[tuple[Detections, FrameTimes]] = []
        for start in range(0, len(prepared), batch):
            inputs = [frame.input for frame in prepared[start : start + batch]]
            results += self.detector.finish(self.detector.infer(inputs))
        return Detected([frame.image for frame in prepared], results)

    def finish(self, detected: Detected) -> Iterator[tuple[Detections, FrameTimes]]:
        """Embed the boxes of all frames together."""
        start = perf_counter()
        embeddings = self._embed(detected.images, [each for each, _ in detected.results])
        seconds = (perf_counter() - start) / len(detected.images)
        for (detections, times), rows in zip(detected.results, embeddings, strict=True):
            yield replace(detections, embeddings=rows), times._replace(embed=seconds)

    def _embed(
        self, images: Sequence[npt.NDArray[np.uint8]], detected: Sequence[Detections]
    ) -> list[npt.NDArray[np.float32]]:
        """Embed the boxes of each image that score enough; the rows of the others are zeros."""
        lowest = self.pipeline.min_score
        boxes = [detections.boxes for detections in detected]
        if lowest is None:
            return self.pipeline.embedder.embed(images, boxes)
        kept = [detections.scores >= np.float32(lowest) for detections in detected]
        parts = self.pipeline.embedder.embed(
            images, [rows[mask] for rows, mask in zip(boxes, kept, strict=True)]
        )
        embeddings = []
        for part, mask in zip(parts, kept, strict=True):
            rows = np.zeros((len(mask), part.shape[1]), np.float32)  # (n, D)
            rows[mask] = part
            embeddings.append(rows)
        return embeddings
