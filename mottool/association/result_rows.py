"""Join the tracks of single frames into the rows of a result file."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from mottool.association.tracks import Tracks
from mottool.boxes import tlwh_from_xyxy
from mottool.motchallenge.rows import Rows

__all__ = ["CountedRows", "join_blocks", "join_frames", "join_rows"]

BLOCK = 1024  # frames joined together


def join_frames(tracks: Iterable[Tracks], first_frame: int = 1) -> Rows:
    """Return the rows of the tracks of consecutive frames, with scores in `rest`."""
    return join_rows(join_blocks(tracks, first_frame))


def join_blocks(tracks: Iterable[Tracks], first_frame: int = 1) -> Iterator[Rows]:
    """Yield the rows of `join_frames` by blocks of frames.

    Arrays of single frames would take ten times the memory.
    """
    iterator = iter(tracks)
    while block := list(islice(iterator, BLOCK)):
        yield _join_block(block, first_frame)
        first_frame += len(block)


def join_rows(blocks: Iterable[Rows]) -> Rows:
    """Return the rows of all blocks, which have a score only in `rest`."""
    none = np.zeros(0, np.int64)
    parts = [Rows(none, none, np.zeros((0, 4)), np.zeros((0, 1))), *blocks]
    columns = ("frames", "ids", "tlwh", "rest")
    return Rows(*(np.concatenate([getattr(rows, name) for rows in parts]) for name in columns))


def _join_block(tracks: Sequence[Tracks], first_frame: int) -> Rows:
    numbers = first_frame + np.arange(len(tracks))
    numbers = np.repeat(numbers, [len(frame) for frame in tracks])
    ids = np.concatenate([frame.ids for frame in tracks])  # (n,)
    boxes = np.concatenate([frame.boxes for frame in tracks])  # (n, 4)
    scores = np.concatenate([frame.scores for frame in tracks])  # (n,)
    return Rows(numbers, ids, np.asarray(tlwh_from_xyxy(boxes), np.float64), scores[:, None])


class CountedRows:
    """Blocks of rows that are counted while they are read: `rows` and `identities`."""

    def __init__(self, blocks: Iterator[Rows]) -> None:
        """Read the first block."""
        self._first = list(islice(blocks, 1))
        self._blocks = blocks
        self._identities: set[int] = set()
        self.rows = 0

    @property
    def identities(self) -> int:
        """The number of identities in the rows that were read."""
        return len(self._identities)

    def __iter__(self) -> Iterator[Rows]:
        for blocks in (self._first, self._blocks):
            for rows in blocks:
                self.rows += len(rows)
                self._identities.update(rows.ids.tolist())
                yield rows
