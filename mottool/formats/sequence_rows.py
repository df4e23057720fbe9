"""The tracks or the ground truth of one sequence: what every form is read into and written from."""

from dataclasses import dataclass

import numpy as np

from mottool.motchallenge.rows import Rows
from mottool.motchallenge.rules import CLASS_NAMES as CLASSES
from mottool.motchallenge.seqinfo import SeqInfo

__all__ = ["CLASSES", "Sheet", "class_number", "results_sheet", "truth_sheet"]

PEOPLE = ("person", "people", "human", "pedestrain")  # the last is CenterTrack's spelling


@dataclass(frozen=True)
class Sheet:
    """The rows of one sequence, and what is known of it.

    `rows.rest` is flag, class and visibility (n, 3) of ground truth, the score (n, 1) of results.
    """

    name: str
    rows: Rows
    truth: bool
    info: SeqInfo | None = None

    @property
    def length(self) -> int:
        """The number of frames, as far as it is known: at least that of the last row."""
        known = self.info.length if self.info and self.info.length else 0
        return max(known, int(self.rows.frames.max(initial=0)))


def truth_sheet(name: str, rows: Rows, info: SeqInfo | None = None) -> Sheet:
    """A sheet of ground truth; where there are no classes, as in MOT15, all are pedestrians."""
    rest = np.ones((len(rows), 3))
    columns = rows.rest.shape[1]
    given = columns if columns in (2, 3) else min(columns, 1)
    rest[:, :given] = rows.rest[:, :given]
    return Sheet(name, Rows(rows.frames, rows.ids, rows.tlwh, rest), True, info)


def results_sheet(name: str, rows: Rows, info: SeqInfo | None = None) -> Sheet:
    """A sheet of results; without scores, all are certain."""
    scores = rows.rest[:, :1] if rows.rest.shape[1] else np.ones((len(rows), 1))
    return Sheet(name, Rows(rows.frames, rows.ids, rows.tlwh, scores), False, info)


def class_number(label: str) -> int | None:
    """MOTChallenge's number of a class by its name, None for one that it does not have."""
    plain = " ".join(label.strip().strip("'\"").lower().replace("_", " ").split())
    if plain in PEOPLE:
        return 1
    return CLASSES.index(plain) + 1 if plain in CLASSES else None
