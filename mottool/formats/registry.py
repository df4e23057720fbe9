"""The formats in which tracks and ground truth are read and written, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mottool.errors import InputError
from mottool.layouts.registry import LAYOUTS
from mottool.motchallenge.zip_files import archives_in

if TYPE_CHECKING:
    from mottool.formats.sequence_rows import SequenceRows

__all__ = ["TRACK_FORMATS", "TrackFormat", "read", "write"]


@dataclass(frozen=True)
class TrackFormat:
    """A format of tracks and ground truth.

    `name` describes it in the help. `write` and `read` are functions, as "module:function", of

        write(sequences: Sequence[SequenceRows], out: Path) -> Path
        read(path: Path, warn: Callable[[str], None]) -> list[SequenceRows] | None

    where `read` returns None for a path of another format; either may be missing. `suffix` is that
    of the output, for a format that is one file; `has_sizes` states whether it holds the width and
    height of images, `needs_sizes` whether it cannot be written without them, and `is_scored`
    whether its results are scored together, as those of one tracker.
    """

    name: str
    write: str = ""
    read: str = ""
    suffix: str = ""
    has_sizes: bool = False
    needs_sizes: bool = False
    is_scored: bool = False


# A path is read by the last format here that accepts it; MOTChallenge accepts any.
TRACK_FORMATS = {
    "motchallenge": TrackFormat(
        "SEQUENCE.txt of results, SEQUENCE/gt/gt.txt of ground truth",
        write="mottool.formats.folders:write_motchallenge",
        read="mottool.formats.folders:read",
    ),
    "trackeval": TrackFormat(
        "the same, results in data/",
        write="mottool.formats.folders:write_trackeval",
        is_scored=True,
    ),
    "server": TrackFormat(
        "the zip file that MOTChallenge's server accepts",
        write="mottool.formats.folders:write_server",
        read="mottool.formats.folders:read_server",
        suffix=".zip",
        is_scored=True,
    ),
    "cvat": TrackFormat(
        "MOT 1.1, one zip file per sequence",
        write="mottool.formats.cvat:write",
        read="mottool.formats.cvat:read",
    ),
    "coco": TrackFormat(
        "one JSON file of videos",
        write="mottool.formats.coco:write",
        read="mottool.formats.coco:read",
        suffix=".json",
        has_sizes=True,
    ),
    "yolo": TrackFormat(
        "Ultralytics' track labels, SEQUENCE/labels/SEQUENCE_FRAME.txt",
        write="mottool.formats.yolo:write",
        has_sizes=True,
        needs_sizes=True,
    ),
    "layouts": TrackFormat(
        ", ".join(entry.name for entry in LAYOUTS.values()),
        read="mottool.formats.layouts:read",
    ),
}


def read(path: Path, warn: Callable[[str], None]) -> list[SequenceRows]:
    """Read the sequences of a file or folder, in the format that its content has.

    A folder of zip files is read file by file. `warn` receives a message for everything that is
    left out. Raises `InputError` if there is nothing to read, or if it is malformed.
    """
    sequences = []
    for file in archives_in(path) or [path]:
        for entry in reversed(TRACK_FORMATS.values()):
            if entry.read and (content := _function(entry.read)(file, warn)) is not None:
                sequences += content
                break
    return sequences


def write(sequences: Sequence[SequenceRows], format: str, out: Path) -> Path:
    """Write sequences to `out` in a format of `TRACK_FORMATS`, given by its key.

    Raises `InputError` for a wrong suffix, for results mixed with ground truth, for two sequences
    of one name, and for what the format cannot hold.
    """
    entry = TRACK_FORMATS[format]
    if entry.suffix and out.suffix != entry.suffix:
        problem = f"{out} is not a file name for {format}"
        raise InputError(problem, f"give a name that ends in {entry.suffix}")
    if len({sequence.is_ground_truth for sequence in sequences}) > 1:
        fix = "convert results and ground truth separately"
        raise InputError("some sources are results and some are ground truth", fix)
    names = [sequence.name for sequence in sequences]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"there are two sequences {name}", "rename one, or leave it out")
    written: Path = _function(entry.write)(sequences, out)
    return written


def _function(path: str) -> Any:
    """Import a function given as "module:function"."""
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)
