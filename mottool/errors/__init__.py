"""The exceptions of mottool: each message states a problem and how to fix it.

Exit codes of the command line: 2 for a `SettingError`, which is wrong usage, and 1 for every other
one, which is an input that failed.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path

from mottool.errors.near_miss import did_you_mean, near_miss

__all__ = [
    "BusyError",
    "CacheError",
    "CheckpointError",
    "DeviceError",
    "InputError",
    "MottoolError",
    "OutputError",
    "SegmentError",
    "SettingError",
    "TrainingError",
    "as_mottool_error",
    "did_you_mean",
    "empty_path",
    "from_os_error",
    "ignore_warning",
    "naming_arguments",
    "near_miss",
    "printable",
    "writing",
]

DISK_FULL_ERRNOS = (ENOSPC, EDQUOT, EFBIG)
# In errors of PyTorch, OpenCV, CUDA, NumPy in another process, and C++.
NO_MEMORY = "allocate memory", "insufficient memory", "out of memory", "to allocate", "bad_alloc"
FREE_SPACE_FIX = "free some room and run the same command again; finished work is kept"


class MottoolError(Exception):
    """A wrong setting, a broken input or a failed write, with a one-line message and a fix."""

    def __init__(self, problem: str, fix: str) -> None:
        """`problem` and `fix` are sentences without their full stops."""
        super().__init__(problem, fix)
        self.problem = problem
        self.fix = fix

    def __str__(self) -> str:
        return printable(f"{self.problem}. Fix: {self.fix}.")


class SettingError(MottoolError):
    """A flag, key or value that is unknown or not allowed (exit code 2)."""


class DeviceError(SettingError):
    """A device that this machine lacks, which another machine may have."""


class InputError(MottoolError):
    """A video, image, detection, result or ground-truth file that cannot be used."""


class SegmentError(InputError):
    """A sequence that cannot be divided into segments, so that one process must read all of it."""


class CacheError(MottoolError):
    """A cache or label file that is unfinished, damaged, or of another schema or other settings."""


class BusyError(CacheError):
    """A file or folder that another process is writing, which must not be replaced."""


class CheckpointError(MottoolError):
    """A weights file that is damaged, unsafe, or belongs to another network."""


class TrainingError(MottoolError):
    """A training that cannot continue; its last good checkpoint is kept."""


class OutputError(MottoolError):
    """A result that could not be written: disk full, no permission."""


def printable(text: str) -> str:
    """Return `text` on one line: control characters and undecodable bytes of names are escaped."""
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def ignore_warning(message: str) -> None:
    """Drop a message: the default of parameters `warn`."""


@contextmanager
def naming_arguments() -> Iterator[None]:
    """Rewrite flags in errors as arguments of Python functions: `--min-score` as `min_score`.

    It decorates functions of the Python API. Flags of a command that the error names are kept.
    """
    try:
        yield
    except MottoolError as error:
        error.problem, error.fix = map(_with_arguments, (error.problem, error.fix))
        error.args = error.problem, error.fix
        raise


def _with_arguments(text: str) -> str:
    parts = re.split("(, |; | or )", text)
    return "".join(
        part if "mottool " in part else re.sub(r"(?<![\w-])--(no-)?([a-z][a-z-]*)", _argument, part)
        for part in parts
    )


def _argument(flag: re.Match[str]) -> str:
    return flag[2].replace("-", "_") + ("=False" if flag[1] else "")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Convert an `OSError` while writing `path` into an `OutputError`."""
    try:
        yield
    except OSError as error:
        if _is_disk_full(error):
            raise OutputError(
                f"no room left on the disk to write {path}", FREE_SPACE_FIX
            ) from error
        reason = error.strerror or error
        if isinstance(error, FileExistsError | NotADirectoryError):
            reason = "what should be its folder is a file"
        fix = "choose another path, or make this one writable"
        raise OutputError(f"cannot write {path}: {reason}", fix) from error


def empty_path(name: str) -> SettingError:
    """Return the error of an empty path, which is most often a variable of the shell not set."""
    return SettingError(f"{name} is empty", "give a path, or . for the current folder")


def from_os_error(error: OSError) -> MottoolError:
    """Convert an unhandled `OSError` into an error with a fix."""
    if _is_disk_full(error):
        path = error.filename or "the output"
        return OutputError(f"no room left on the disk to write {path}", FREE_SPACE_FIX)
    if isinstance(error, FileNotFoundError) and error.filename:
        return InputError(f"there is no file {error.filename}", "check the path")
    reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return InputError(f"cannot use {reason}", "check the path, and that you may read and write it")


def as_mottool_error(error: Exception) -> MottoolError | None:
    """Convert any exception of a job into an error with a fix, which has it as its cause.

    A `MottoolError` is returned unchanged. An `OSError` and an error of full memory, of any
    library, are converted. None is returned for a mistake in the code, and for a
    `BrokenPipeError`: the reader of the output has exited, and no input has failed.
    """
    if isinstance(error, MottoolError):
        return error
    if isinstance(error, BrokenPipeError):
        return None
    if isinstance(error, OSError):
        converted = from_os_error(error)
    elif _is_memory_full(error):
        fix = (
            "run it again with fewer --jobs or a smaller --input or --batch, or on a larger machine"
        )
        converted = InputError("there is not enough memory", fix)
    else:
        return None
    converted.__cause__ = error
    return converted


def _is_memory_full(error: Exception) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(part in text for part in NO_MEMORY)


def _is_disk_full(error: OSError) -> bool:
    # h5py drops the number and keeps it in the text.
    numbers = (f"errno = {number}" in str(error) for number in DISK_FULL_ERRNOS)
    return error.errno in DISK_FULL_ERRNOS or any(numbers)
