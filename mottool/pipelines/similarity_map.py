"""How like one person every place of a frame is, in the eyes of a one-shot network.

Wang, Zheng, Liu, Li & Wang, "Towards Real-Time Multi-Object Tracking", ECCV 2020, Fig. 4: the
embedding of a query against the dense embedding map of a later frame.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from mottool.checkpoints.download import fetched, missing_weights_fix
from mottool.errors import SettingError, did_you_mean
from mottool.networks.registry import NETWORKS
from mottool.pipelines.one_shot import NetworkEmbedder, embedder
from mottool.pipelines.options import Options

__all__ = ["seeker", "similarity"]

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

DENSE = tuple(name for name, entry in NETWORKS.items() if entry.embedding_map)


def seeker(
    name: str,
    weights: Path | None,
    size: tuple[int, int] | None = None,
    device: str = "auto",
    warn: Callable[[str], None] = lambda message: None,
) -> NetworkEmbedder:
    """The network `name` on its checkpoint, with an input of `size` (width, height) or its own.

    Without `weights`, the checkpoint that `mottool weights fetch` has downloaded is used, and
    `warn` says which; a network that is included has its own. Raises `SettingError` for a name
    that is unknown or has no dense map of embeddings, or without weights, and `CheckpointError`
    for a file that does not fit.
    """
    _dense_head(name)
    weights = weights or fetched(name, warn)
    if weights is None and not NETWORKS[name].bundled:
        raise SettingError(f"{name} needs its weights", missing_weights_fix(name, "--weights"))
    return embedder(name, Options(embedder_weights=weights, input=size, device=device))


def similarity(embedder: NetworkEmbedder, query: Image, box: Floats, later: Image) -> Floats:
    """Cosines (H, W) in [-1, 1] of every pixel of `later` with the person in a box of `query`.

    The frames are (H, W, 3) BGR, the box is (4,) x1 y1 x2 y2 in pixels of `query`. Between the
    middles of the network's cells the cosines are interpolated. Of a network that describes people
    by several parts (`models.parts`), the middle part is compared. A `SettingError` if the network
    has no dense map of embeddings.
    """
    name = _dense_head(embedder.name)
    (person,) = embedder.embed([query], [np.asarray(box, np.float32)[None]])  # (1, P·D)
    with torch.inference_mode():
        cells = F.normalize(embedder.heads([later])[name][0].float(), dim=0)  # (D, h, w)
        parts = torch.from_numpy(person[0]).reshape(-1, len(cells))  # (P, D), top to bottom
        middle = F.normalize(parts[len(parts) // 2], dim=0).to(cells.device)  # (D,)
        likeness = torch.einsum("d,dhw->hw", middle, cells)
    # Where anchors stand on the corners of the cells, so do the embeddings beside them.
    cornered = name.startswith("embedding_")
    return _on_frame(likeness.cpu().numpy(), embedder.view, later.shape[1::-1], cornered)


def _dense_head(name: str) -> str:
    """The raw head of a network that embeds every place of the image."""
    if name not in NETWORKS:
        raise SettingError(f"no one-shot network is called {name!r}", did_you_mean(name, DENSE))
    if name not in DENSE:
        fix = f"choose one of {', '.join(DENSE)}"
        raise SettingError(f"{name} has no dense map of embeddings", fix)
    return NETWORKS[name].embedding_map


def _on_frame(cells: Floats, view: Any, size: tuple[int, int], cornered: bool) -> Floats:
    """The values (h, w) of the cells at the middle of every pixel of a frame, (H, W).

    `size` is the frame's (width, height); a cell's value is at its middle, or at its upper left
    corner if `cornered`. Beyond the outermost ones it stays what it is there.
    """
    width, height = size
    stride = view.height / cells.shape[0]
    ends = np.array([[0.5, 0.5], [width - 0.5, height - 0.5]])
    first, last = view.from_frame(ends, width, height) / stride - (0 if cornered else 0.5)
    x = np.linspace(first[0], last[0], width, dtype=np.float32)  # (W,)
    y = np.linspace(first[1], last[1], height, dtype=np.float32)  # (H,)
    at = np.meshgrid(x, y)  # twice (H, W)
    placed = cv2.remap(cells, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(placed, np.float32).clip(-1, 1)
