"""Files: atomic writing, safe names, SHA-256 digests, and JSON with a checksum."""

import fnmatch
import glob
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from mottool.errors import InputError, OutputError, writing

__all__ = [
    "IMAGE_SUFFIXES",
    "UNPACK_FIX",
    "UNPACK_VARIABLE",
    "atomic_write",
    "digest",
    "existing_path",
    "file_digest",
    "json_record",
    "read_json_record",
    "replace_file",
    "safe_name",
    "unpack_factor",
    "unpacked_limit",
    "user_cache_folder",
    "visible_files",
]

CHECKSUM = "record_sha256"  # in a JSON record, of its other entries
STALE_SECONDS = 3600  # age after which a temporary file has lost its writer
IMAGE_SUFFIXES = frozenset(
    {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)
RATIO, SLACK = 100, 1 << 24  # of unpacked to packed text; tracks have a ratio of 4 to 20
UNPACK_VARIABLE = "MOTTOOL_UNPACK_LIMIT"  # processes that are started inherit it
UNPACK_FIX = "check the file; if it is right, run mottool --unpack-limit 10 COMMAND"
LONGEST_NAME = 200  # bytes; file systems allow 255, and suffixes follow
ATTEMPTS, PAUSE_SECONDS = 3, 0.05  # of a rename that Windows refuses


def safe_name(text: str) -> str:
    """Return `text` as one file name: no separators or leading dot, never empty or reserved.

    It has at most 200 bytes in UTF-8.
    """
    name = re.sub(r"[^\w.+=@ -]", "_", text, flags=re.UNICODE).strip(". ")
    shortened = name.encode()[:LONGEST_NAME].decode(errors="ignore").strip(". ")
    return shortened or "unnamed"


@contextmanager
def atomic_write(path: Path, scratch: Path | None = None) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` if the block succeeds, and is removed otherwise.

    The temporary file is in `scratch`, or in the folder of `path` by default or if `scratch` is on
    another file system. It keeps the suffix of `path`. It is flushed to the disk before the rename,
    so `path` is always complete. Temporary files of killed processes are removed. If `path` is a
    link, the file that it leads to is replaced.
    """
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    folder = scratch or path.parent
    with writing(path):
        if path.exists() and not path.is_file():  # a rename would replace a device or a pipe
            problem = f"{path} is not a regular file and cannot be replaced"
            raise OutputError(problem, "name a file that does not exist yet, or an ordinary one")
        path.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        if folder.stat().st_dev != path.parent.stat().st_dev:  # a rename cannot cross devices
            folder = path.parent
        _remove_stale(folder, path)
    # Processes of two machines, which share a folder, can have the same number.
    temporary = _temporary(folder, path, f"{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with writing(path):
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            replace_file(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def replace_file(temporary: Path, path: Path) -> None:
    """Rename `temporary` to `path`; retry if Windows refuses because a scanner has it open."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            temporary.replace(path)
            return
        except PermissionError:
            if attempt == ATTEMPTS:
                raise
            time.sleep(PAUSE_SECONDS)


def _temporary(folder: Path, path: Path, writer: str) -> Path:
    """Return where a process writes the file that becomes `path`; `writer` is its own."""
    return folder / f".{path.stem}.{writer}.part{path.suffix}"


def _remove_stale(folder: Path, path: Path) -> None:
    """Remove temporary files of `path` that killed processes left; keep recent ones."""
    pattern = _temporary(Path(), Path(glob.escape(path.name)), "*").name
    for name in fnmatch.filter(_leftovers(folder), pattern):
        with suppress(OSError):
            if time.time() - (folder / name).stat().st_mtime > STALE_SECONDS:
                (folder / name).unlink()


@lru_cache(maxsize=256)  # a folder of 10,000 results takes as long to list as one to compute
def _leftovers(folder: Path) -> list[str]:
    """Return the names of temporary files in a folder when this process first writes to it."""
    return [name for name in os.listdir(folder) if name.startswith(".") and ".part" in name]


def visible_files(folder: Path, pattern: str) -> list[Path]:
    """Return the files below `folder` that match `pattern`, sorted by name.

    Hidden ones are left out: the temporary files of killed processes, and those that macOS adds.
    """
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def unpacked_limit(packed: int) -> int:
    """Return the most bytes of text that `packed` compressed bytes may hold.

    A file that was made to fill the memory holds a thousand times its size.
    """
    return round(unpack_factor() * (RATIO * packed + SLACK))


def unpack_factor() -> float:
    """Return how many times the usual limits inputs may take of memory (`--unpack-limit`)."""
    return float(os.environ.get(UNPACK_VARIABLE, 1))


def user_cache_folder(name: str, variable: str) -> Path:
    """Return the folder `name` in the user's cache folder, or the one that `variable` names."""
    if folder := os.environ.get(variable):
        return Path(os.path.expanduser(folder))
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(cache):  # the XDG specification ignores relative paths
        cache = os.path.expanduser("~/.cache")
    if not os.path.isabs(cache):  # a user without a home folder, as in some containers
        cache = os.devnull  # nothing is found below it, and writing there is an error
    return Path(cache) / "mottool" / name


def digest(content: Any) -> str:
    """Return the SHA-256, in hex, of a value that JSON can represent."""
    text = json.dumps(content, sort_keys=True, default=dict)
    return hashlib.sha256(text.encode()).hexdigest()


def json_record(content: Mapping[str, Any], indent: int | None = None) -> str:
    """Return a JSON object with a checksum of its entries, for `read_json_record`."""
    return json.dumps({**content, CHECKSUM: digest(content)}, indent=indent) + "\n"


def read_json_record(path: Path, checked: bool = True) -> dict[str, Any]:
    """Return the entries of a file with a `json_record`; {} if it is missing or damaged.

    Unless `checked`, an object without a checksum is accepted.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    expected = content.pop(CHECKSUM, None)
    if expected is None and not checked:
        return content
    return content if expected == digest(content) else {}


def existing_path(path: Path) -> Path:
    """Return `path`; raise `InputError` if there is nothing."""
    if not path.exists():
        raise InputError(f"there is no file or folder {path}", "check the path")
    return path


def file_digest(path: Path) -> str:
    """Return the SHA-256, in hex, of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
