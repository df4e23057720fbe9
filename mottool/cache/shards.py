"""A file that goes from one state to the next all at once, whenever its writer is killed.

HDF5 rewrites its own tables in place, one after the other, so a writer killed inside a flush can
leave a file in which one table points to what another does not know yet. `JournalledFile` stands
between h5py and the disk and makes such a flush one step, as the redo log of a database does:

1. What lies beyond the last commit goes straight to the file: nothing points there yet.
2. What would change bytes below the last commit is kept in memory, as whole pages.
3. `commit` writes those pages to `<file>.journal` with a checksum, then to the file, then
   empties the journal.

A kill before the journal is whole leaves the previous state, untouched; a kill after it leaves
a whole journal, which the next opening applies (again, if need be) before anything is read.
This holds when the process dies. It says nothing about a power cut, against which only `sync`
helps.
"""

import fcntl
import os
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from errno import ENOLCK, ENOSYS, EOPNOTSUPP
from pathlib import Path

from mottool.errors import CacheError, writing

__all__ = ["JournalledFile", "recover"]

PAGE = 4096
MAGIC = b"mottool journal 1\n"
HEAD = struct.Struct("<QQ")  # size of the file after the commit, number of pages
PLACE = struct.Struct("<Q")  # number of the page that follows


class JournalledFile:
    """One writer's view of a file: what it writes is there after `commit`, and only then.

    Offers what h5py asks of a file-like object. A write that fails (a full disk) is not reported
    to HDF5, which could not undo it, but by the next `commit`; from then on nothing is written.
    The file is made if it does not exist, and is locked until `close`.
    """

    def __init__(self, path: Path, fresh: bool = False) -> None:
        """Open `path` and finish a commit that a kill had cut short; `fresh` empties it instead.

        Raises `CacheError` if another process has it open, `OutputError` if it can't be written.
        """
        self._path = path
        self._pages: dict[int, bytearray] = {}
        self._failure: BaseException | None = None
        self._at = 0
        with writing(path):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                _lock(self._file, path)
                self._journal = os.open(journal_of(path), os.O_RDWR | os.O_CREAT, 0o666)
                if fresh:
                    os.ftruncate(self._journal, 0)
                    os.ftruncate(self._file, 0)
                self._replay()
            except BaseException:
                os.close(self._file)
                raise
        self._size = os.fstat(self._file).st_size
        # In a new file everything waits for the first commit, so that no part of it is ever seen.
        self._committed = _whole_pages(self._size) or sys.maxsize

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to `offset` from the start, from here or from the end."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """The position of the next read or write."""
        return self._at

    def read(self, size: int) -> bytes:
        """What the writer has written here, `size` bytes, zeros where nothing is yet."""
        start, self._at = self._at, self._at + size
        stored = os.pread(self._file, size, start)
        view = bytearray(stored + bytes(size - len(stored)))
        for number, here, there in _spans(start, size):
            if number in self._pages:
                view[here] = self._pages[number][there]
        return bytes(view)

    def write(self, data: memoryview) -> int:
        """Take `data` for this place; a failure is kept for `commit` to raise."""
        view = memoryview(data).cast("B")
        at, self._at = self._at, self._at + len(view)
        self._size = max(self._size, self._at)
        if self._failure is None:
            try:
                below = max(0, min(len(view), self._committed - at))
                if below:
                    self._keep(view[:below], at)
                _write_all(self._file, view[below:], at + below)
            except BaseException as failure:
                self._failure = failure
        return len(view)

    def _keep(self, view: memoryview, at: int) -> None:
        for number, here, there in _spans(at, len(view)):
            if number not in self._pages:
                stored = os.pread(self._file, PAGE, number * PAGE)
                self._pages[number] = bytearray(stored + bytes(PAGE - len(stored)))
            self._pages[number][there] = view[here]

    def truncate(self, size: int) -> int:
        """Say how long the file is from the next commit on."""
        self._size = size
        return size

    def flush(self) -> None:
        """Do nothing: only `commit` makes writes visible."""

    def commit(self) -> None:
        """Make all writes since the last commit part of the file, in one step.

        Raises what made a write fail (an `OSError`); the file then stays at the last commit.
        """
        if self._failure is not None:
            raise self._failure
        try:
            parts = [MAGIC, HEAD.pack(self._size, len(self._pages))]
            for number, page in sorted(self._pages.items()):
                parts += [PLACE.pack(number), bytes(page)]
            record = b"".join(parts)
            _write_all(self._journal, record + PLACE.pack(zlib.crc32(record)), 0)
            self._apply()
        except BaseException as failure:
            self._failure = failure
            raise

    def _apply(self) -> None:
        for number, page in self._pages.items():
            _write_all(self._file, page, number * PAGE)
        os.ftruncate(self._file, self._size)
        os.ftruncate(self._journal, 0)
        self._pages.clear()
        self._committed = _whole_pages(self._size)

    def _replay(self) -> None:
        """Apply the journal if it is whole; what a kill has cut short counts for nothing."""
        with open(self._journal, "rb", closefd=False) as file:
            record = file.read()
        body, check = record[: -PLACE.size], record[-PLACE.size :]
        if record.startswith(MAGIC) and check == PLACE.pack(zlib.crc32(body)):
            self._size, count = HEAD.unpack_from(body, len(MAGIC))
            first = len(MAGIC) + HEAD.size
            for at in range(first, first + count * (PLACE.size + PAGE), PLACE.size + PAGE):
                (number,) = PLACE.unpack_from(body, at)
                self._pages[number] = bytearray(body[at + PLACE.size :][:PAGE])
            self._apply()
        os.ftruncate(self._journal, 0)

    def sync(self) -> None:
        """Have the last commit reach the disk itself."""
        os.fsync(self._file)

    def close(self) -> None:
        """Let go of the file, as it was at the last commit."""
        whole = os.fstat(self._journal).st_size == 0
        os.close(self._journal)
        if whole:
            journal_of(self._path).unlink(missing_ok=True)
        os.close(self._file)


def journal_of(path: Path) -> Path:
    """Where the journal of `path` lies."""
    return path.with_name(path.name + ".journal")


def recover(path: Path) -> None:
    """Finish a commit of `path` that a kill had cut short, if there is one.

    Raises `CacheError` if a process is writing the file now.
    """
    if journal_of(path).exists() and path.exists():
        JournalledFile(path).close()


def _lock(file: int, path: Path) -> None:
    busy = CacheError(
        f"{path} is being written by another process",
        "wait until that one has ended, or give this one another --work folder",
    )
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise busy from None
    except OSError as error:
        # Some network file systems have no locks: there it is the user who keeps order.
        if error.errno not in {ENOLCK, ENOSYS, EOPNOTSUPP}:
            raise
    # The other process may have renamed or removed the file between our opening and locking it.
    with suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(file), os.stat(path)):
            return
    raise busy


def _spans(at: int, size: int) -> Iterator[tuple[int, slice, slice]]:
    """The pages under `at:at + size`: number, the slice of those bytes, the slice of the page."""
    for number in range(at // PAGE, _whole_pages(at + size) // PAGE):
        first = number * PAGE
        low, high = max(at, first), min(at + size, first + PAGE)
        yield number, slice(low - at, high - at), slice(low - first, high - first)


def _whole_pages(size: int) -> int:
    """`size` rounded up to whole pages: the last page of a commit is journalled as one."""
    return -(-size // PAGE) * PAGE


def _write_all(file: int, data: bytes | bytearray | memoryview, at: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(file, view, at)
        view, at = view[done:], at + done
