"""What every embedder promises: one vector of unit length for each box it is shown."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Embedder"]


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
