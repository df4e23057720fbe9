"""Read the text files in a zip file without unpacking it; write deterministic zip files.

A result in a zip file has the path `ARCHIVE.zip/SEQUENCE.txt`, in whatever folder of it it is.
"""

import codecs
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from mottool.errors import InputError, from_os_error, ignore_warning
from mottool.files import UNPACK_FIX, atomic_write, safe_name, unpacked_limit, visible_files

__all__ = [
    "archives_in",
    "file_on_disk",
    "is_archive",
    "is_archive_name",
    "read_archive",
    "read_results",
    "write_archive",
]

SUFFIXES = (".txt", ".ini")
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,
    RuntimeError,  # encrypted
    NotImplementedError,
    KeyError,
    IndexError,
)


def read_archive(path: Path) -> dict[PurePosixPath, str]:
    """Return the text files in a zip file by name.

    Files that macOS adds (`__MACOSX/`, `._NAME`) are left out; Windows' backslashes are read as
    slashes. Raises `InputError` if it is not a readable zip file, if two files have one name, or
    if it unpacks to more than `unpacked_limit`.
    """
    fix = "give a zip file of text files, as CVAT exports and MOTChallenge accepts them"
    texts: dict[PurePosixPath, str] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info: _name(info) for info in archive.infolist()}
            chosen = {info: name for info, name in members.items() if _is_text(name)}
            limit = unpacked_limit(path.stat().st_size)
            if sum(info.file_size for info in chosen) > limit:
                problem = f"{path} unpacks to more than {limit >> 20} MiB of text"
                raise InputError(problem, UNPACK_FIX)
            for info, name in chosen.items():
                if name in texts:
                    raise InputError(f"{path} holds two files {str(name)!r}", "leave one out")
                texts[name] = _decode(archive.read(info))
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}", "check the path") from error
    except OSError as error:
        raise from_os_error(error) from error
    except DAMAGED as error:
        problem = f"{path} is not a readable zip file of texts ({error})"
        raise InputError(problem, fix) from error
    return texts


def _decode(content: bytes) -> str:
    """Decode a text in UTF-8, or else as Windows writes it: UTF-16 with its mark, or Latin-1."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def archives_in(folder: Path) -> list[Path]:
    """Return the zip files in a folder; [] if it is not a folder."""
    return [path for path in visible_files(folder, "*.[zZ][iI][pP]") if is_archive(path)]


def is_archive_name(path: Path) -> bool:
    """Return whether `path` is named like a zip file."""
    return path.suffix.lower() == ".zip"


def is_archive(path: Path) -> bool:
    """Return whether `path` is a zip file by its name."""
    return is_archive_name(path) and path.is_file()


def file_on_disk(result: Path) -> Path:
    """Return the file that contains a result: its zip file, or the result itself."""
    return result.parent if is_archive(result.parent) else result


def read_results(path: Path, warn: Callable[[str], None] = ignore_warning) -> dict[str, str]:
    """Return the texts of rows in a zip file by sequence, which is their name without suffix.

    `warn` receives a message for each text that does not begin with a number, such as a README.
    Raises `InputError` as `read_archive` does, if there are no rows, or two texts of one sequence.
    """
    names: dict[str, PurePosixPath] = {}
    texts: dict[str, str] = {}
    for name, text in sorted(read_archive(path).items()):
        if name.suffix != ".txt":
            continue
        if not _begins_with_number(text):
            warn(f"{path}: {name} is left out, as it does not begin with a number")
            continue
        if name.name == "gt.txt":
            fix = "run mottool convert first, and give what it writes"
            raise InputError(f"{path} holds ground truth ({name}), no results", fix)
        sequence = safe_name(name.stem)
        if sequence in names:
            problem = f"{path} holds {names[sequence]} and {name}, two sequences {name.stem}"
            raise InputError(problem, "leave one of them out, or rename it")
        names[sequence], texts[sequence] = name, text
    if not texts:
        fix = "give CVAT's MOT 1.1, or result files; of CVAT for video, unpack annotations.xml"
        raise InputError(f"{path} holds no text files", fix)
    return texts


def _begins_with_number(text: str) -> bool:
    """Return whether a text may be rows of numbers; a text without lines may."""
    first = next((line for line in text.splitlines() if line.strip()), "0")
    return first.lstrip()[0] in "+-.0123456789"


def _name(info: zipfile.ZipInfo) -> PurePosixPath:
    return PurePosixPath(info.filename.replace("\\", "/"))


def _is_text(name: PurePosixPath) -> bool:
    mac = "__MACOSX" in name.parts or name.name.startswith("._")
    return name.suffix in SUFFIXES and not mac


def write_archive(texts: Mapping[str, str], path: Path) -> Path:
    """Write texts by name into the zip file `path`, atomically; equal texts give equal bytes."""
    with atomic_write(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            # A new ZipInfo has a constant time stamp.
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, text)
    return path
