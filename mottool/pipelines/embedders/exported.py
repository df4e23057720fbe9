"""The embedder `reid`: a re-identification network in an ONNX file or an OpenVINO IR."""

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mottool.checkpoints.download import missing_weights_fix
from mottool.errors import CheckpointError, SettingError
from mottool.models.device import Compute
from mottool.models.exported import open_exported
from mottool.models.preprocessing import planes
from mottool.pipelines.embedders.crops import embed_crops
from mottool.pipelines.options import Options

__all__ = ["ExportedEmbedder", "embedder"]

Floats = npt.NDArray[np.float32]
USUAL = 128, 256  # width and height of people in re-identification, where the file leaves it open


def embedder(name: str, options: Options) -> "ExportedEmbedder":
    """The embedder `reid`; a `SettingError` without its file."""
    if options.embedder_weights is None:
        fix = missing_weights_fix(name, "--embedder-weights", "its .onnx or .xml file")
        raise SettingError(f"{name} needs its network", fix)
    compute = Compute.named(options.device)
    return ExportedEmbedder(options.embedder_weights, options.embedder_pixels, compute)


class ExportedEmbedder:
    """A network from people's crops to vectors."""

    name = "reid"

    def __init__(self, path: Path, pixels: str | None, compute: Compute) -> None:
        """`pixels` is one of `models.pixels.FORMS`.

        None stands for what is usual: `bgr255` for an IR, as in Open Model Zoo, `imagenet` for
        ONNX, as re-identification networks are trained in PyTorch.
        """
        self.network = open_exported(path, compute)
        self.weights = self.network.sha256
        self.width, self.height = self.network.size(None, USUAL)
        self.pixels = pixels or ("bgr255" if path.suffix == ".xml" else "imagenet")
        self.settings: Mapping[str, Any] = {"pixels": self.pixels}
        if len(self.network.outputs) != 1:
            named = ", ".join(self.network.outputs)
            raise CheckpointError(
                f"{path} has the outputs {named}, where an embedder has one",
                "give a re-identification network",
            )
        blank = planes(np.zeros((self.height, self.width, 3), np.uint8), self.pixels)
        features = self._features(blank[None])  # (1, D)
        if not np.isfinite(features).all():
            # onnxruntime normalises a map whose values are all the same to NaN, OpenVINO to 0.
            self.network = open_exported(path, compute, by_openvino=True)
            features = self._features(blank[None])
        self.size = features.shape[1]

    def embed(
        self, images: Sequence[npt.NDArray[np.uint8]], boxes: Sequence[Floats]
    ) -> list[Floats]:
        """Unit embeddings (n, D) of the boxes (n, 4) of each image (H, W, 3) BGR."""
        return embed_crops(images, boxes, self._prepared, self._features, self.size)

    def _prepared(self, crop: npt.NDArray[np.uint8]) -> Floats:
        """A crop (h, w, 3) BGR as the network's planes (3, height, width)."""
        small = cv2.resize(crop, (self.width, self.height), interpolation=cv2.INTER_LINEAR)
        return planes(np.asarray(small, np.uint8), self.pixels)

    def _features(self, crops: npt.NDArray[Any]) -> Floats:
        """Features (n, D), not normalised, of inputs (n, 3, height, width)."""
        fixed = self.network.shape[0]
        if not fixed:
            return self._rows(crops)
        parts = []
        for start in range(0, len(crops), fixed):
            part = crops[start : start + fixed]
            full = np.resize(part, (fixed, *part.shape[1:]))  # repeats the crops to fill it up
            parts.append(self._rows(full)[: len(part)])
        return np.concatenate(parts)

    def _rows(self, crops: npt.NDArray[Any]) -> Floats:
        (found,) = self.network.run(crops).values()
        return found.reshape(len(crops), prod(found.shape) // len(crops)).astype(np.float32)
