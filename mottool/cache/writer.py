"""Write the cache of a sequence; an interrupted run is resumed.

    with CacheWriter(path, header) as cache:
        for frame in sequence.frames(start=cache.committed + 1):
            cache.append(detections_of(frame), frame.seconds, timing)
        cache.finish()

The layout of the file is specified in `mottool.cache.layout`, that of an unfinished one in
`mottool.cache.shards`.
"""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.cache.frame_checks import FrameConsistency, check_frame
from mottool.cache.layout import EMBEDDINGS, LAYOUT, MAPS, SCHEMA, TIMING, TRACKED, Header
from mottool.cache.reader import Cache
from mottool.cache.shard_writer import ShardWriter
from mottool.detections import Detections
from mottool.errors import InputError

__all__ = ["BLOCK", "CacheWriter", "Header", "SCHEMA", "TIMING"]

BLOCK = 64  # frames per commit
MIN_MAP_VALUE = 13  # 255 times 0.05: lower scores in occlusion maps are stored as 0


class CacheWriter(ShardWriter):
    """Writes the cache of one sequence, after the last frame that an earlier run committed."""

    def __init__(self, path: Path, header: Header, overwrite: bool = False) -> None:
        """Start or resume the cache `path`, as `ShardWriter` does and with its errors."""
        super().__init__(path, LAYOUT, header, overwrite)
        self._pending: list[tuple[Detections, float, Sequence[float]]] = []
        self._stride = int(header.settings.get("occlusion_stride", 0))
        self._consistency = FrameConsistency(self._stride)
        self._broken = False
        if self._shards is None:
            return
        rows, has_detections = self._shards.rows, self._shards.lengths["detections"] > 0
        if EMBEDDINGS in rows:
            self._consistency.embedding_size = rows[EMBEDDINGS][0]
        elif has_detections:
            self._consistency.embedding_size = 0
        if has_detections:
            self._consistency.tracks = "offsets" in rows
        self._consistency.map_shape = rows.get(MAPS)

    def append(self, detections: Detections, seconds: float, timing: Sequence[float]) -> None:
        """Add the next frame; every 64th call commits.

        `seconds` is its presentation time and `timing` its cost in seconds, in the order of
        `TIMING`. Raises `InputError` for values that a cache must not contain, `OutputError` on a
        full disk.
        """
        number = self.committed + len(self._pending) + 1
        problem = check_frame(detections, seconds, timing) or self._consistency.check(detections)
        if problem:
            raise InputError(
                f"frame {number} cannot be kept in {self.path}: {problem}",
                "correct the detections, or the weights, that this comes from",
            )
        self._pending.append((detections, seconds, timing))
        if len(self._pending) == BLOCK:
            self._commit()

    def _commit(self) -> None:
        """Write the pending frames as a shard: all of them or none."""
        attributes: dict[str, dict[str, Any]] = {
            "timing": {"columns": " ".join(TIMING)},
            MAPS: {"stride": self._stride},
        }
        try:
            self._commit_columns(self._columns(), attributes)
        except BaseException:
            self._broken = True
            raise
        self._pending.clear()

    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the rows of the pending frames by dataset; pointers start at 0."""
        frames = [detections for detections, _, _ in self._pending]
        centres = [frame.occlusion_centres for frame in frames]
        columns = {
            "pts": np.array([seconds for _, seconds, _ in self._pending]),
            "timing": _rows("timing", [np.asarray([timing]) for _, _, timing in self._pending]),
            "frame_ptr": _pointer([len(frame) for frame in frames]),
            "occlusion/ptr": _pointer([len(points) for points in centres]),
            "occlusion/centres": _rows("occlusion/centres", centres),
        }
        for name in ("boxes", "scores", "classes"):
            columns[name] = _rows(name, [getattr(frame, name) for frame in frames])
        with_detections = [frame for frame in frames if len(frame)]
        if size := self._consistency.embedding_size:
            embeddings = [frame.embeddings for frame in with_detections]
            columns[EMBEDDINGS] = _rows(EMBEDDINGS, embeddings, (size,))  # (n, D)
        if self._consistency.tracks:
            for name in TRACKED:
                columns[name] = _rows(name, [getattr(frame, name) for frame in with_detections])
        maps = [frame.occlusion_map for frame in frames if frame.occlusion_map is not None]
        if maps:
            stacked = np.stack(maps)  # (frames, h, w)
            columns[MAPS] = np.where(stacked < MIN_MAP_VALUE, 0, stacked)
        return columns

    def _read_complete(self) -> tuple[Header, int]:
        with Cache(self.path) as cache:
            return cache.header, cache.frame_count

    def _flush(self) -> None:
        if self._pending or not self.committed:
            self._commit()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Commit the appended frames, also after an error elsewhere; only `finish` completes."""
        try:
            if self._shards is not None and self._pending and not self._broken:
                self._commit()
        finally:
            super().__exit__(kind, error, trace)


def _rows(name: str, parts: Sequence[Any], row: tuple[int, ...] = ()) -> npt.NDArray[Any]:
    """Concatenate the rows of frames, in the type of a dataset; none give (0, …)."""
    spec = LAYOUT.datasets[name]
    shape = row or tuple(size or 0 for size in spec.row)
    empty = np.zeros((0, *shape), spec.dtype)
    return np.concatenate([empty, *parts]).astype(spec.dtype)


def _pointer(counts: list[int]) -> npt.NDArray[np.int64]:
    return np.cumsum([0, *counts], dtype=np.int64)  # (frames + 1,)
