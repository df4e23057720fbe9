"""Protocols of pipelines, of their runs over one sequence, and of embedders."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from mottool.detections import Detections
from mottool.sources.sequence import Frame
from mottool.sources.sequence import Sequence as Source

__all__ = [
    "NO_SETTINGS",
    "Embedder",
    "FrameTimes",
    "Pipeline",
    "PipelineRun",
    "StagedRun",
    "Startable",
]

NO_SETTINGS: Mapping[str, Any] = {}


class FrameTimes(NamedTuple):
    """Seconds spent on one frame: network with preprocessing, decoding of its heads, embedder.

    They are those of the work itself, a frame's share of its batch. Stages overlap, so the sum can
    exceed the time from frame to frame.
    """

    network: float = 0.0
    heads: float = 0.0
    embed: float = 0.0


class PipelineRun(Protocol):
    """A pipeline processing one sequence; each frame is passed once, in order.

    `settings` contains everything beside frames and weights that the result depends on, as JSON
    values. `needs_pixels` is False if frame numbers are enough. With `needs_all_frames` the result
    depends on earlier frames: a resumed run must process all frames again. `last_frame` is the last
    frame with boxes that come from a file, 0 if none do.
    """

    settings: dict[str, Any]
    needs_pixels: bool
    needs_all_frames: bool
    last_frame: int

    def detect(self, frames: Sequence[Frame]) -> Iterator[tuple[Detections, FrameTimes]]:
        """Detect people in each of `frames`, at most the pipeline's `batch`."""
        ...


@runtime_checkable
class StagedRun(PipelineRun, Protocol):
    """A run whose `detect` is divided into stages, so that those of several batches can overlap.

    `detect` is `prepare` for each frame, then `infer` and `finish` for the batch. Heads of one
    batch must stay valid while `infer` works on the next ones.
    """

    def prepare(self, frame: Frame) -> Any:
        """Resize a frame; in any thread, for several frames at once, in any order."""
        ...

    def infer(self, prepared: Sequence[Any]) -> Any:
        """Run the network on a batch of prepared frames; in order, always in the same thread."""
        ...

    def finish(self, inferred: Any) -> Iterable[tuple[Detections, FrameTimes]]:
        """Decode the heads of a batch; in order, in one thread, which may be another one."""
        ...


class Pipeline(Protocol):
    """Makes detections, usually with embeddings; holds the weights for all sequences.

    `weights` is the sha256 of the weights file ("" without one), and `batch` the number of frames
    per call. `fitted` are settings of trackers that fit the network, in the form of a cache's
    header (`association.fitted_settings`); {} for none. `weights_files` are the names of the files,
    by the field of a cache's header: `weights_file`, and `embedder_weights_file` of a second stage.
    """

    name: str
    weights: str
    weights_files: Mapping[str, str]
    batch: int
    fitted: Mapping[str, Any]

    def start(
        self,
        sequence: Source,
        warn: Callable[[str], None],
        recorded: Mapping[str, Any] = NO_SETTINGS,
    ) -> PipelineRun:
        """Start a sequence. Raises `InputError` if it lacks what the pipeline needs.

        `recorded` are the settings of the existing cache that the run resumes.
        """
        ...


class Embedder(Protocol):
    """Computes embeddings of given boxes; those of one person are close to each other.

    `weights` is the sha256 of the weights file ("" without one). `settings` contains everything
    else that the result depends on, as JSON values. `frames` is the number of frames per call that
    suits it; results do not depend on it.
    """

    name: str
    weights: str

    @property
    def frames(self) -> int:
        """Return the number of frames; see the class."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """Return the settings; see the class."""
        ...

    def embed(
        self, images: Sequence[npt.NDArray[np.uint8]], boxes: Sequence[npt.NDArray[np.float32]]
    ) -> list[npt.NDArray[np.float32]]:
        """Embed the boxes (n, 4) of each image (H, W, 3) BGR: one (n, D) float32 array per image.

        Embeddings are L2-normalised. Boxes are x1 y1 x2 y2 in pixels and may be partly or fully
        outside the image.
        """
        ...


@runtime_checkable
class Startable(Protocol):
    """An embedder that takes a runtime before each sequence; its settings then name it."""

    def start(
        self, warn: Callable[[str], None], recorded: str = "", images: int | None = None
    ) -> None:
        """Take a runtime: the `recorded` one of the cache that is resumed, or its own choice.

        `images` is the number of images of the sequence, None if that is unknown.
        """
        ...
