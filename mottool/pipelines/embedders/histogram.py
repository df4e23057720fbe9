"""A descriptor of clothing without weights: colour histograms of body stripes.

A person's box is divided into six bands from head to feet. Each band has three soft histograms of
its CIE Lab colours (lightness, green-red, blue-yellow); pixels near the vertical centre line have a
higher weight than the background at the sides. Square roots turn the cosine between two descriptors
into the Bhattacharyya coefficient of the histograms (Bhattacharyya, 1943). Greys of any lightness,
which almost all boxes share, are projected out. This spreads the distances, so that thresholds for
learned embeddings (a cosine distance of 0.4) fit.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mottool.pipelines.embedders.crops import FRAMES, embed_crops
from mottool.pipelines.options import Options

__all__ = ["Histogram", "embedder"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

WIDTH, HEIGHT = 24, 48  # pixels a box is resized to
BANDS = 6  # from head to feet
BINS = 8  # of each of the three colour axes
CHROMA = 30.0  # Lab units from grey to the outermost bin of the two colour axes
GREY = 5.0  # Lab units: spread of the colours that count as grey


def embedder(name: str, options: Options) -> "Histogram":
    """Build the embedder `histogram`; no option applies to it."""
    return Histogram()


class Histogram:
    """The embedder `histogram`: 144 dimensions, L2-normalised."""

    name = "histogram"
    weights = ""
    settings: Mapping[str, Any] = {}
    size = BANDS * 3 * BINS
    frames = FRAMES

    def embed(
        self, images: Sequence[npt.NDArray[np.uint8]], boxes: Sequence[Floats]
    ) -> list[Floats]:
        """Embed the boxes (n, 4) x1 y1 x2 y2 of each image (H, W, 3) BGR: (n, 144) float32 arrays.

        Boxes are clipped to the image; a box outside the image counts as black.
        """
        return embed_crops(images, boxes, _resize, _descriptors, self.size)


def _resize(crop: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Resize a crop (h, w, 3) to (48, 24, 3)."""
    return np.asarray(cv2.resize(crop, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


def _descriptors(crops: npt.NDArray[np.generic]) -> Floats:
    """Compute descriptors (n, 144), with grey projected out, of crops (n, 48, 24, 3) uint8 BGR."""
    pixels = crops.reshape(1, -1, 3).astype(np.float32) / 255
    lab = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2LAB), np.float32).reshape(crops.shape)
    histograms = np.concatenate(
        [
            _soft_histograms(lab[..., 0] / 100),
            _soft_histograms(lab[..., 1] / (2 * CHROMA) + 0.5),
            _soft_histograms(lab[..., 2] / (2 * CHROMA) + 0.5),
        ],
        axis=-1,
    )  # (n, 6, 24)
    return _without_grey(np.sqrt(histograms.reshape(len(crops), -1)))


def _soft_histograms(values: npt.NDArray[np.floating[Any]]) -> Doubles:
    """Compute histograms (n, 6, 8) of `values` (n, 48, 24); [0, 1] maps to the bins.

    Each pixel is divided between its two nearest bins, so that a small change of light causes a
    small change of the histogram. The histogram of a band sums to 1.
    """
    count = len(values)
    position = np.clip(values, 0, 1) * (BINS - 1)
    lower = np.minimum(position.astype(np.int64), BINS - 2)
    upper_share = position - lower
    columns = (np.arange(WIDTH) + 0.5) / WIDTH - 0.5
    weight = np.exp(-0.5 * (columns / 0.25) ** 2)  # (24,)
    weight /= weight.sum() * (HEIGHT // BANDS)
    bands = np.arange(HEIGHT) * BANDS // HEIGHT  # (48,)
    histogram = np.arange(count)[:, None, None] * BANDS + bands[:, None]  # (n, 48, 1)
    slot = histogram * BINS + lower  # (n, 48, 24)
    total = count * BANDS * BINS
    lower_part = np.bincount(slot.ravel(), ((1 - upper_share) * weight).ravel(), total)
    upper_part = np.bincount(slot.ravel() + 1, (upper_share * weight).ravel(), total)
    return np.asarray(lower_part + upper_part, np.float64).reshape(count, BANDS, BINS)


def _without_grey(descriptors: Doubles) -> Floats:
    """Project the common grey out of `descriptors` (n, 144), and normalise."""
    grey = _grey()
    rest = descriptors - np.vecdot(descriptors, grey)[:, None] * grey
    norms = np.linalg.norm(rest, axis=1, keepdims=True)  # (n, 1)
    return np.asarray(rest / np.maximum(norms, 1e-12), np.float32)


@cache
def _grey() -> Doubles:
    """Return the unit descriptor (144,) of greys: any lightness, colours close to neutral."""
    chroma = np.exp(-0.5 * (np.linspace(-CHROMA, CHROMA, BINS) / GREY) ** 2)
    band = np.concatenate([np.full(BINS, 1 / BINS), chroma / chroma.sum(), chroma / chroma.sum()])
    grey: Doubles = np.sqrt(np.tile(band, BANDS))
    return grey / np.linalg.norm(grey)
