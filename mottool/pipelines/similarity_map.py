"""Similarity of one person to every pixel of a frame, by a one-shot network.

Wang, Zheng, Liu, Li & Wang, "Towards Real-Time Multi-Object Tracking", ECCV 2020, Fig. 4: the
embedding of a query is compared with the dense embedding map of a later frame, and the detection
features of the query with the detection feature map of that frame.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mottool.checkpoints.download import find_downloaded, required_weights
from mottool.errors import SettingError, did_you_mean, ignore_warning
from mottool.networks.registry import NETWORKS
from mottool.pipelines.one_shot import NetworkEmbedder, build_embedder
from mottool.pipelines.options import Options
from mottool.runtimes.registry import EAGER

__all__ = ["detection_similarity", "load_similarity_network", "similarity"]

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]


def load_similarity_network(
    name: str,
    weights: Path | None,
    size: tuple[int, int] | None = None,
    device: str = "auto",
    warn: Callable[[str], None] = ignore_warning,
) -> NetworkEmbedder:
    """Load the network `name`, with an input of `size` (width, height) or its own.

    Without `weights`, a checkpoint downloaded by `mottool weights fetch` is used and reported to
    `warn`, or the bundled one. Raises `SettingError` if the name is unknown, the network has no
    dense map of embeddings, or weights are missing, and `CheckpointError` if they do not fit.
    """
    _dense_head(name)
    weights = weights or find_downloaded(name, warn)
    if not NETWORKS[name].bundled:
        weights = required_weights(name, weights, "--weights")
    options = Options(embedder_weights=weights, input=size, device=device, runtime=EAGER)
    return build_embedder(name, options)


def similarity(embedder: NetworkEmbedder, query: Image, box: Floats, later: Image) -> Floats:
    """Compute the cosine (H, W) in [-1, 1] of each pixel of `later` with a person in `query`.

    Frames are (H, W, 3) BGR; the person's box is (4,) x1 y1 x2 y2 in pixels of `query`. Cosines are
    interpolated between the centres of the network's cells. If embeddings consist of several parts
    (`models.parts`), the middle part is compared. Raises `SettingError` if the network has no dense
    map of embeddings.
    """
    name = _dense_head(embedder.name)
    (person,) = embedder.embed([query], [np.asarray(box, np.float32)[None]])  # (1, P·D)
    with torch.inference_mode():
        cells = F.normalize(embedder.heads([later])[name][0].float(), dim=0)  # (D, h, w)
        parts = torch.from_numpy(person[0]).reshape(-1, len(cells))  # (P, D), top to bottom
        middle = F.normalize(parts[len(parts) // 2], dim=0).to(cells.device)  # (D,)
        cosines = torch.einsum("d,dhw->hw", middle, cells)
    size = later.shape[1], later.shape[0]
    return _to_frame(cosines.cpu().numpy(), embedder.preprocessor, size, _at_corners(name))


def detection_similarity(
    embedder: NetworkEmbedder, query: Image, box: Floats, later: Image
) -> Floats:
    """Compute the cosine (H, W) in [-1, 1] of detection features, otherwise like `similarity`.

    Detection features are the input of the last convolution that scores the cells. Those of the
    person are read in the cell at the centre of the box. Raises `SettingError` if the network has
    no dense map of embeddings.
    """
    at_corners = _at_corners(_dense_head(embedder.name))
    before, features = _detection_features(embedder, query), _detection_features(embedder, later)
    height, width = query.shape[:2]
    centre = (np.asarray(box[:2], np.float32) + box[2:]) / 2
    on_input = embedder.preprocessor.from_frame(centre[None], width, height)[0]
    stride = embedder.preprocessor.height / before.shape[1]
    cell = np.floor(on_input / stride + (0.5 if at_corners else 0)).astype(int)
    column, row = np.clip(cell, 0, [before.shape[2] - 1, before.shape[1] - 1]).tolist()
    person = F.normalize(before[:, row, column], dim=0)  # (C,)
    cosines = torch.einsum("c,chw->hw", person, F.normalize(features, dim=0))
    size = later.shape[1], later.shape[0]
    return _to_frame(cosines.cpu().numpy(), embedder.preprocessor, size, at_corners)


@torch.inference_mode()
def _detection_features(embedder: NetworkEmbedder, image: Image) -> Tensor:
    """Compute the detection features (C, h, w) of a frame (H, W, 3)."""
    inputs: list[Tensor] = []
    network: Any = embedder.network
    detector: nn.Module = network.get_submodule(NETWORKS[embedder.name].detector)
    hook = detector.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    try:
        embedder.heads([image])
    finally:
        hook.remove()
    return inputs[0][0].float()  # (C, h, w)


def _at_corners(head: str) -> bool:
    """Return whether cells are read at their corners, where anchors and their embeddings are."""
    return head.startswith("embedding_")


def _dense_head(name: str) -> str:
    """Return the name of the raw head with an embedding for every cell of the image."""
    dense = [entry.name for entry in NETWORKS.values() if entry.embedding_map]
    if name not in NETWORKS:
        raise SettingError(f"there is no one-shot network {name!r}", did_you_mean(name, dense))
    if name not in dense:
        fix = f"choose one of {', '.join(dense)}"
        raise SettingError(f"{name} has no dense map of embeddings", fix)
    return NETWORKS[name].embedding_map


def _to_frame(cells: Floats, preprocessor: Any, size: tuple[int, int], at_corners: bool) -> Floats:
    """Interpolate the values (h, w) of cells at the centre of every pixel of a frame, (H, W).

    `size` is the frame's (width, height). A cell's value is at its centre, or at its upper left
    corner with `at_corners`. Values are constant beyond the outermost cells.
    """
    width, height = size
    stride = preprocessor.height / cells.shape[0]
    ends = np.array([[0.5, 0.5], [width - 0.5, height - 0.5]])
    first, last = preprocessor.from_frame(ends, width, height) / stride - (0 if at_corners else 0.5)
    x = np.linspace(first[0], last[0], width, dtype=np.float32)  # (W,)
    y = np.linspace(first[1], last[1], height, dtype=np.float32)  # (H,)
    at = np.meshgrid(x, y)  # twice (H, W)
    placed = cv2.remap(cells, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(placed, np.float32).clip(-1, 1)
