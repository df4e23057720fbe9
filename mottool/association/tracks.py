"""Tracklets in arrays, the tracks of a frame, and the interface of a tracker."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mottool.association.baseline_settings import ShapeSettings
from mottool.association.motion import Filter
from mottool.detections import Detections
from mottool.errors import CacheError

__all__ = [
    "EMBEDDINGS_FIX",
    "SequenceInfo",
    "Tracker",
    "Tracklets",
    "Tracks",
    "l2_normalise",
    "unit_embeddings",
    "update_embedding",
]

Floats = npt.NDArray[np.float64]
Embeddings = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]

EMBEDDINGS_FIX = "make them with mottool detect-embed --embedder histogram, or use --tracker sort"
MIN_LENGTH = 1e-30  # far below the length of any embedding, and still a normal float32


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

    def filter_by_shape(self, settings: ShapeSettings) -> "Tracks":
        """Keep tracks larger than `min_box_area` and at most `max_w_over_h` × height wide."""
        corners = self.boxes.T
        width, height = corners[2:] - corners[:2]
        keep = width * height > settings.min_box_area
        keep &= width <= settings.max_w_over_h * height
        return Tracks(self.ids[keep], self.boxes[keep], self.scores[keep])


@dataclass(frozen=True)
class SequenceInfo:
    """Properties of a sequence that a tracker may use besides the detections.

    `frame_rate` in frames per second; `width` and `height` of the frames in pixels. In
    public-detection tracking, `public` returns the public boxes (p, 4) of a frame, counted from 1;
    tracks may start only near these.
    """

    frame_rate: float
    width: float = np.inf
    height: float = np.inf
    public: Callable[[int], npt.NDArray[np.floating[Any]]] | None = None


class Tracker(Protocol):
    """Links the detections of one sequence, frame by frame; each sequence needs a new instance.

    `registry.TRACKERS` declares which fields of `Detections` a tracker needs and uses.
    """

    def __init__(self, settings: Any, sequence: SequenceInfo) -> None:
        """Set up the tracker of one sequence."""
        ...

    def update(self, detections: Detections, elapsed: float = 1.0) -> Tracks:
        """Track the next frame, `elapsed` frames after the previous one, and return its tracks.

        `detections` are not changed.
        """
        ...


class Tracklets:
    """The tracklets in use, one slot each in every array.

    Slots of removed tracklets are reused, so memory depends on how many tracklets exist at the same
    time and not on the length of the video. Identities count from 1 in the order of creation.
    """

    def __init__(self, filter: Filter, capacity: int = 32) -> None:
        """Allocate `capacity` slots, doubled when needed; `filter` models the motion."""
        self.filter = filter
        self._created = 0
        self._in_use = np.zeros(capacity, np.bool_)
        self.ids = np.zeros(capacity, np.int64)
        self.first = np.zeros(capacity)  # time of the first detection, in frames
        self.last = np.zeros(capacity)  # time of the latest detection, in frames
        self.hits = np.zeros(capacity, np.int64)  # consecutive frames with a detection
        self.is_confirmed = np.zeros(capacity, np.bool_)  # detected often enough to be reported
        self.is_removed = np.zeros(capacity, np.bool_)  # was marked as removed at least once
        self.scores = np.zeros(capacity)
        self.motion = np.zeros((*filter.state_shape, capacity))
        self.embeddings: Embeddings = np.zeros((capacity, 0), np.float32)

    def __len__(self) -> int:
        return int(np.count_nonzero(self._in_use))

    @property
    def capacity(self) -> int:
        """Number of tracklets that the arrays can hold."""
        return len(self._in_use)

    def create(
        self,
        time: float,
        measurements: Floats,
        scores: npt.NDArray[np.floating[Any]],
        embeddings: Embeddings | None = None,
    ) -> Indices:
        """Create a tracklet from each measurement (4, n) and score (n,); return their slots (n,).

        `time` is in frames; `embeddings` are (n, D).
        """
        count = len(scores)
        if not count:
            return np.zeros(0, np.intp)
        free = (~self._in_use).nonzero()[0]
        while len(free) < count:
            self._grow()
            free = (~self._in_use).nonzero()[0]
        slots = free[:count]
        self._in_use[slots] = True
        self.ids[slots] = np.arange(self._created + 1, self._created + count + 1)
        self._created += count
        self.first[slots] = self.last[slots] = time
        self.hits[slots] = 0
        self.is_confirmed[slots] = self.is_removed[slots] = False
        self.scores[slots] = scores
        self.motion[:, :, slots] = self.filter.initiate(measurements)
        if embeddings is not None:
            if self.embeddings.shape[1] != embeddings.shape[1]:
                self.embeddings = np.zeros((self.capacity, embeddings.shape[1]), np.float32)
            self.embeddings[slots] = embeddings
        return slots

    def keep(self, *slots: Indices) -> None:
        """Free all slots except those listed."""
        self._in_use.fill(False)
        for kept in slots:
            self._in_use[kept] = True

    def predict(self, slots: Indices, elapsed: float = 1.0) -> Floats:
        """Predict the motion of these tracklets after `elapsed` frames; return a copy (…, T)."""
        motion = self.motion.take(slots, axis=2)
        self.filter.predict(motion, elapsed)
        self.motion[:, :, slots] = motion
        return motion

    def update(
        self, slots: Indices, time: float, measurements: Floats, noise: Floats | float = 1.0
    ) -> None:
        """Update these tracklets with their detections at `time`, measurements (4, T).

        `noise` (T,) multiplies the variances of the measurements.
        """
        self.correct(slots, measurements, noise)
        self.last[slots] = time

    def correct(self, slots: Indices, measurements: Floats, noise: Floats | float = 1.0) -> None:
        """Correct the motion of these tracklets by one measurement each, (4, T)."""
        motion = self.motion.take(slots, axis=2)
        self.filter.update(motion, measurements, noise)
        self.motion[:, :, slots] = motion

    def boxes(self, slots: Indices) -> Floats:
        """Return the boxes (T, 4) x1 y1 x2 y2 of these tracklets according to their motion."""
        return self.filter.boxes(self.motion[0].take(slots, axis=1))

    def _grow(self) -> None:
        for name, array in self._arrays():
            axis = array.ndim - 1 if name.endswith("motion") else 0
            setattr(self, name, np.concatenate((array, np.zeros_like(array)), axis=axis))

    def _arrays(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        attributes = list(vars(self).items())
        return ((name, value) for name, value in attributes if isinstance(value, np.ndarray))


def l2_normalise(embeddings: Embeddings) -> Embeddings:
    """Scale embeddings (n, D) to unit length; zero vectors stay zero."""
    lengths = np.sqrt(np.vecdot(embeddings, embeddings))  # (n,)
    scaled: Embeddings = embeddings / np.maximum(lengths, MIN_LENGTH)[:, None]
    return scaled


def unit_embeddings(detections: Detections, rows: Indices) -> Embeddings:
    """Return the L2-normalised embeddings of some `rows` of a frame's detections, (n, D).

    Raises `CacheError` if there are detections without embeddings.
    """
    if detections.embeddings is None:
        if len(detections):
            raise CacheError("the detections have no embeddings to match", EMBEDDINGS_FIX)
        return np.zeros((0, 0), np.float32)
    return l2_normalise(detections.embeddings.take(rows, axis=0))


def update_embedding(
    previous: Embeddings, new: Embeddings, alpha: float | Embeddings = 0.9
) -> Embeddings:
    """Return the L2-normalised running mean of tracklet embeddings, (T, D) each.

    `alpha` is the weight of `previous`, a number or (T, 1).
    """
    return l2_normalise(alpha * previous + (1 - alpha) * new)
