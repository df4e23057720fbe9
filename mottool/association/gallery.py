"""Galleries: the latest embeddings of each tracklet, and how far a detection is from them."""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Gallery"]

Embeddings = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]


FIRST_ROOM = 16  # embeddings of each slot


class Gallery:
    """For every slot of a pool of tracklets a ring of at most `budget` unit embeddings."""

    def __init__(self, budget: int) -> None:
        """Keep the latest `budget` embeddings of each tracklet."""
        self._budget = budget
        # The rings are as long as the fullest needs, which doubles up to the budget.
        self._samples: Embeddings = np.zeros((0, min(budget, FIRST_ROOM), 0), np.float32)
        self._seen = np.zeros(0, np.intp)  # how many each slot was ever given

    def begin(self, slots: Indices, embeddings: Embeddings, capacity: int) -> None:
        """Start the galleries of newborn tracklets (n,), n of D, in a pool of `capacity`."""
        missing = capacity - len(self._seen)
        if missing or self._samples.shape[2] != embeddings.shape[1]:
            room = self._samples.shape[1]
            samples = np.zeros((capacity, room, embeddings.shape[1]), np.float32)
            if self._samples.shape[2] == samples.shape[2]:
                samples[: len(self._samples)] = self._samples
            self._samples = samples
            self._seen = np.concatenate((self._seen, np.zeros(missing, np.intp)))
        self._seen[slots] = 0
        self.add(slots, embeddings)

    def add(self, slots: Indices, embeddings: Embeddings) -> None:
        """Hang up one more embedding (n, D) of each of these tracklets (n,)."""
        seen = self._seen[slots]
        place = seen % self._budget
        if len(place) and place.max() >= self._samples.shape[1]:
            more = min(self._samples.shape[1], self._budget - self._samples.shape[1])
            self._samples = np.pad(self._samples, ((0, 0), (0, more), (0, 0)))
        self._samples[slots, place] = embeddings
        self._seen[slots] = seen + 1

    def distances(
        self, slots: Indices, rows: Indices, embeddings: Embeddings
    ) -> npt.NDArray[np.floating[Any]]:
        """The cosine distances (K,) of embeddings (K, D) from the nearest in a gallery.

        Each is compared with the gallery of `slots[row]`, where `rows` (K,) do not fall.
        """
        nearest = np.empty(len(rows), np.float32)
        if not len(rows):
            return nearest
        turns = (rows[1:] != rows[:-1]).nonzero()[0] + 1
        starts = [0, *turns.tolist(), len(rows)]
        asked = slots[rows[starts[:-1]]]
        filled = np.minimum(self._seen[asked], self._budget).tolist()
        # One product per gallery reads it in place; all at once would have to gather them first.
        for slot, size, (start, stop) in zip(asked.tolist(), filled, pairwise(starts), strict=True):
            alike = self._samples[slot, :size] @ embeddings[start:stop].T  # (size, k)
            np.maximum.reduce(alike, axis=0, out=nearest[start:stop])
        return 1 - nearest
