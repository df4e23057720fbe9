"""What a point of the space is worth: the score of the tracks that it gives on every sequence."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from mottool.association.finish import Finishing, finish
from mottool.association.linking import InputSettings, link
from mottool.association.profiles import Profiles, kinds_of

if TYPE_CHECKING:
    from pathlib import Path

    from mottool.metrics.files import Truth
    from mottool.motchallenge import Rows
    from mottool.tuning.space import Point

__all__ = ["FIGURES", "Judge"]

FIGURES = ("HOTA", "MOTA", "IDF1", "DetA", "AssA", "FP", "FN", "IDSW")
DECIMALS = 4  # of a result file's boxes
DIGITS = 6  # of a figure, as evaluate writes them


@dataclass(frozen=True)
class Judge:
    """Scores points for one tracker on caches whose sequences have ground truth.

    `fixed` are settings that every point has, `rules` a benchmark's or `auto`. It is sent to
    other processes and holds no file open.
    """

    tracker: str
    fixed: Point
    sequences: tuple[tuple[Path, str, Truth], ...]
    rules: str = "auto"

    def __call__(self, point: Point) -> dict[str, float]:
        """The `FIGURES` of all sequences joined, as `evaluate` would tell for the result files.

        Raises what `associate` and `evaluate` do for caches and ground truth they cannot use.
        """
        from mottool.cache import Cache
        from mottool.metrics.rules import detect_rules, prepare
        from mottool.metrics.tracking import combined, score

        scores = []
        settings, seen, finishing = Profiles().of("", kinds_of(self.tracker), self.fixed | point)
        for path, sequence, truth in self.sequences:
            objects = _objects(truth.path)
            rules = detect_rules(sequence, objects) if self.rules == "auto" else self.rules
            with Cache(path) as cache:
                length = truth.length or max(cache.frame_count, int(objects.frames.max(initial=0)))
                rows = link(cache, self.tracker, settings, seen=cast(InputSettings, seen))
            rows = _as_written(finish(rows, cast(Finishing, finishing)))
            scores.append(score(prepare(objects, rows, length, rules, sequence)))
        figures: dict[str, Any] = combined(scores).figures()
        return {name: round(figures[name], DIGITS) for name in FIGURES}


@lru_cache(maxsize=256)
def _objects(path: Path) -> Rows:
    """The ground truth in a file, read once by each process."""
    from mottool.motchallenge import read_rows

    return read_rows(path, "ground truth")


def _as_written(rows: Rows) -> Rows:
    """The rows with the decimals of a result file, so that both score alike to the last digit."""
    from mottool.motchallenge import Rows

    return Rows(rows.frames, rows.ids, rows.tlwh.round(DECIMALS), rows.rest)
