"""What is known of files without reading them again.

`KnownFiles` keeps what was computed from a file for as long as its size, times of modification and
change, and inode are the same. Programs that restore files set the time of modification, but the
operating system sets the time of change (on Windows it has none).
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mottool._version import __version__
from mottool.errors import InputError
from mottool.files import atomic_write, digest, file_digest, json_record, read_json_record

__all__ = ["KnownFiles", "Signature", "refuse_changes", "signature", "tree_signature"]

Signature = list[Any]  # of a file: bytes, nanoseconds of its times, inode; of a folder: a digest


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
    """Return the size, times of modification and change, and inode of a file; [] without a file.

    That of a folder is a digest of the signatures of the files in it.
    """
    try:
        state = os.stat(path)
        if not os.path.isdir(path):
            return _signature(state)
        with os.scandir(path) as entries:
            files = [(entry.name, entry.stat()) for entry in entries if entry.is_file()]
    except OSError:
        return []
    return [digest(sorted([name, *_signature(state)] for name, state in files))]


def _signature(state: os.stat_result) -> Signature:
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]


@contextmanager
def refuse_changes(*files: Path) -> Iterator[None]:
    """Raise `InputError` if a file was replaced or edited while a result was made from it."""
    before = [signature(file) for file in files]
    yield
    for file, state in zip(files, before, strict=True):
        if signature(file) != state:
            problem = f"{file} changed while it was read"
            raise InputError(problem, "run the same command again when nothing writes to it")


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
        times.append([os.path.relpath(root, folder), state.st_mtime_ns, state.st_ctime_ns])
        folders[:] = [
            name
            for name in sorted(folders)
            if not name.startswith(".")
            and os.path.realpath(os.path.join(root, name)) != left_out.get(name)
        ]
    return times
