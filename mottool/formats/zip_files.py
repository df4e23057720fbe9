"""Zip files: texts out of them without unpacking, and texts into them, always the same bytes."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

from mottool.errors import InputError
from mottool.files import atomic_write

__all__ = ["read_archive", "write_archive"]

MOST = 1 << 30  # bytes; text of tracks is smaller, and what unpacks to more is no such text


def read_archive(path: Path, ending: str = ".txt") -> dict[str, str]:
    """The text files in a zip file by name; an `InputError` if it cannot be read as such."""
    fix = "give a zip file of text files, as CVAT exports and MOTChallenge takes them"
    try:
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.infolist() if each.filename.endswith(ending)]
            if sum(each.file_size for each in members) > MOST:
                raise InputError(f"{path} unpacks to more than {MOST >> 30} GiB of text", fix)
            return {each.filename: archive.read(each).decode("utf-8-sig") for each in members}
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}", "check the path") from error
    except (zipfile.BadZipFile, UnicodeDecodeError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{path} is not a readable zip file of texts ({error})", fix) from error


def write_archive(texts: Mapping[str, str], path: Path) -> Path:
    """Write texts by name into the zip file `path`, whole or not at all."""
    with atomic_write(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            # A ZipInfo of its own has no time of day in it.
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, text)
    return path
