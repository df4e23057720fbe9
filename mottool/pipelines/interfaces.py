"""Protocols of pipelines, of their runs over one sequence, and of embedders."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from mottool.detections import Detections
from mottool.sources.sequence import Frame
from mottool.sources.sequence import Sequence as Source

__all__ = ["Embedder", "PipelineRun", "Pipeline", "FrameTimes"]


class FrameTimes(NamedTuple):
    """Seconds one frame took: the network, the decoding of its heads, the embedder."""

    network: float = 0.0
    heads: float = 0.0
    embed: float = 0.0


class PipelineRun(Protocol):
    """One sequence on its way through a pipeline; frames come once, in order.

    `settings` is everything that decides the result beside the frames and the weights, as JSON
    holds it. `needs_pixels` is False where the frames' numbers are enough. A pass that `replays`
    remembers earlier frames: to go on in the middle it has to see all those before again.
    """

    settings: dict[str, Any]
    needs_pixels: bool
    replays: bool

    def detect(self, frames: Sequence[Frame]) -> Iterator[tuple[Detections, FrameTimes]]:
        """What is in each of `frames`, a batch of at most the pipeline's size."""
        ...


class Pipeline(Protocol):
    """Detections, and mostly embeddings, by one method; holds the weights for all sequences.

    `weights` is the sha256 of the weights file, or "" where there is none; `batch` is how many
    frames it takes at once; `fitted` are the settings of trackers that fit its network, as a
    cache's header keeps them (`association.fitted`), {} for none.
    """

    name: str
    weights: str
    batch: int
    fitted: Mapping[str, Any]

    def start(self, sequence: Source, warn: Callable[[str], None]) -> PipelineRun:
        """Begin a sequence; an `InputError` if it lacks what this pipeline needs."""
        ...


class Embedder(Protocol):
    """Describes people in given boxes, so that one person's vectors are near each other.

    `weights` is the sha256 of the weights file, or "" where there is none; `settings` is
    everything else that decides the result, as JSON holds it.
    """

    name: str
    weights: str

    @property
    def settings(self) -> Mapping[str, Any]:
        """See the class."""
        ...

    def embed(
        self, images: Sequence[npt.NDArray[np.uint8]], boxes: Sequence[npt.NDArray[np.float32]]
    ) -> list[npt.NDArray[np.float32]]:
        """Unit embeddings (n, D) float32 of the boxes (n, 4) of each image (H, W, 3) BGR.

        Boxes are x1 y1 x2 y2 in the image's pixels and may reach beyond it, or lie beyond it.
        """
        ...
