"""The score of tracks that are still in memory, to the digit of the file they would make."""

from functools import lru_cache
from pathlib import Path

from mottool.metrics.evaluate import AUTO
from mottool.metrics.inputs import Truth
from mottool.metrics.preprocess import prepare
from mottool.metrics.tracking import Score, score
from mottool.motchallenge.rows import Rows, read_rows
from mottool.motchallenge.rules import detect_rules

__all__ = ["objects_of", "score_linked"]

DECIMALS = 4  # of a result file's boxes


def score_linked(rows: Rows, sequence: str, frames: int, truth: Truth, rules: str = AUTO) -> Score:
    """Score the tracks `rows` of a sequence of `frames` frames, as `evaluate` would their file.

    `rules` are a benchmark's or `AUTO`. Raises `InputError` as `read_rows` and `prepare` do.
    """
    objects = objects_of(truth.path)
    rules = detect_rules(sequence, objects) if rules == AUTO else rules
    length = truth.length or max(frames, int(objects.frames.max(initial=0)))
    written = Rows(rows.frames, rows.ids, rows.tlwh.round(DECIMALS), rows.rest)
    return score(prepare(objects, written, length, rules, sequence))


@lru_cache(maxsize=256)
def objects_of(path: Path) -> Rows:
    """The ground truth in a file, read once by each process."""
    return read_rows(path, "ground truth")
