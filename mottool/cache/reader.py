"""Read the cache of a sequence.

with Cache(path) as cache:
    for detections in cache.frames():
        ...
"""

import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from mottool.cache import hdf5
from mottool.cache.layout import EMBEDDINGS, LAYOUT, MAPS, TRACKED, Header, read
from mottool.detections import Detections
from mottool.errors import CacheError, InputError
from mottool.files import digest
from mottool.splits import Split, frames_of_half, name_of_half, parse_source, without_half

__all__ = ["Cache", "read_header"]

READ_FRAMES, READ_ROWS = 1024, 16384  # limits of a block in memory, unless one frame is larger


class Cache:
    """Reads a complete cache; open it in the process that uses it, never before a fork.

    `header` describes it, `frame_count` and `detection_count` are numbers of frames and detections.
    """

    def __init__(self, path: Path) -> None:
        """Open `path`, or one half of its frames with `path@first` or `path@second`.

        Raises `CacheError` if it is missing, unfinished, damaged, of another schema, or not a
        cache, and `InputError` for a half of a half.
        """
        self.path = path
        file, split = parse_source(path)
        self._file, self.header, lengths = read(file)
        self._size = self._current_size()
        try:
            half = _take_half(file, split, self.header, lengths["frames"])
        except BaseException:
            self._file.close()
            raise
        self.header, self._start, self.frame_count = half
        self.has_embeddings = EMBEDDINGS in self._file
        self.embedding_size: int = self._file[EMBEDDINGS].shape[1] if self.has_embeddings else 0
        self.has_offsets = all(name in self._file for name in TRACKED)
        span = slice(self._start, self._start + self.frame_count + 1)
        self._pointer: npt.NDArray[np.int64] = self._file["frame_ptr"][span]
        self._centre_pointer: npt.NDArray[np.int64] = self._file["occlusion/ptr"][span]
        self.detection_count = int(self._pointer[-1] - self._pointer[0])
        self.occlusion_count = int(self._centre_pointer[-1] - self._centre_pointer[0])
        self._data = {name: self._file[name] for name in ("boxes", "scores", "classes")}
        self._embeddings = self._file[EMBEDDINGS] if self.has_embeddings else None
        self._tracked = {name: self._file[name] for name in TRACKED if self.has_offsets}
        self._centres = self._file["occlusion/centres"]

    @property
    def first_frame(self) -> int:
        """Number of the first frame; greater than 1 in the second half of a sequence."""
        return self.header.first_frame

    @property
    def last_frame(self) -> int:
        """Number of the last frame."""
        return self.header.first_frame + self.frame_count - 1

    @property
    def pts(self) -> npt.NDArray[np.float64]:
        """Presentation time of every frame, (F,), in seconds."""
        times: npt.NDArray[np.float64] = self._whole("pts")
        return times

    @property
    def timing(self) -> npt.NDArray[np.float32]:
        """Cost of every frame, (F, 4) seconds, columns as in `TIMING`."""
        costs: npt.NDArray[np.float32] = self._whole("timing")
        return costs

    @property
    def has_occlusion_maps(self) -> bool:
        """Whether the cache contains heatmaps of occlusion centres."""
        return MAPS in self._file

    @property
    def occlusion_stride(self) -> int:
        """Network pixels from cell to cell of the occlusion maps; 0 without maps."""
        return int(self._file[MAPS].attrs["stride"]) if self.has_occlusion_maps else 0

    def occlusion_map(self, frame: int) -> npt.NDArray[np.uint8]:
        """Return the occlusion map (h, w) of the frame at index `frame`: 255 times each score."""
        try:
            values: npt.NDArray[np.uint8] = self._file[MAPS][self._start + frame]
        except OSError as error:
            raise self._damaged(error) from error
        self._check_size()
        return values

    def frames(
        self, start: int = 0, stop: int | None = None, embeddings: bool = True
    ) -> Iterator[Detections]:
        """Yield the detections of the frames at indices `start:stop`, embeddings as float32.

        Index 0 is frame `first_frame`. Without `embeddings`, most of the file is not read, and
        detections have none. The arrays of neighbouring frames are slices of one block: copy those
        to keep for long.
        """
        start, stop, _ = slice(start, stop).indices(self.frame_count)
        while start < stop:
            max_row = self._pointer[start] + READ_ROWS
            last = int(np.searchsorted(self._pointer, max_row, side="right")) - 1
            last = min(max(last, start + 1), start + READ_FRAMES, stop)
            yield from self._block(start, last, embeddings)
            start = last

    def _block(self, start: int, stop: int, embedded: bool) -> Iterator[Detections]:
        rows, centre_rows = self._pointer[start : stop + 1], self._centre_pointer[start : stop + 1]
        low, high = int(rows[0]), int(rows[-1])
        try:
            boxes, scores, classes = (data[low:high] for data in self._data.values())
            centres = self._centres[int(centre_rows[0]) : int(centre_rows[-1])]
            embeddings = None
            if embedded and self._embeddings is not None:
                embeddings = self._embeddings[low:high].astype(np.float32)  # (n, D)
            tracked = {name: data[low:high] for name, data in self._tracked.items()}
        except OSError as error:
            raise self._damaged(error) from error
        self._check_size()
        if not np.isfinite(boxes).all() or not ((scores >= 0) & (scores <= 1)).all():
            raise self._damaged("a box that is not finite, or a score outside of 0 to 1")
        spans = pairwise((rows - low).tolist())
        centre_spans = pairwise((centre_rows - centre_rows[0]).tolist())
        for (a, b), (c, d) in zip(spans, centre_spans, strict=True):
            yield Detections(
                boxes[a:b],
                scores[a:b],
                classes[a:b],
                None if embeddings is None else embeddings[a:b],
                centres[c:d],
                **{name: points[a:b] for name, points in tracked.items()},
            )

    def _whole(self, name: str) -> npt.NDArray[Any]:
        """Return the rows of all frames of a dataset with a row per frame."""
        try:
            span = slice(self._start, self._start + self.frame_count)
            values: npt.NDArray[Any] = self._file[name][span]
        except OSError as error:
            raise self._damaged(error) from error
        self._check_size()
        return values

    @property
    def header_digest(self) -> str:
        """The SHA-256 of the header, in hex, by which records of results name the cache."""
        return digest(asdict(self.header))

    def _check_size(self) -> None:
        """Raise a `CacheError` if the file has become shorter: HDF5 reads zeros beyond its end."""
        if self._current_size() < self._size:
            raise self._damaged("it was cut short while it was read")

    def _current_size(self) -> int:
        """Return the bytes of the open file, which may have been replaced under its name."""
        return os.fstat(self._file.id.get_vfd_handle()).st_size

    def _damaged(self, reason: OSError | str) -> CacheError:
        return CacheError(f"{self.path} is damaged ({reason})", LAYOUT.rebuild_fix)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def read_header(path: Path) -> tuple[Header, int]:
    """Return the header of the cache that `Cache(path)` would open, and its number of frames.

    Its data is not checked, which takes a third of the time. Raises as `Cache`, but not for a cache
    whose data is damaged or not complete.
    """
    file, split = parse_source(path)
    header, _, frames = _take_half(file, split, *hdf5.read_header(file, LAYOUT))
    return header, frames


def _take_half(
    file: Path, split: Split | None, header: Header, frames: int
) -> tuple[Header, int, int]:
    """Return the header, the first index and the number of frames of a part of a cache."""
    if split:
        split.select([header.sequence], file)
    if not split or not split.half:
        return header, 0, frames
    if without_half(header.sequence)[1]:
        problem = f"{file} holds {header.sequence}, which is a half already"
        raise InputError(problem, f"name it without @{split.half}")
    first, last = frames_of_half(frames, split.half, str(file))
    name = name_of_half(header.sequence, split.half)
    number = header.first_frame + first - 1
    return replace(header, sequence=name, first_frame=number), first - 1, last - first + 1
