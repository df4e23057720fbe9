"""Rows of detections, ground truth and results in MOTChallenge's text format.

A row is `frame, id, left, top, width, height, …`, separated by commas or spaces. Frames count from
1 and pixels from 0. The columns after the first six depend on the file:

* detections (`det.txt`): score, then three unused columns;
* results: score, then -1, -1, -1;
* ground truth of MOT15: flag (0 excludes the row), then world coordinates;
* ground truth of MOT16, MOT17 and MOT20: flag, class, visibility.

Leal-Taixé et al., "MOTChallenge 2015", and Milan et al., "MOT16", section 4.
"""

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mottool.errors import InputError, did_you_mean, from_os_error
from mottool.files import UNPACK_FIX, atomic_write, unpacked_limit
from mottool.motchallenge.decimals import parse_decimals
from mottool.motchallenge.other_texts import describe_other_text
from mottool.motchallenge.zip_files import is_archive, read_results

__all__ = ["Rows", "parse_rows", "read_rows", "rows_from_table", "write_rows", "write_tracks"]

LEAST_COLUMNS, MOST_COLUMNS = 6, 10
FARTHEST = 1e9  # pixels; a coordinate beyond is not valid, and the box area would overflow
BLOCK_LENGTH = 1 << 16  # characters or bytes read and split together
TEXT_FIX = (
    "give comma-separated text in UTF-8, plain or gzipped, and unpack archives other than .zip"
)
Blocks = Callable[
    [], Iterator[str]
]  # the blocks of a text, each of whole lines, from its beginning
BLOCK = 4096  # rows formatted together, which is three times as fast as one by one


