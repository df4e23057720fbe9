"""Read the cache of a sequence.

with Cache(path) as cache:
    for detections in cache.frames():
        ...
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from mottool.cache.hdf5 import open_file
from mottool.cache.layout import (
    AGAIN,
    ANEW,
    MAKER,
    MAPS,
    TRACKED,
    check,
)
from mottool.detections import Detections
from mottool.errors import CacheError

__all__ = ["Cache"]

READ_FRAMES, READ_ROWS = 1024, 16384  # what a reader holds at once, a crowded frame aside


class Cache:
    """Reads a cache; open it in the process that uses it, never before a fork."""

    def __init__(self, path: Path, unfinished: bool = False) -> None:
        """Open `path`; a file that is not whole is refused unless `unfinished` allows it.

        Raises `CacheError` for what is missing, no cache, damaged, of another schema, or being
        written right now.
        """
        self.path = path
        self._file = open_file(path, MAKER, "frame", unfinished)
        try:
            self.header = check(self._file, path)
            self.complete = bool(self._file.attrs["complete"])
            self._pointer: npt.NDArray[np.int64] = self._file["frame_ptr"][:]
            self._centre_pointer: npt.NDArray[np.int64] = self._file["occlusion/ptr"][:]
            self.frame_count = len(self._pointer) - 1
            if not (self.complete or unfinished):
                problem = f"{path} is unfinished ({self.frame_count} frames committed)"
                raise CacheError(problem, AGAIN)
        except BaseException:
            self._file.close()
            raise
        self.has_embeddings = "embeddings" in self._file
        self.embedding_size: int = self._file["embeddings"].shape[1] if self.has_embeddings else 0
        self.has_offsets = all(name in self._file for name in TRACKED)
        self.detection_count = int(self._pointer[-1])
        self.occlusion_count = int(self._centre_pointer[-1])
        self._data = {name: self._file[name] for name in ("boxes", "scores", "classes")}
        self._embeddings = self._file["embeddings"] if self.has_embeddings else None
        self._tracked = {name: self._file[name] for name in TRACKED if self.has_offsets}
        self._centres = self._file["occlusion/centres"]

    @property
    def pts(self) -> npt.NDArray[np.float64]:
        """The presentation time of every frame, (F,), in seconds."""
        times: npt.NDArray[np.float64] = self._file["pts"][:]
        return times

    @property
    def timing(self) -> npt.NDArray[np.float32]:
        """What every frame cost, (F, 4) seconds, columns as in `TIMING`."""
        costs: npt.NDArray[np.float32] = self._file["timing"][:]
        return costs

    @property
    def has_occlusion_maps(self) -> bool:
        """Whether the heatmaps of occlusion centres were kept."""
        return MAPS in self._file

    @property
    def occlusion_stride(self) -> int:
        """Network pixels from cell to cell of the occlusion maps; 0 where there are none."""
        return int(self._file[MAPS].attrs["stride"]) if self.has_occlusion_maps else 0

    def occlusion_map(self, frame: int) -> npt.NDArray[np.uint8]:
        """The occlusion map (h, w) of a frame counted from 0: 255 times each cell's score."""
        try:
            found: npt.NDArray[np.uint8] = self._file[MAPS][frame]
        except OSError as error:
            raise CacheError(f"{self.path} is damaged ({error})", ANEW) from error
        return found

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Detections]:
        """The detections of the frames `start:stop`, counted from 0, embeddings as float32.

        The arrays of neighbouring frames are slices of one block: copy what is to be kept long.
        """
        start, stop, _ = slice(start, stop).indices(self.frame_count)
        while start < stop:
            room = self._pointer[start] + READ_ROWS
            last = int(np.searchsorted(self._pointer, room, side="right")) - 1
            last = min(max(last, start + 1), start + READ_FRAMES, stop)
            yield from self._block(start, last)
            start = last

    def _block(self, start: int, stop: int) -> Iterator[Detections]:
        rows, centre_rows = self._pointer[start : stop + 1], self._centre_pointer[start : stop + 1]
        low, high = int(rows[0]), int(rows[-1])
        try:
            boxes, scores, classes = (data[low:high] for data in self._data.values())
            centres = self._centres[int(centre_rows[0]) : int(centre_rows[-1])]
            embeddings = None
            if self._embeddings is not None:
                embeddings = self._embeddings[low:high].astype(np.float32)  # (n, D)
            tracked = {name: data[low:high] for name, data in self._tracked.items()}
        except OSError as error:
            raise CacheError(f"{self.path} is damaged ({error})", ANEW) from error
        own = pairwise((rows - low).tolist())
        own_centres = pairwise((centre_rows - centre_rows[0]).tolist())
        for (a, b), (c, d) in zip(own, own_centres, strict=True):
            yield Detections(
                boxes[a:b],
                scores[a:b],
                classes[a:b],
                None if embeddings is None else embeddings[a:b],
                centres[c:d],
                **{name: points[a:b] for name, points in tracked.items()},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
