"""The sequences of a recipe's datasets; while nothing has changed, no video is opened for them.

Imports no numpy, cv2 or av unless files have changed since the last run.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mottool.errors import MottoolError
from mottool.files import digest
from mottool.layouts.registry import layout_of_images
from mottool.pixel_range import PixelRange
from mottool.recipes.recipe import RecipeDataset
from mottool.records.known_files import KnownFiles, signature, tree_signature
from mottool.splits import parse_source, without_half

if TYPE_CHECKING:
    from mottool.sources.sequence import Sequence as Source

__all__ = [
    "PlannedSequence",
    "find_dataset",
    "remember_hash",
    "source_hash",
    "source_path",
    "source_signature",
]

PATHS = ("path", "detections", "ground_truth", "media")
Refuse = Callable[[str, MottoolError], None]
Note = Callable[[str], None]


@dataclass(frozen=True)
class PlannedSequence:
    """A sequence of a dataset: its name, and its number of frames.

    `source` has the fields of the source, from which `open` makes it; it is None for a sequence of
    which there are only caches. `frames` may be wrong or None. `pixel_range` is that with which a
    pipeline reads it.
    """

    name: str
    frames: int | None = None
    source: Mapping[str, Any] | None = None
    pixel_range: PixelRange | None = None

    def open(self) -> Source:
        """Return the source. Imports numpy, cv2 and av."""
        assert self.source is not None
        return _open(self.source, self.pixel_range)

    def file(self, name: str) -> Path | None:
        """Return the file `detections` or `ground_truth` of the source, if it has one."""
        path = None if self.source is None else self.source[name]
        return None if path is None else Path(path)

    @property
    def whole_name(self) -> str:
        """The name of the complete sequence, as files of detections have it."""
        return without_half(self.name)[0] if self.source and self.source["span"] else self.name


def find_dataset(
    dataset: RecipeDataset, work: Path, known: KnownFiles, refused: Refuse, note: Note
) -> list[PlannedSequence]:
    """Find the sequences of a dataset.

    `refused` receives each source that cannot be used, with its error, `note` a message for files
    that are left out. Raises `SettingError` as `find_sequences`.
    """
    if not dataset.sources:
        return []
    path = source_path(dataset.sources[0])
    key = f"sequences {digest(list(dataset.sources))}"
    signed = [source_signature(source, work) for source in dataset.sources]
    stored = known.value(path, key, signed, list)
    if not stored or not all(map(_is_unchanged, stored)):
        failures = list[str]()

        def refuse(source: str, error: MottoolError) -> None:
            failures.append(source)
            refused(source, error)

        stored = _find(dataset.sources, refuse, note)
        known.put(path, key, [] if failures else signed, stored)
    return [PlannedSequence(source["name"], source["length"], source) for source in stored]


def source_hash(sequence: PlannedSequence, known: KnownFiles) -> str:
    """Return the fingerprint of a sequence, "" without a source; changed content is read."""
    source = sequence.source
    if source is None:
        return ""
    value: str = known.value(*_fingerprint_of(source), lambda: sequence.open().fingerprint())
    return value


def remember_hash(sequence: PlannedSequence, known: KnownFiles, value: str) -> None:
    """Keep the fingerprint of a sequence that was computed elsewhere."""
    if sequence.source is not None:
        known.put(*_fingerprint_of(sequence.source), value)


def _fingerprint_of(source: Mapping[str, Any]) -> tuple[Path, str, list[Any]]:
    """Return file, name and signature under which the fingerprint of a source is known."""
    path = Path(source["media"] or source["path"])
    return path, f"source {source['span'] or ''}", source["content"]


def source_path(source: str) -> Path:
    """Return the path of a source without its split."""
    return parse_source(source)[0]


def source_signature(source: str, work: Path) -> list[Any]:
    """Return what changes when files are added to a source or removed."""
    path = source_path(source)
    if path.exists() or not glob.has_magic(str(path)):
        return [source, _state(path, work)]
    matches = sorted(glob.glob(str(path), recursive=True))
    return [source, [[match, _state(Path(match), work)] for match in matches]]


def _state(path: Path, work: Path) -> list[Any]:
    return tree_signature(path, [work]) if path.is_dir() else signature(path)


def _find(sources: Sequence[str], refused: Refuse, note: Note) -> list[dict[str, Any]]:
    """Find the sequences of sources, and return their fields as JSON can have them."""
    from mottool.sources.discovery import find_sequences

    entries = []
    for sequence in find_sequences(sources, refused=refused, note=note):
        original = getattr(sequence, "original", sequence)
        entry = {name: getattr(original, name) for name in ("fps", "width", "height")}
        entry |= {name: _text(getattr(original, name)) for name in PATHS}
        entry |= {"whole": original.name, "frames": original.length}
        entry |= {"name": sequence.name, "length": sequence.length}
        entry["span"] = list(sequence.span) if hasattr(sequence, "span") else None
        entry["content"] = _content(entry)
        entry["labels"] = _labels_folder(original)
        entry["labels_time"] = _times(entry["labels"])
        entries.append(entry)
    return entries


def _labels_folder(sequence: Source) -> str | None:
    """Return the folder of the ground truth of a sequence, which may be outside of its source.

    It may not exist, or not have the labels yet.
    """
    labels = sequence.ground_truth
    if labels is None and sequence.media is not None and sequence.media.is_dir():
        layout = layout_of_images(sequence.media)
        labels = layout[1] if layout else None
    return None if labels is None else str(labels.parent)


def _times(folder: str | None) -> list[int] | None:
    """Return when a file was last added to a folder or removed; None without the folder."""
    try:
        state = os.stat(folder) if folder is not None else None
    except OSError:
        state = None
    return None if state is None else [state.st_mtime_ns, state.st_ctime_ns]


def _is_unchanged(source: Mapping[str, Any]) -> bool:
    """Return whether the frames of a source are the same, and its ground truth where it was."""
    if "labels" not in source:  # remembered by an earlier version
        return False
    same_frames: bool = _content(source) == source["content"]
    return same_frames and _times(source["labels"]) == source["labels_time"]


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _content(source: Mapping[str, Any]) -> list[Any]:
    """Return the signatures of the frames and of the `seqinfo.ini` of a source."""
    path, media = source["path"], source["media"]
    info = [] if media == path else signature(Path(path) / "seqinfo.ini")
    return [info, [] if media is None else signature(Path(media))]


def _open(source: Mapping[str, Any], pixel_range: PixelRange | None) -> Source:
    """Return the sequence that has these fields."""
    from mottool.sources.sequence import HalfSequence
    from mottool.sources.sequence import Sequence as Whole

    fields: dict[str, Any] = {name: source[name] for name in ("fps", "width", "height")}
    fields |= {"pixel_range": pixel_range}
    fields |= {name: None if source[name] is None else Path(source[name]) for name in PATHS}
    whole = Whole(name=source["whole"], length=source["frames"], **fields)
    if source["span"] is None:
        return whole
    fields |= {"name": source["name"], "length": source["length"]}
    first, last = source["span"]
    return HalfSequence(**fields, original=whole, span=(first, last))
