"""The one family of exceptions: each says what is wrong and how to mend it.

Exit codes of the command line: `SettingError` is wrong usage (2), every other one is an
input that failed (1).
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path

__all__ = [
    "CacheError",
    "CheckpointError",
    "InputError",
    "MottoolError",
    "OutputError",
    "SettingError",
    "TrainingError",
    "did_you_mean",
    "from_system",
    "writing",
]

FULL = (ENOSPC, EDQUOT, EFBIG)
ROOM = "free some room and run the same command again; finished work is kept"


class MottoolError(Exception):
    """A user's mistake or a broken input, told in one line together with its mend."""

    def __init__(self, problem: str, fix: str) -> None:
        """`problem` and `fix` are sentences without their full stops."""
        super().__init__(problem, fix)
        self.problem = problem
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.problem}. Fix: {self.fix}."


class SettingError(MottoolError):
    """A flag, key or value that means nothing here (exit code 2)."""


class InputError(MottoolError):
    """A video, image, detection, result or ground-truth file that cannot be used."""


class CacheError(MottoolError):
    """A cache or label file of another schema, unfinished, torn, or made with other settings."""


class CheckpointError(MottoolError):
    """A weights file that is damaged, unsafe, or belongs to another network."""


class TrainingError(MottoolError):
    """A training that cannot go on; its last good checkpoint is kept."""


class OutputError(MottoolError):
    """A result that could not be written: disk full, no permission."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`use one of …` for a word nobody knows, or the near miss if there is one.

    Where nothing is known it is `leave it out`.
    """
    known = list(known)
    if not known:
        return "leave it out"
    near = [each for each in known if word and each.startswith(word)]
    near = near or get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}" if near else f"use one of {', '.join(known)}"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while writing `path` into an `OutputError`."""
    try:
        yield
    except OSError as error:
        if _full(error):
            raise OutputError(f"no room left on the disk to write {path}", ROOM) from error
        reason = error.strerror or error
        if isinstance(error, FileExistsError | NotADirectoryError):
            reason = "what should be its folder is a file"
        fix = "choose another place, or make this one writable"
        raise OutputError(f"cannot write {path}: {reason}", fix) from error


def from_system(error: OSError) -> MottoolError:
    """The operating system's refusal that nothing nearer has told, with its mend."""
    if _full(error):
        place = error.filename or "the output"
        return OutputError(f"no room left on the disk to write {place}", ROOM)
    reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return InputError(f"cannot use {reason}", "check the path, and that you may read and write it")


def _full(error: OSError) -> bool:
    # h5py loses the number and keeps it in the text.
    return error.errno in FULL or any(f"errno = {number}" in str(error) for number in FULL)
