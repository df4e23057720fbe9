"""Write the cache of a sequence; an interrupted run is resumed.

    with CacheWriter(path, header) as cache:
        for frame in sequence.frames(start=cache.committed + 1):
            cache.append(detections_of(frame), frame.seconds, timing)
        cache.finish()

The layout of the file is specified in `mottool.cache.layout`.
"""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from mottool.cache.frame_checks import Uniformity, wrong_frame
from mottool.cache.hdf5 import Unfinished, part_of
from mottool.cache.layout import (
    MAKER,
    MAPS,
    SCHEMA,
    TIMING,
    TRACKED,
    Header,
    check,
    create,
    extend,
    same_work,
)
from mottool.cache.reader import Cache
from mottool.detections import Detections
from mottool.errors import InputError

__all__ = ["CacheWriter", "Header", "SCHEMA", "TIMING", "part_of"]

BLOCK = 64  # frames per commit
FAINT = 13  # 255 times the score below which a cell of an occlusion map is left out, 0.05


class CacheWriter:
    """Writes the cache of one sequence, going on where an earlier run was stopped.

    `committed` is the number of frames that are safe whatever happens to this process; a fresh
    writer's tells from where to go on. With `already_complete` the cache is finished, and there
    is nothing left to append.
    """

    def __init__(self, path: Path, header: Header, overwrite: bool = False) -> None:
        """Begin or go on with the cache `path`; `overwrite` starts again whatever is there.

        Raises `CacheError` if what is there was made from another source, by another pipeline or
        with other settings, is damaged, or is being written by another process; `OutputError` if
        the place cannot be written.
        """
        self.path = path
        self.already_complete = False
        self.committed = 0
        self._pending: list[tuple[Detections, float, Sequence[float]]] = []
        self._rows = self._centres = 0  # committed
        self._alike = Uniformity(int(header.settings.get("occlusion_stride", 0)))
        self._broken = False
        if path.exists() and not overwrite:
            with Cache(path) as cache:
                same_work(path, cache.header, header)
                self.already_complete, self.committed = True, cache.frame_count
            return
        self._part = Unfinished(path, MAKER, fresh=overwrite)
        self._file = self._part.file
        try:
            self._begin(header)
        except BaseException:
            self._part.close()
            raise

    def _begin(self, header: Header) -> None:
        if self._part.new:
            create(self._file, header)
            self._part.commit()
            return
        same_work(self._part.part, check(self._file, self._part.part), header)
        self.committed = len(self._file["pts"])
        self._rows, self._centres = len(self._file["boxes"]), len(self._file["occlusion/centres"])
        if "embeddings" in self._file:
            self._alike.embedding_size = self._file["embeddings"].shape[1]
        elif self._rows:
            self._alike.embedding_size = 0
        if self._rows:
            self._alike.tracks = "offsets" in self._file
        if MAPS in self._file:
            self._alike.map_shape = self._file[MAPS].shape[1:]
        if self._part.complete:
            self._finish()

    def append(self, detections: Detections, seconds: float, timing: Sequence[float]) -> None:
        """Add the next frame; every 64th call commits.

        `seconds` is its presentation time and `timing` what it cost, in the order of `TIMING`.
        Raises `InputError` for values that no cache may hold, `OutputError` on a full disk.
        """
        number = self.committed + len(self._pending) + 1
        wrong = wrong_frame(detections, seconds, timing) or self._alike.wrong(detections)
        if wrong:
            raise InputError(
                f"frame {number} cannot be kept in {self.path}: {wrong}",
                "correct the detections, or the weights, that this comes from",
            )
        self._pending.append((detections, seconds, timing))
        if len(self._pending) == BLOCK:
            self._commit()

    def _commit(self) -> None:
        """Make the pending frames part of the file, all of them or none."""
        if not self._pending:
            return
        frames = [detections for detections, _, _ in self._pending]
        counts = np.array([len(frame) for frame in frames])
        centres = [frame.occlusion_centres for frame in frames]
        centre_counts = np.array([len(each) for each in centres])
        columns = {
            "boxes": (self._rows, np.concatenate([frame.boxes for frame in frames])),
            "scores": (self._rows, np.concatenate([frame.scores for frame in frames])),
            "classes": (self._rows, np.concatenate([frame.classes for frame in frames])),
            "occlusion/centres": (self._centres, np.concatenate(centres)),
            "pts": (self.committed, np.array([seconds for _, seconds, _ in self._pending])),
            "timing": (self.committed, np.array([timing for _, _, timing in self._pending])),
            "occlusion/ptr": (self.committed + 1, self._centres + np.cumsum(centre_counts)),
        }
        if self._alike.embedding_size:
            none = np.zeros((0, self._alike.embedding_size), np.float16)
            found = [frame.embeddings for frame in frames if len(frame)]
            half = [none] + [each.astype(np.float16) for each in found if each is not None]
            columns["embeddings"] = self._rows, np.concatenate(half)  # (n, D)
        if self._alike.tracks:
            for name in TRACKED:
                found = [getattr(frame, name) for frame in frames if len(frame)]
                columns[name] = self._rows, np.concatenate([np.zeros((0, 2), np.float32), *found])
        maps = [frame.occlusion_map for frame in frames if frame.occlusion_map is not None]
        if maps:
            stacked = np.stack(maps)  # (frames, h, w)
            columns[MAPS] = self.committed, np.where(stacked < FAINT, 0, stacked)
        columns["frame_ptr"] = self.committed + 1, self._rows + np.cumsum(counts)  # last: the mark
        try:
            for name, (at, values) in columns.items():
                extend(self._file, name, at, values)
            if maps:
                self._file[MAPS].attrs["stride"] = self._alike.stride
            self._part.commit()
        except BaseException:
            self._broken = True
            raise
        self.committed += len(frames)
        self._rows += int(counts.sum())
        self._centres += int(centre_counts.sum())
        self._pending.clear()

    def finish(self) -> Path:
        """Commit the last frames and give the file, now complete, its final name."""
        if not self.already_complete:
            self._commit()
            self._finish()
        return self.path

    def _finish(self) -> None:
        self._part.finish()
        self.already_complete = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Commit what was appended, also after an error elsewhere; only `finish` ends the file."""
        if self.already_complete:
            return
        try:
            if not self._broken:
                self._commit()
        finally:
            self._part.close()
