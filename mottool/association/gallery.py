"""Galleries: the latest embeddings of each tracklet, and distances to them."""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Gallery"]

Embeddings = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]


INITIAL_CAPACITY = 16  # embeddings of each slot


class Gallery:
    """For every slot of a pool of tracklets a ring of at most `budget` unit embeddings."""

    def __init__(self, budget: int) -> None:
        """Keep the latest `budget` embeddings of each tracklet."""
        self._budget = budget
        # The rings are as long as the fullest needs, which doubles up to the budget.
        self._samples: Embeddings = np.zeros((0, min(budget, INITIAL_CAPACITY), 0), np.float32)
        self._counts = np.zeros(0, np.intp)  # number of embeddings added to each slot

    def begin(self, slots: Indices, embeddings: Embeddings, capacity: int) -> None:
        """Start galleries of new tracklets (n,) with embeddings (n, D), for `capacity` slots."""
        missing = capacity - len(self._counts)
        if missing or self._samples.shape[2] != embeddings.shape[1]:
            room = self._samples.shape[1]
            samples = np.zeros((capacity, room, embeddings.shape[1]), np.float32)
            if self._samples.shape[2] == samples.shape[2]:
                samples[: len(self._samples)] = self._samples
            self._samples = samples
            self._counts = np.concatenate((self._counts, np.zeros(missing, np.intp)))
        self._counts[slots] = 0
        self.add(slots, embeddings)

    def add(self, slots: Indices, embeddings: Embeddings) -> None:
        """Add one embedding (n, D) of each of these tracklets (n,)."""
        seen = self._counts[slots]
        index = seen % self._budget
        if len(index) and index.max() >= self._samples.shape[1]:
            more = min(self._samples.shape[1], self._budget - self._samples.shape[1])
            self._samples = np.pad(self._samples, ((0, 0), (0, more), (0, 0)))
        self._samples[slots, index] = embeddings
        self._counts[slots] = seen + 1

    def distances(
        self, slots: Indices, rows: Indices, embeddings: Embeddings
    ) -> npt.NDArray[np.floating[Any]]:
        """Return cosine distances (K,) of embeddings (K, D) to the nearest in a gallery.

        Each is compared with the gallery of `slots[row]`; `rows` (K,) are sorted.
        """
        nearest = np.empty(len(rows), np.float32)
        if not len(rows):
            return nearest
        changes = (rows[1:] != rows[:-1]).nonzero()[0] + 1
        starts = [0, *changes.tolist(), len(rows)]
        queried = slots[rows[starts[:-1]]]
        filled = np.minimum(self._counts[queried], self._budget).tolist()
        # One product per gallery reads it in place; a single product would need a copy of all.
        for slot, size, (start, stop) in zip(
            queried.tolist(), filled, pairwise(starts), strict=True
        ):
            similarity = self._samples[slot, :size] @ embeddings[start:stop].T  # (size, k)
            np.maximum.reduce(similarity, axis=0, out=nearest[start:stop])
        return 1 - nearest
