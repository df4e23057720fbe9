"""Write a file atomically, make a safe file name, and compute SHA-256 digests."""

import glob
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mottool.errors import OutputError, writing

__all__ = ["digest", "file_digest", "safe_name", "atomic_write"]

FORGOTTEN = 3600  # seconds without a write after which what is half written has no writer any more


def safe_name(text: str) -> str:
    """`text` as a single file name: no separators, no leading dot, never empty or reserved."""
    return re.sub(r"[^\w.+=@ -]", "_", text, flags=re.UNICODE).strip(". ")[:200] or "unnamed"


@contextmanager
def atomic_write(path: Path, scratch: Path | None = None) -> Iterator[Path]:
    """Give a temporary path; when the block ends well it becomes `path`, else it vanishes.

    The temporary file lies in `scratch` (same file system; by default beside `path`), keeps the
    suffix of `path`, and is flushed to the disk before the rename, so `path` is always whole. What
    a killed process left of an earlier one is removed.
    """
    folder = scratch or path.parent
    part = _part(folder, path, str(os.getpid()))
    with writing(path):
        if path.exists() and not path.is_file():  # a rename would replace a device or a pipe
            problem = f"{path} is no regular file and cannot be written whole"
            raise OutputError(problem, "name a file that does not exist yet, or an ordinary one")
        path.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder, path)
    try:
        with writing(path):
            yield part
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _part(folder: Path, path: Path, process: str) -> Path:
    """Where a process writes what becomes `path`."""
    return folder / f".{path.stem}.{process}.part{path.suffix}"


def _sweep(folder: Path, path: Path) -> None:
    """Remove what processes left of `path` that were killed; what was just written is let be."""
    pattern = _part(Path(), Path(glob.escape(path.name)), "*").name
    for left in folder.glob(pattern):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > FORGOTTEN:
                left.unlink()


def digest(content: Any) -> str:
    """Return the SHA-256, hex, of what JSON can hold."""
    text = json.dumps(content, sort_keys=True, default=dict)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256, hex, of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
