"""The tracks or the ground truth of one sequence, which every format reads and writes."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mottool.motchallenge.class_names import class_number
from mottool.motchallenge.rows import Rows
from mottool.motchallenge.rules import CLASS_NAMES as CLASSES
from mottool.motchallenge.rules import PEDESTRIAN
from mottool.motchallenge.seqinfo import SeqInfo

__all__ = [
    "CLASSES",
    "SequenceRows",
    "as_kind",
    "ground_truth_rows",
    "result_rows",
    "warn_of_classes",
]


@dataclass(frozen=True)
class SequenceRows:
    """The rows of one sequence, and its metadata where they are known.

    `rows.rest` is flag, class and visibility (n, 3) of ground truth, the score (n, 1) of results.
    `guessed` states whether only the nine columns of its rows make it ground truth. Classes are
    those of MOTChallenge, followed by `extra_classes`, which are numbered from 14 on. `path` is the
    text file that the rows were read from, None for other formats.
    """

    name: str
    rows: Rows
    is_ground_truth: bool
    info: SeqInfo | None = None
    guessed: bool = False
    extra_classes: tuple[str, ...] = ()
    path: Path | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of all classes, of which the first is number 1."""
        return CLASSES + self.extra_classes

    @property
    def length(self) -> int:
        """The number of frames: the one in `info`, but at least the frame of the last row."""
        length = self.info.length if self.info and self.info.length else 0
        return max(length, int(self.rows.frames.max(initial=0)))


def ground_truth_rows(name: str, rows: Rows, info: SeqInfo | None = None) -> SequenceRows:
    """Return a sequence of ground truth; rows without a class, as in MOT15, are pedestrians."""
    rest = np.ones((len(rows), 3))
    columns = rows.rest.shape[1]
    given = columns if columns in (2, 3) else min(columns, 1)
    rest[:, :given] = rows.rest[:, :given]
    return SequenceRows(name, Rows(rows.frames, rows.ids, rows.tlwh, rest), True, info)


def result_rows(name: str, rows: Rows, info: SeqInfo | None = None) -> SequenceRows:
    """Return a sequence of results; rows without a score get a score of 1."""
    scores = rows.rest[:, :1] if rows.rest.shape[1] else np.ones((len(rows), 1))
    return SequenceRows(name, Rows(rows.frames, rows.ids, rows.tlwh, scores), False, info)


def warn_of_classes(name: str, labels: Iterable[str], warn: Callable[[str], None]) -> None:
    """Warn that results keep no classes, if those of a sequence are not all people.

    `labels` are the class names of its rows, or their numbers.
    """
    counts = Counter(labels)
    if {class_number(label) for label in counts} - {PEDESTRIAN}:
        each = ", ".join(f"{label} {count}" for label, count in sorted(counts.items()))
        warn(f"{name}: results keep no classes, of which there are {len(counts)} (rows: {each})")


def as_kind(sequence: SequenceRows, is_ground_truth: bool) -> SequenceRows:
    """Return rows that a format took for the other kind: the seventh column is flag or score."""
    if sequence.is_ground_truth == is_ground_truth:
        return sequence
    make = ground_truth_rows if is_ground_truth else result_rows
    return replace(make(sequence.name, sequence.rows, sequence.info), path=sequence.path)
