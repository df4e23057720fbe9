"""StrongSORT: DeepSORT with averaged embeddings, camera motion, and one assignment by both costs.

Du, Zhao, Song, Zhao, Su, Gong & Meng, "StrongSORT: Make DeepSORT Great Again", IEEE Transactions
on Multimedia 2023, §3.2, as the published code does it with ECC, NSA, EMA, MC and woC. The
interpolation of StrongSORT++ is `--fill-gaps 18 --smooth gaussian`; its network AFLink, which links
tracks afterwards, is left out.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.association.camera_settings import StrongSortSettings
from mottool.association.deepsort import DeepSortFamilyTracker
from mottool.association.motion import POSITION
from mottool.association.tracks import SequenceInfo, update_embedding
from mottool.detections import Detections

__all__ = ["StrongSortTracker"]

Floats = npt.NDArray[np.float64]
Embeddings = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]

MAX_WARP = 100  # distance to the identity, by Frobenius norm, from which on a warp is wrong


class StrongSortTracker(DeepSortFamilyTracker):
    """Tracker of one sequence; without `camera_motion` of its frames the camera is still."""

    def __init__(self, settings: StrongSortSettings, sequence: SequenceInfo) -> None:
        """Set up the tracker of one sequence; StrongSORT counts in frames whatever their rate."""
        super().__init__(settings, MeanEmbeddings(settings.ema_alpha), settings.mc_lambda)
        self._compensates = settings.camera_motion

    def _predict(self, detections: Detections, elapsed: float) -> Floats:
        """Move the boxes with the background, then predict the motion (§3.2.3)."""
        warp = detections.camera_motion
        if (
            self._compensates
            and warp is not None
            and np.linalg.norm(warp - np.eye(2, 3)) < MAX_WARP
        ):
            corners = self._pool.boxes(self._slots).reshape(-1, 2, 2)  # (T, 2, 2)
            moved = corners @ warp[:, :2].T + warp[:, 2]
            measurements = self._filter.measurements(moved.reshape(-1, 4))
            self._pool.motion[POSITION, :, self._slots] = measurements.T
        return super()._predict(detections, elapsed)

    def _noise(self, scores: npt.NDArray[np.floating[Any]]) -> Floats:
        """Trust detections by their scores: the NSA Kalman filter (§3.2.2)."""
        noise: Floats = np.square(1 - scores.astype(np.float64))
        return noise


class MeanEmbeddings:
    """An exponential moving average of the embeddings of each tracklet (§3.2.1)."""

    def __init__(self, alpha: float) -> None:
        """Keep the weight `alpha` of the average when an embedding is added."""
        self._alpha = alpha
        self._means: Embeddings = np.zeros((0, 0), np.float32)

    def begin(self, slots: Indices, embeddings: Embeddings, capacity: int) -> None:
        """Start averages of new tracklets (n,) with embeddings (n, D), for `capacity` slots."""
        means = self._means
        if means.shape != (capacity, embeddings.shape[1]):
            self._means = np.zeros((capacity, embeddings.shape[1]), np.float32)
            if means.shape[1] == embeddings.shape[1]:
                self._means[: len(means)] = means
        self._means[slots] = embeddings

    def add(self, slots: Indices, embeddings: Embeddings) -> None:
        """Average one embedding (n, D) into each of these tracklets (n,)."""
        self._means[slots] = update_embedding(self._means[slots], embeddings, self._alpha)

    def distances(
        self, slots: Indices, rows: Indices, embeddings: Embeddings
    ) -> npt.NDArray[np.floating[Any]]:
        """Return the cosine distance (K,) of each embedding (K, D) to that of `slots[row]`."""
        if not len(rows):
            return np.zeros(0, np.float32)
        distances: Embeddings = 1 - np.vecdot(self._means[slots[rows]], embeddings)
        return distances
