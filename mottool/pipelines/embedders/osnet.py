"""The embedders `osnet…`: omni-scale networks for re-identification, as torchreid builds them.

Zhou, Yang, Cavallaro & Xiang, "Omni-scale feature learning for person re-identification", ICCV
2019 (x1_0 to x0_25 and, §4.3, ibn), and "Learning generalisable omni-scale representations for
person re-identification", TPAMI 2021 (ain). The networks are the authors', from the package
torchreid; this module loads their checkpoints and computes embeddings.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image as Pictures
from torch import Tensor, nn

from mottool.checkpoints.download import required_weights
from mottool.checkpoints.fitting import dimension, fit
from mottool.checkpoints.read import read
from mottool.errors import CheckpointError, SettingError
from mottool.models.device import Compute
from mottool.models.folding import fold_batch_norms
from mottool.models.pixel_formats import IMAGENET_DEVIATION, IMAGENET_MEAN
from mottool.pipelines.embedders.crops import FRAMES, embed_crops
from mottool.pipelines.embedders.device_crops import embed_device_crops
from mottool.pipelines.options import Options
from mottool.runtimes.choice import Runtimes
from mottool.runtimes.interfaces import LoadedNetwork
from mottool.runtimes.registry import EAGER

__all__ = ["VARIANTS", "OSNet", "authors_module", "build_network", "embedder"]

# Name: file in torchreid, channels of the first layer, by which checkpoints differ.
VARIANTS = {
    "osnet_x1_0": ("osnet", 64),
    "osnet_x0_75": ("osnet", 48),
    "osnet_x0_5": ("osnet", 32),
    "osnet_x0_25": ("osnet", 16),
    "osnet_ibn_x1_0": ("osnet", 64),
    "osnet_ain_x1_0": ("osnet_ain", 64),
}
FOLDERS = (
    "reid/models",
    "models",
)  # in the package index's torchreid, and in the authors' repository
WIDTH, HEIGHT = 128, 256  # pixels a crop is resized to
# Crops per call: on a CPU those whose maps its caches hold.
CPU_BATCH, GPU_BATCH = 8, 64


def embedder(name: str, options: Options) -> "OSNet":
    """Build one of `VARIANTS`. Raises `SettingError` without its weights."""
    return OSNet.from_options(name, options)


class OSNet:
    """One of `VARIANTS`, with the weights of a checkpoint."""

    frames = FRAMES

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build the network with the weights that are given; raise `SettingError` without them."""
        weights = required_weights(name, options.embedder_weights, "--embedder-weights")
        compute = Compute.named(options.device, options.precision)
        return cls(name, weights, compute, options.runtime)

    def __init__(self, name: str, weights: Path, compute: Compute, runtime: str = EAGER) -> None:
        """Load the authors' `.pth`; `runtime` computes the network.

        Raises `CheckpointError` for a file of another variant.
        """
        checkpoint = read(weights)
        try:
            self.network = self.build(name, checkpoint.tensors)
        except CheckpointError as error:
            raise CheckpointError(f"{weights}: {error.problem}", error.fix) from error
        self.network = fold_batch_norms(self.network)
        self.network.to(compute.device).to(memory_format=torch.channels_last)
        self.name, self.weights, self.compute = name, checkpoint.sha256, compute
        self.batch = CPU_BATCH if compute.device.type == "cpu" else GPU_BATCH
        self.settings: dict[str, Any] = {}
        parts = name, self.weights, self.network, compute, (WIDTH, HEIGHT), self.batch
        self.runtimes = Runtimes(LoadedNetwork(*parts), runtime)
        self.size = self.embedding_size(checkpoint.tensors)
        self._mean, self._deviation = (
            torch.tensor(np.tile(values, WIDTH), device=compute.device)  # (384,), of a row
            for values in (IMAGENET_MEAN, IMAGENET_DEVIATION)
        )

    @staticmethod
    def build(name: str, tensors: Mapping[str, Tensor]) -> nn.Module:
        """Build the network; see `build_network`."""
        return build_network(name, tensors)

    @staticmethod
    def embedding_size(tensors: Mapping[str, Tensor]) -> int:
        """Return the number of features of a checkpoint, which fits."""
        return dimension(tensors, "fc.0.weight", 0, 512)

    def start(
        self, warn: Callable[[str], None], recorded: str = "", images: int | None = None
    ) -> None:
        """Take the runtime of a sequence; `recorded` is that of the cache that is resumed."""
        self.settings["runtime"], self.network = self.runtimes.start(warn, recorded, images)

    def embed(
        self, images: Sequence[npt.NDArray[np.uint8]], boxes: Sequence[npt.NDArray[np.float32]]
    ) -> list[npt.NDArray[np.float32]]:
        """Embed the boxes (n, 4) of each image (H, W, 3) BGR: (n, D) arrays, L2-normalised."""
        if self.compute.device.type == "cuda":
            return self._embed_on_device(images, boxes)
        threads = torch.get_num_threads()
        return embed_crops(images, boxes, _resize, self._features, self.size, self.batch, threads)

    @torch.inference_mode()
    def _embed_on_device(
        self, images: Sequence[npt.NDArray[np.uint8]], boxes: Sequence[npt.NDArray[np.float32]]
    ) -> list[npt.NDArray[np.float32]]:
        """Embed boxes as `embed` does, from the same crops, which the device resizes."""

        def network(crops: Tensor) -> Tensor:
            return self._features_of(crops.flip(3))

        shape = self.batch, HEIGHT, WIDTH
        with self.compute.within_memory():
            return embed_device_crops(images, boxes, network, self.size, shape, self.compute)

    @torch.inference_mode()
    def _features(self, crops: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Compute features (n, D), not normalised, of crops (n, 256, 128, 3) uint8 RGB."""
        return self._features_of(torch.from_numpy(crops).to(self.compute.device)).cpu().numpy()

    def _features_of(self, crops: Tensor) -> Tensor:
        """Compute features (n, D) float32 on the device; see `_features`."""
        rows = crops.flatten(2).float()  # (n, 256, 384)
        rows = rows.div_(255).sub_(self._mean).div_(self._deviation)
        normalised = rows.view(crops.shape).permute(0, 3, 1, 2)  # (n, 3, 256, 128)
        with self.compute.autocast():
            features: Tensor = self.network(normalised)
        return features.float()


def _resize(crop: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Resize a crop (h, w, 3) BGR to (256, 128, 3) RGB, as torchvision's transforms do.

    The width is resized first, then the height: releases of Pillow choose different orders, which
    changes the rounding of crops that shrink in both directions.
    """
    picture = Pictures.fromarray(cv2.cvtColor(crop, cv2.COLOR_BGR2RGB))
    across = picture.resize((WIDTH, picture.height), Pictures.Resampling.BILINEAR)
    return np.asarray(across.resize((WIDTH, HEIGHT), Pictures.Resampling.BILINEAR))


def build_network(name: str, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Build the network of a variant with the tensors of a checkpoint, without its classifier.

    Raises `CheckpointError` that names missing and unexpected tensors and wrong shapes.
    """
    file, width = VARIANTS[name]
    given = dimension(tensors, "conv1.conv.weight", 0, width)
    if given != width:
        fitting = [variant for variant, (_, channels) in VARIANTS.items() if channels == given]
        fix = f"name {fitting[0]} instead" if fitting else f"give the authors' file of {name}"
        problem = f"its first layer has {given} channels, that of {name} {width}"
        raise CheckpointError(problem, fix)
    make = getattr(authors_module(file), name)
    size = dimension(tensors, "fc.0.weight", 0, 512)
    network: nn.Module = make(num_classes=1, pretrained=False, feature_dim=size)
    network.classifier = nn.Identity()  # it classifies the identities of its training data only
    fit(network, tensors, name, unused=r"classifier\.(weight|bias)$")
    return network


@cache
def authors_module(file: str) -> ModuleType:
    """Import one file of torchreid without its package.

    The file needs only torch. Importing the package needs the libraries of its downloads and
    training (gdown, tensorboard) and takes seconds.
    """
    package = find_spec("torchreid")
    for root in (package and package.submodule_search_locations) or ():
        for folder in FOLDERS:
            path = Path(root) / folder / f"{file}.py"
            spec = spec_from_file_location(f"torchreid_{file}", path)
            if path.is_file() and spec is not None and spec.loader is not None:
                module = module_from_spec(spec)
                spec.loader.exec_module(module)
                return module
    raise SettingError(
        "this embedder needs the package torchreid", "install it: pip install torchreid"
    )
