"""Segments: runs of items of an unfinished file that several processes compute at the same time.

    <name>.part/
      segments.json            how the file is divided, and the header that all segments have
      segment-00001024.part/   the shards of the segment after 1024 items, until they are adopted
        segment.json           the segment is finished: a `FinishedSegment`

A segment has a writer and a lock of its own. The writer of the complete file moves the shards of
finished segments to its own, in order, as far as each of them continues the one before.
"""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mottool.cache.hdf5 import shard_folder
from mottool.files import atomic_write, json_record, read_json_record

__all__ = [
    "FinishedSegment",
    "finished_segments",
    "read_division",
    "read_segment",
    "remove_segment",
    "remove_segments",
    "segment_path",
    "write_division",
    "write_segment",
]

DIVISION, FINISHED = "segments.json", "segment.json"


@dataclass(frozen=True)
class FinishedSegment:
    """What a finished segment contains: `items` of them after the `first` ones of the file.

    `begin` and `end` are digests of what it has in common with the segments before and after it,
    which prove that both read the same source. `is_last` says whether the file ends with it.
    """

    first: int = 0
    items: int = 0
    is_last: bool = False
    begin: str = ""
    end: str = ""

    def continues(self, before: "FinishedSegment") -> bool:
        """Return whether this segment follows another one, and read the same source."""
        return self.first == before.first + before.items and self.begin == before.end


def segment_path(path: Path, first: int) -> Path:
    """Return the path of which a segment of the file `path` has the shards; no file gets it."""
    return shard_folder(path) / f"segment-{first:08d}.h5"


def write_segment(path: Path, segment: FinishedSegment) -> None:
    """Mark the segment of `segment_path` as finished. Raises `OutputError` if it cannot be."""
    _write(shard_folder(path) / FINISHED, asdict(segment))


def read_segment(path: Path) -> FinishedSegment | None:
    """Return the mark of the segment of `segment_path`; None if it is not finished."""
    with suppress(TypeError):  # of a mark with other fields
        if values := read_json_record(shard_folder(path) / FINISHED):
            return FinishedSegment(**values)
    return None


def finished_segments(path: Path) -> list[tuple[Path, FinishedSegment]]:
    """Return the folders and marks of the finished segments of the file `path`, in order."""
    folders = sorted(shard_folder(path).glob("segment-*.part"))
    marks = ((folder, read_segment(folder.with_suffix(".h5"))) for folder in folders)
    return [(folder, mark) for folder, mark in marks if mark]


def write_division(path: Path, division: Mapping[str, Any]) -> None:
    """Keep how the unfinished file `path` is divided, as JSON. Raises `OutputError`."""
    _write(shard_folder(path) / DIVISION, division)


def read_division(path: Path) -> dict[str, Any]:
    """Return how the unfinished file `path` is divided; {} if it is not."""
    return read_json_record(shard_folder(path) / DIVISION)


def remove_segment(path: Path) -> None:
    """Remove the segment of `segment_path`, first its mark. Raises `OSError`."""
    folder = shard_folder(path)
    (folder / FINISHED).unlink(missing_ok=True)
    if folder.is_dir():
        shutil.rmtree(folder)


def remove_segments(path: Path) -> None:
    """Remove the segments of the file `path` and how it is divided. Raises `OSError`."""
    (shard_folder(path) / DIVISION).unlink(missing_ok=True)
    for folder in shard_folder(path).glob("segment-*.part"):
        remove_segment(folder.with_suffix(".h5"))


def _write(path: Path, values: Mapping[str, Any]) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json_record(values), encoding="utf-8")