@dataclass(frozen=True)
class Rows:
    """The rows of one text file, in the file's order.

    `frames` (n,) from 1; `ids` (n,), -1 where the file has none; `tlwh` (n, 4) float64 left, top,
    width, height in pixels; `rest` (n, c) float64, the columns from the seventh on.
    """

    frames: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int64]
    tlwh: npt.NDArray[np.float64]
    rest: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.frames)

    def select(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> "Rows":
        """Select rows by a mask (n,) or by their indices."""
        return Rows(self.frames[rows], self.ids[rows], self.tlwh[rows], self.rest[rows])


def read_rows(path: Path, what: str) -> Rows:
    """Read a text file of rows; `what` names its kind in errors.

    It is plain, gzipped, or in a zip file, as `ARCHIVE.zip/SEQUENCE.txt`. An empty file has no
    rows. Raises `InputError` that names the first line with another number of columns, text that is
    not a number, NaN or infinity, a frame below 1, or a box beyond any frame.
    """
    if is_archive(path.parent):
        texts = read_results(path.parent)
        if path.stem not in texts:
            problem = f"{path.parent} holds no {what} file {path.name}"
            raise InputError(problem, did_you_mean(path.stem, texts))
        return parse_rows(texts[path.stem], path)
    return _parse(lambda: _blocks_of_file(path, what), path)


def parse_rows(text: str, path: Path) -> Rows:
    """Parse the text of a file, with the checks of `read_rows`; errors name `path`."""
    return _parse(lambda: _blocks_of_text(text), path)


def _parse(blocks: Blocks, path: Path) -> Rows:
    """Parse the blocks of a text; they are read again to find the line of an error."""
    number, first = next(_lines(blocks), (0, ""))
    columns = len(_split(first)) if first else LEAST_COLUMNS
    if other := describe_other_text(first):
        raise InputError(f"{path} {other.problem}", other.fix)
    if not LEAST_COLUMNS <= columns <= MOST_COLUMNS:
        fix = "write frame, id, left, top, width, height, score, …: 6 to 10 columns"
        raise InputError(f"{path} line {number} has {columns} columns", fix)
    numbers = bytearray()  # which grows without a copy
    try:
        for block in blocks():
            numbers += _parse_block(block, columns).data
    except ValueError:
        raise _bad_line(path, blocks, columns) from None
    table = np.frombuffer(numbers).reshape(-1, columns)

    def line_of(row: int) -> int:
        return next(islice(_lines(blocks), row, None))[0]

    return rows_from_table(path, table, line_of)


def _parse_block(block: str, columns: int) -> npt.NDArray[np.float64]:
    """Return the numbers of a block of lines, (n, columns); blank lines are left out.

    Raises `ValueError` for a line that is not `columns` numbers.
    """
    text = block.replace("\r\n", "\n").rstrip("\n") + "\n"
    table = parse_decimals(text.encode(), columns)
    if table is not None:
        return table
    lines = [line.replace(",", " ") for _, line in _lines(lambda: iter([block]))]
    if not lines:
        return np.zeros((0, columns))
    table = np.loadtxt(lines, ndmin=2, comments=None)
    if table.shape[1] != columns:
        raise ValueError(f"lines of {table.shape[1]} columns")
    return table


def _lines(blocks: Blocks) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line that has more than blanks and commas."""
    number = 1
    for block in blocks():
        for line in block.splitlines():
            if line.replace(",", " ").strip():
                yield number, line
            number += 1


def _split(line: str) -> list[str]:
    """Return the cells of a line."""
    return line.replace(",", " ").split()


def _blocks_of_text(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = text.find("\n", start + BLOCK_LENGTH) + 1 or len(text)
        yield text[start:end]
        start = end


def _blocks_of_file(path: Path, what: str) -> Iterator[str]:
    """Yield the text of a file, unpacked, in blocks of whole lines.

    Raises `InputError` for a file that cannot be read, or would fill the memory.
    """
    try:
        packed = path.suffix == ".gz"
        limit = unpacked_limit(path.stat().st_size) if packed else None
        with gzip.open(path) if packed else path.open("rb") as file:
            encoding, size = "utf-8-sig", 0  # a byte order mark is at the beginning only
            while block := file.read(BLOCK_LENGTH) + file.readline(BLOCK_LENGTH):
                while not block.endswith(b"\n") and (more := file.readline(BLOCK_LENGTH)):
                    block += more
                size += len(block)
                if limit is not None and size > limit:
                    problem = f"{path} unpacks to more than {limit >> 20} MiB"
                    raise InputError(problem, UNPACK_FIX)
                if b"\0" in block:
                    raise InputError(f"{path} is not a readable {what} file", TEXT_FIX)
                yield block.decode(encoding)
                encoding = "utf-8"
    except FileNotFoundError as error:
        raise InputError(f"there is no {what} file {path}", "check the path") from error
    except (gzip.BadGzipFile, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a readable {what} file", TEXT_FIX) from error
    except OSError as error:
        raise from_os_error(error) from error


def _bad_line(path: Path, blocks: Blocks, columns: int) -> InputError:
    """Return the error for the first line that is not `columns` numbers."""
    for number, line in _lines(blocks):
        cells = _split(line)
        if len(cells) != columns:
            problem = f"{path} line {number} has {len(cells)} columns, the lines before {columns}"
            return InputError(problem, "give every line the same columns")
        for cell in cells:
            try:
                float(cell)
            except ValueError:
                problem = f"{path} line {number}: {cell[:40]!r} is not a number"
                return InputError(problem, "give numbers separated by commas")
    return InputError(f"{path} cannot be read as rows of numbers", "give comma-separated numbers")


def rows_from_table(
    path: Path, table: npt.NDArray[np.float64], line_of: Callable[[int], int] | None = None
) -> Rows:
    """Make rows from a table (n, 6 to 10) of the columns above, with the checks of `read_rows`.

    `line_of` returns the line in `path` of a row; by default errors name rows, counted from 1.
    """

    def refuse(invalid: npt.ArrayLike, problem: str, fix: str) -> None:
        invalid = np.asarray(invalid)  # (n,) bool
        if invalid.any():
            row = int(invalid.argmax())
            line = f"line {line_of(row)}" if line_of else f"row {row + 1}"
            raise InputError(f"{path} {line} {problem}", fix)

    frames, ids = table[:, 0], table[:, 1]
    finite = np.isfinite(table).all(axis=1)
    refuse(~finite, "holds NaN or infinity", "remove the row or give its numbers")
    far = (np.abs(table[:, 2:6]) > FARTHEST).any(axis=1)
    refuse(far, "has a box beyond any frame", "give left, top, width, height in pixels")
    refuse(frames < 1, "has a frame below 1", "count frames from 1, as MOTChallenge does")
    refuse((frames % 1 != 0) | (frames >= 2**53), "has a frame that is not an integer", "round it")
    refuse((ids % 1 != 0) | (abs(ids) >= 2**53), "has an id that is not an integer", "round it")
    return Rows(frames.astype(np.int64), ids.astype(np.int64), table[:, 2:6], table[:, 6:])


def write_tracks(path: Path, blocks: Iterable[Rows]) -> Path:
    """Write results as `write_rows`; the file appears complete or not at all."""
    with atomic_write(path) as part:
        write_rows(part, blocks)
    return path


def write_rows(path: Path, blocks: Iterable[Rows]) -> None:
    """Write results as `frame,id,left,top,width,height,score,-1,-1,-1` with four decimals.

    `blocks` are the rows in their order, whose `rest` begins with the score.
    """
    line = "%d,%d,%.4f,%.4f,%.4f,%.4f,%.4f,-1,-1,-1\n"
    with path.open("w", newline="\n") as file:
        for rows in blocks:
            for start in range(0, len(rows), BLOCK):
                part_of = rows.select(np.arange(start, min(start + BLOCK, len(rows))))
                columns = part_of.frames, part_of.ids, part_of.tlwh, part_of.rest[:, 0]
                table = np.column_stack(columns)  # (b, 7)
                file.write(line * len(table) % tuple(table.ravel().tolist()))
