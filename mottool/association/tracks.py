"""Tracklets in arrays, the tracks of a frame, and what every tracker promises."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mottool.association.motion import Filter
from mottool.detections import Detections

__all__ = ["EMBED", "Tracker", "Tracklets", "Tracks", "SequenceInfo", "blend", "unit"]

Floats = npt.NDArray[np.float64]
Embeddings = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]

# How to mend detections that a tracker cannot match for want of embeddings.
EMBED = "make them with mottool detect-embed --embedder histogram, or use --tracker sort"
NO_LENGTH = 1e-30  # far below any embedding, and still a normal float32


@dataclass(frozen=True)
class Tracks:
    """The tracks of one frame, in the order of the authors' code.

    `ids` (m,) int64 from 1; `boxes` (m, 4) float64 x1 y1 x2 y2 in pixels; `scores` (m,) float64.
    """

    ids: npt.NDArray[np.int64]
    boxes: Floats
    scores: Floats

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class SequenceInfo:
    """What a tracker may know of a sequence beside its detections.

    `frame_rate` in frames a second; `width` and `height` of the frames in pixels; `public` gives
    the boxes (p, 4) of the benchmark's own detector in a frame counted from 1, where those are to
    decide who may begin a track.
    """

    frame_rate: float
    width: float = np.inf
    height: float = np.inf
    public: Callable[[int], npt.NDArray[np.floating[Any]]] | None = None


class Tracker(Protocol):
    """Links the detections of one sequence, frame by frame; a new sequence takes a new instance.

    `needs` names the fields of `Detections` without which it cannot work, `uses` those without
    which it does less.
    """

    needs: tuple[str, ...]
    uses: tuple[str, ...]

    def __init__(self, settings: Any, video: SequenceInfo) -> None:
        """Begin a sequence."""
        ...

    def step(self, detections: Detections, elapsed: float = 1.0) -> Tracks:
        """The tracks of the next frame, which comes `elapsed` frames after the one before.

        `detections` are not changed.
        """
        ...


class Tracklets:
    """The tracklets that are alive, one slot each in every array.

    Slots of dead tracklets are given to new ones, so memory follows how many live at once, not
    how long the video is. Identities count from 1 in the order of `born`.
    """

    def __init__(self, filter: Filter, capacity: int = 32) -> None:
        """Make room for `capacity` tracklets that move by `filter`; it doubles when needed."""
        self.filter = filter
        self._named = 0
        self._alive = np.zeros(capacity, np.bool_)
        self.ids = np.zeros(capacity, np.int64)
        self.first = np.zeros(capacity)  # time of the first detection, in frames
        self.last = np.zeros(capacity)  # time of the latest detection
        self.hits = np.zeros(capacity, np.int64)  # frames in a row with a detection
        self.confirmed = np.zeros(capacity, np.bool_)  # seen often enough to be shown
        self.buried = np.zeros(capacity, np.bool_)  # was given up at least once
        self.scores = np.zeros(capacity)
        self.motion = np.zeros((5, 4, capacity))
        self.embeddings: Embeddings = np.zeros((capacity, 0), np.float32)

    def __len__(self) -> int:
        return int(np.count_nonzero(self._alive))

    @property
    def capacity(self) -> int:
        """How many tracklets the arrays have room for."""
        return len(self._alive)

    def born(
        self,
        now: float,
        measured: Floats,
        scores: npt.NDArray[np.floating[Any]],
        embeddings: Embeddings | None = None,
    ) -> Indices:
        """Begin a tracklet from each measurement (4, n) and score (n,); their slots (n,)."""
        count = len(scores)
        free = (~self._alive).nonzero()[0]
        while len(free) < count:
            self._grow()
            free = (~self._alive).nonzero()[0]
        slots = free[:count]
        self._alive[slots] = True
        self.ids[slots] = np.arange(self._named + 1, self._named + count + 1)
        self._named += count
        self.first[slots] = self.last[slots] = now
        self.hits[slots] = 0
        self.confirmed[slots] = self.buried[slots] = False
        self.scores[slots] = scores
        self.motion[:, :, slots] = self.filter.initiate(measured)
        if embeddings is not None:
            if self.embeddings.shape[1] != embeddings.shape[1]:
                self.embeddings = np.zeros((self.capacity, embeddings.shape[1]), np.float32)
            self.embeddings[slots] = embeddings
        return slots

    def keep(self, *slots: Indices) -> None:
        """Free every slot that is in none of the lists."""
        self._alive.fill(False)
        for kept in slots:
            self._alive[kept] = True

    def predict(self, slots: Indices, elapsed: float = 1.0) -> Floats:
        """Move these tracklets `elapsed` frames on; their motion (5, 4, T), a copy."""
        motion = self.motion.take(slots, axis=2)
        self.filter.predict(motion, elapsed)
        self.motion[:, :, slots] = motion
        return motion

    def update(self, slots: Indices, now: float, measured: Floats) -> None:
        """Correct these tracklets by their detections of this frame, (4, T)."""
        self.correct(slots, measured)
        self.last[slots] = now

    def correct(self, slots: Indices, measured: Floats) -> None:
        """Correct the motion of these tracklets by what was measured of each, (4, T)."""
        motion = self.motion.take(slots, axis=2)
        self.filter.update(motion, measured)
        self.motion[:, :, slots] = motion

    def boxes(self, slots: Indices) -> Floats:
        """Where these tracklets are by their motion, (T, 4) x1 y1 x2 y2."""
        return self.filter.boxes(self.motion[0].take(slots, axis=1))

    def _grow(self) -> None:
        for name, array in self._arrays():
            axis = array.ndim - 1 if name == "motion" else 0
            setattr(self, name, np.concatenate((array, np.zeros_like(array)), axis=axis))

    def _arrays(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        arrays = list(vars(self).items())
        return ((name, value) for name, value in arrays if isinstance(value, np.ndarray))


def unit(embeddings: Embeddings) -> Embeddings:
    """Embeddings (n, D) scaled to length one; one of length zero stays as it is."""
    length = np.sqrt(np.vecdot(embeddings, embeddings))  # (n,)
    scaled: Embeddings = embeddings / np.maximum(length, NO_LENGTH)[:, None]
    return scaled


def blend(remembered: Embeddings, seen: Embeddings, alpha: float = 0.9) -> Embeddings:
    """The running mean of a tracklet's embedding, (T, D) each, of length one."""
    return unit(alpha * remembered + (1 - alpha) * seen)
