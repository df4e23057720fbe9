"""Two-stage pipelines: a detector finds the people, an embedder then describes each of them.

This is what one-shot networks are compared with (separate detection and embedding, SDE, in JDE's
words): its second stage takes longer the more people there are.
"""

from collections.abc import Callable, Iterator, Sequence
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
    """A detector, which is a pipeline whose embeddings do not count, and an embedder."""

    def __init__(self, name: str, detector: Pipeline, embedder: Embedder) -> None:
        """`name` is that of the whole."""
        self.name, self.detector, self.embedder = name, detector, embedder
        self.weights, self.batch = detector.weights, detector.batch
        self.fitted = detector.fitted

    def start(self, sequence: Source, warn: Callable[[str], None]) -> "TwoStagePass":
        """Begin a sequence; an `InputError` if it has no images to describe boxes by."""
        found = self.detector.start(sequence, warn)
        if not sequence.has_images:
            fix = "put the frames beside its seqinfo.ini, or give --embedder none"
            raise InputError(f"{sequence.path} has no images to describe boxes by", fix)
        return TwoStagePass(found, self.embedder)


class TwoStagePass:
    """One sequence going through both stages."""

    needs_pixels = True

    def __init__(self, detector: PipelineRun, embedder: Embedder) -> None:
        self.detector, self.embedder = detector, embedder
        self.replays = detector.replays
        own = {f"embedder_{key}": value for key, value in embedder.settings.items()}
        if embedder.weights:
            own["embedder_weights"] = embedder.weights
        self.settings: dict[str, Any] = detector.settings | {"embedder": embedder.name} | own

    def detect(self, frames: Sequence[Frame]) -> Iterator[tuple[Detections, FrameTimes]]:
        """What is in each frame, the crops of all of them embedded together."""
        found = list(self.detector.detect(frames))
        begun = perf_counter()
        embeddings = self.embedder.embed(
            [frame.image for frame in frames], [detections.boxes for detections, _ in found]
        )
        seconds = (perf_counter() - begun) / len(frames)
        for (detections, times), own in zip(found, embeddings, strict=True):
            yield replace(detections, embeddings=own), times._replace(embed=seconds)
