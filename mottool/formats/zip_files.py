"""Read the text files in a zip file without unpacking it; write deterministic zip files."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

from mottool.errors import InputError
from mottool.files import atomic_write

__all__ = ["read_archive", "write_archive"]

MAX_BYTES = 1 << 30  # unpacked; text files of tracks are smaller


def read_archive(path: Path, suffix: str = ".txt") -> dict[str, str]:
    """Return the text files in a zip file by name.

    Raises `InputError` if it is not a readable zip file, or unpacks to more than `MAX_BYTES`.
    """
    fix = "give a zip file of text files, as CVAT exports and MOTChallenge accepts them"
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(suffix)]
            if sum(info.file_size for info in members) > MAX_BYTES:
                raise InputError(f"{path} unpacks to more than {MAX_BYTES >> 30} GiB of text", fix)
            return {info.filename: archive.read(info).decode("utf-8-sig") for info in members}
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}", "check the path") from error
    except (zipfile.BadZipFile, UnicodeDecodeError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{path} is not a readable zip file of texts ({error})", fix) from error


def write_archive(texts: Mapping[str, str], path: Path) -> Path:
    """Write texts by name into the zip file `path`, atomically; equal texts give equal bytes."""
    with atomic_write(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            # A new ZipInfo has a constant time stamp.
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, text)
    return path
