"""The embedder `reid`: a re-identification network in an ONNX file or an OpenVINO IR."""

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mottool.checkpoints.download import required_weights
from mottool.errors import CheckpointError
from mottool.models.device import Compute
from mottool.models.exported import open_exported, pixel_format
from mottool.models.pixel_formats import planes
from mottool.pipelines.embedders.crops import BATCH, FRAMES, embed_crops
from mottool.pipelines.options import Options

__all__ = ["ExportedEmbedder", "embedder"]

Floats = npt.NDArray[np.float32]
DEFAULT_SIZE = 128, 256  # width and height if the file leaves them open
LONGEST = 1e18  # features: in float32, the squares of larger ones are infinite


def embedder(name: str, options: Options) -> "ExportedEmbedder":
    """Build the embedder `reid`. Raises `SettingError` without its file."""
    weights = required_weights(name, options.embedder_weights, "--embedder-weights")
    compute = Compute.named(options.device)
    return ExportedEmbedder(weights, options.embedder_pixels, compute)


class ExportedEmbedder:
    """A network in an exported file that embeds crops of people."""

    name = "reid"
    frames = FRAMES

    def __init__(self, path: Path, pixels: str | None, compute: Compute) -> None:
        """Open the file; `pixels` is one of `models.pixel_formats.FORMS`.

        The default is `bgr255` for an IR, as in Open Model Zoo, and `imagenet` for ONNX, as
        re-identification networks are trained in PyTorch.
        """
        self.network = open_exported(path, compute)
        self.weights = self.network.sha256
        self.width, self.height = self.network.size(None, DEFAULT_SIZE)
        default = "bgr255" if path.suffix == ".xml" else "imagenet"
        self.pixels = pixel_format(self.network, pixels, default)
        self.settings: Mapping[str, Any] = {"pixels": self.pixels}
        if len(self.network.outputs) != 1:
            names = ", ".join(self.network.outputs)
            raise CheckpointError(
                f"{path} has the outputs {names}, but an embedder has one",
                "give a re-identification network",
            )
        blank = planes(np.zeros((self.height, self.width, 3), np.uint8), self.pixels)
        features = self._features(blank[None])  # (1, D)
        if not np.isfinite(features).all():
            # onnxruntime normalises a constant map to NaN, OpenVINO to 0.
            self.network = open_exported(path, compute, by_openvino=True)
            features = self._features(blank[None])
        self.size = features.shape[1]
        self._check_features(features)

    def _check_features(self, blank: Floats) -> None:
        """Raise `CheckpointError` if features of noise have no direction, or are those of black.

        The latter are `blank` (1, D).
        """
        noise = np.random.default_rng(0).integers(0, 256, (self.height, self.width, 3), np.uint8)
        features = self._features(planes(noise, self.pixels)[None])
        length = float(np.linalg.norm(features.astype(np.float64)))
        if not 0 < length < LONGEST:
            problem = f"{self.network.path} gives features of the length {length:g}"
            raise CheckpointError(problem, "export a network with floating-point features")
        if np.array_equal(features, blank):
            problem = f"{self.network.path} gives every image the same embedding"
            raise CheckpointError(problem, "check --embedder-pixels, or export the network anew")

    def embed(
        self, images: Sequence[npt.NDArray[np.uint8]], boxes: Sequence[Floats]
    ) -> list[Floats]:
        """Embed the boxes (n, 4) of each image (H, W, 3) BGR: (n, D) arrays, L2-normalised."""
        batch = self.network.shape[0] or BATCH
        return embed_crops(images, boxes, self._prepare, self._features, self.size, batch)

    def _prepare(self, crop: npt.NDArray[np.uint8]) -> Floats:
        """Convert a crop (h, w, 3) BGR to the planes (3, height, width) of the network."""
        small = cv2.resize(crop, (self.width, self.height), interpolation=cv2.INTER_LINEAR)
        return planes(np.asarray(small, np.uint8), self.pixels)

    def _features(self, crops: npt.NDArray[Any]) -> Floats:
        """Return the features (n, D), not normalised, of inputs (n, 3, height, width)."""
        fixed = self.network.shape[0]
        if not fixed:
            return self._rows(crops)
        parts = []
        for start in range(0, len(crops), fixed):
            part = crops[start : start + fixed]
            full = np.resize(part, (fixed, *part.shape[1:]))  # repeats crops to fill the batch
            parts.append(self._rows(full)[: len(part)])
        return np.concatenate(parts)

    def _rows(self, crops: npt.NDArray[Any]) -> Floats:
        """Run the network and flatten its output to one row per crop."""
        (features,) = self.network.run(crops).values()
        return features.reshape(len(crops), prod(features.shape) // len(crops)).astype(np.float32)
