"""One-shot pipelines: a network that detects and embeds in one pass over the frame."""

from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mottool.detections import Detections
from mottool.errors import InputError
from mottool.models.network import Decoded, Network
from mottool.models.preprocessing import Letterbox
from mottool.pipelines.pipeline import Times
from mottool.sources import Frame
from mottool.sources import Sequence as Source

__all__ = ["OneShot"]


class OneShot:
    """A network with its pre-processing."""

    def __init__(
        self,
        name: str,
        network: Network,
        weights: str,
        view: Letterbox,
        device: torch.device,
        min_score: float,
        batch: int,
    ) -> None:
        """Detections scoring above `min_score` are kept; `batch` frames go through in one call.

        `weights` is the sha256 of the checkpoint that `network` was loaded from.
        """
        self.name, self.weights, self.batch = name, weights, batch
        self.network, self.view, self.device = network, view, device
        self.min_score = min_score

    def start(self, sequence: Source, warn: Callable[[str], None]) -> "OneShotPass":
        """Begin a sequence; an `InputError` if it has no images."""
        if not sequence.has_images:
            fix = "add its frames, or track its public detections (--pipeline public)"
            raise InputError(f"{sequence.path} has no images for a network to see", fix)
        return OneShotPass(self)


class OneShotPass:
    """One sequence going through a one-shot network."""

    needs_pixels = True

    def __init__(self, pipeline: OneShot) -> None:
        self.pipeline = pipeline
        view = pipeline.view
        self.settings: dict[str, Any] = {
            "input": f"{view.width}x{view.height}",
            "min_score": pipeline.min_score,
        }

    @torch.inference_mode()
    def detect(self, frames: Sequence[Frame]) -> Iterator[tuple[Detections, Times]]:
        """What the network sees in each frame, all of them in one call."""
        pipeline, begun = self.pipeline, perf_counter()
        images = torch.from_numpy(
            np.stack([pipeline.view.image(frame.image) for frame in frames])
        ).to(pipeline.device)  # (B, 3, H, W)
        heads = pipeline.network.forward(images)
        _wait_for(pipeline.device)
        network = (perf_counter() - begun) / len(frames)
        begun = perf_counter()
        decoded = pipeline.network.decode(heads, pipeline.min_score)
        found = [
            self._on_frame(each, frame.image) for each, frame in zip(decoded, frames, strict=True)
        ]
        seconds = (perf_counter() - begun) / len(frames)
        for detections in found:
            yield detections, Times(network=network, heads=seconds)

    def _on_frame(self, found: Decoded, image: npt.NDArray[np.uint8]) -> Detections:
        """The detections of one image in the pixels of its frame."""
        height, width = image.shape[:2]
        view = self.pipeline.view
        centres = np.zeros((0, 3), np.float32)
        if found.occlusion_centres is not None:
            centres = found.occlusion_centres.cpu().numpy()  # (k, 3)
            centres[:, :2] = view.to_frame(centres[:, :2], width, height)
        embeddings = found.embeddings
        return Detections(
            boxes=view.to_frame(found.boxes.cpu().numpy(), width, height),
            scores=found.scores.cpu().numpy(),
            classes=found.classes.cpu().numpy().astype(np.uint16),
            embeddings=None if embeddings is None else embeddings.cpu().numpy(),
            occlusion_centres=centres,
        )


def _wait_for(device: torch.device) -> None:
    """Let queued work finish, so that the clock tells it apart from what follows."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
