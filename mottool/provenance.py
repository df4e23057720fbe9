"""What results were made from: which inputs of a record have changed, and hashes of known files.

The record of a result (`workdir.record_of`) has the identity of everything that determines it: the
SHA-256 of files, settings, and the version of mottool or, of a cache, its schema. Records are
compared with files without reading these: `KnownFiles` keeps what was computed from a file for as
long as its size, time of modification and inode are the same.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mottool._version import __version__
from mottool.files import atomic_write, digest, file_digest, json_record, read_json_record

__all__ = ["KnownFiles", "Signature", "changed_inputs", "signature", "tree_signature"]

Signature = list[Any]  # of a file: bytes, nanoseconds of its modification, inode; of a folder: one

NAMES = {  # keys of records as a reader calls them
    "ground_truth": "the ground truth",
    "made_with": "the pipeline's options",
    "mottool": "the version of mottool",
    "pixel_range": "the pixel range",
    "schema": "the schema",
    "source_hash": "the content of the source",
    "tracks": "the tracks",
}
SHOWN = 40  # characters of a value that a reason shows
HASH = 64  # characters of a SHA-256 in hex


class KnownFiles:
    """What was computed from files, by file and name; computed again when the file changes."""

    def __init__(self, path: Path | None = None) -> None:
        """Read what an earlier run knew from `path`.

        A file that is missing, damaged, or of another version of mottool counts as empty.
        """
        self._path, self._changed = path, False
        self._values: dict[str, dict[str, list[Any]]] = {}
        if path is not None:
            content = read_json_record(path)
            if content.get("mottool") == __version__:  # else it was computed otherwise
                self._values = content.get("files", {})

    def digest(self, path: Path) -> str:
        """Return the SHA-256 of a file, in hex. Raises `OSError` if it cannot be read."""
        value: str = self.value(path, "sha256", signature(path), lambda: file_digest(path))
        return value

    def value(self, path: Path, name: str, signed: Signature, compute: Callable[[], Any]) -> Any:
        """Return the value `name` of a file, which JSON can represent.

        It is computed if it is not known, or if it was known for another signature than `signed`.
        """
        known = self._values.get(os.path.abspath(path), {}).get(name)
        if isinstance(known, list) and len(known) == 2 and known[0] == signed:
            return known[1]
        value = compute()
        self.put(path, name, signed, value)
        return value

    def put(self, path: Path, name: str, signed: Signature, value: Any) -> None:
        """Keep a value of a file that has this signature."""
        self._values.setdefault(os.path.abspath(path), {})[name] = [signed, value]
        self._changed = True

    def save(self) -> None:
        """Write what is known for the next run, if it has changed."""
        if self._changed and self._path is not None:
            with atomic_write(self._path) as temporary:
                content = {"mottool": __version__, "files": self._values}
                temporary.write_text(json_record(content), encoding="utf-8")
            self._changed = False


def signature(path: Path) -> Signature:
    """Return the size, time of modification and inode of a file; [] if there is none.

    That of a folder is a digest of the signatures of the files in it.
    """
    try:
        state = os.stat(path)
        if not os.path.isdir(path):
            return [state.st_size, state.st_mtime_ns, state.st_ino]
        with os.scandir(path) as entries:
            files = [(entry.name, entry.stat()) for entry in entries if entry.is_file()]
    except OSError:
        return []
    named = [[name, state.st_size, state.st_mtime_ns, state.st_ino] for name, state in files]
    return [digest(sorted(named))]


def tree_signature(folder: Path, skipped: Iterable[Path] = ()) -> list[list[Any]]:
    """Return the times of a folder and of all folders below it, apart from `skipped` ones.

    A file that is added, removed or renamed changes the time of its folder; one whose content
    changes does not.
    """
    left_out = {path.name: os.path.realpath(path) for path in skipped}
    times: list[list[Any]] = []
    visited = set()
    for root, folders, _ in os.walk(folder, followlinks=True):
        try:
            state = os.stat(root)
        except OSError:  # it was removed meanwhile, or is on a disk that fails
            times.append([os.path.relpath(root, folder), None])
            continue
        if (state.st_dev, state.st_ino) in visited:
            folders.clear()
            continue
        visited.add((state.st_dev, state.st_ino))
        times.append([os.path.relpath(root, folder), state.st_mtime_ns])
        folders[:] = [
            name
            for name in sorted(folders)
            if not name.startswith(".")
            and os.path.realpath(os.path.join(root, name)) != left_out.get(name)
        ]
    return times


def changed_inputs(record: Mapping[str, Any], inputs: Mapping[str, Any]) -> list[str]:
    """Describe each input that differs from that in a record, such as `max_age 5, now 1`.

    The list is empty if the record has all `inputs`. Of hashes, only the names are given.
    """
    expected = json.loads(json.dumps(inputs))
    reasons = []
    for name, value in expected.items():
        before = record.get(name)
        if name in record and before == value:
            continue
        if isinstance(value, dict) and isinstance(before, dict):
            keys = sorted(key for key in {*value, *before} if value.get(key) != before.get(key))
            reasons += [_change(key, before.get(key), value.get(key)) for key in keys]
        else:
            reasons.append(_change(name, before, value))
    return reasons


def _change(name: str, before: Any, now: Any) -> str:
    """Describe a changed input; hashes and long values say nothing to a reader."""
    shown = NAMES.get(name, name.replace("_", " ") if name.endswith("weights") else name)
    values = [value for value in (before, now) if isinstance(value, str | dict | list)]
    if any(not isinstance(value, str) or len(value) == HASH for value in values):
        return f"{shown} changed"
    if max(len(str(before)), len(str(now))) > SHOWN:
        return f"{shown} changed"
    return f"{shown} {before}, now {now}"
