"""Locks between processes, which the operating system releases when their holder ends."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from errno import EDEADLK, ENOLCK, ENOSYS, EOPNOTSUPP
from pathlib import Path

from mottool.errors import BusyError, writing

__all__ = ["lock", "lock_or_wait", "locked", "locked_folder"]

NO_LOCKS = {ENOLCK, ENOSYS, EOPNOTSUPP}  # errors of network file systems without locks


@contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of the file `path`, removed afterwards; `waiting` is as in `lock_or_wait`.

    Raises `OutputError` if the file cannot be created.
    """
    descriptor = _open_locked(path, waiting)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows keeps files that are open
            path.unlink()
        os.close(descriptor)


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder of outputs. Raises `BusyError` if another process holds it."""

    def refuse() -> None:
        fix = "wait until that one has ended, or give this one another --out folder"
        raise BusyError(f"another process is writing to {folder}", fix)

    with locked(folder / ".lock", refuse):
        yield


def _open_locked(path: Path, waiting: Callable[[], None]) -> int:
    """Return an open descriptor of the file `path` that locks it; create the file."""
    while True:
        with writing(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            lock_or_wait(descriptor, waiting)
            with suppress(FileNotFoundError):  # the last holder has removed it meanwhile
                if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def lock_or_wait(descriptor: int, waiting: Callable[[], None]) -> None:
    """Lock a file until it is closed; call `waiting` once if another process holds the lock."""
    try:
        lock(descriptor)
    except BlockingIOError:
        waiting()
        lock(descriptor, wait=True)


if sys.platform == "win32":
    import msvcrt

    def lock(descriptor: int, wait: bool = False) -> None:
        """Lock a file until it is closed. Raises `BlockingIOError` if it is locked already.

        With `wait`, it waits for the other holder instead.
        """
        while True:
            try:
                msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
                return
            except PermissionError:
                raise BlockingIOError from None
            except OSError as error:
                if error.errno != EDEADLK:  # after ten attempts of a second each
                    raise
else:
    import fcntl

    def lock(descriptor: int, wait: bool = False) -> None:
        """Lock a file until it is closed. Raises `BlockingIOError` if it is locked already.

        With `wait`, it waits for the other holder instead.
        """
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            # Some network file systems have no locks; there users must run one writer at a time.
            if error.errno not in NO_LOCKS:
                raise
