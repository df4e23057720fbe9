"""The scores of one pipeline's caches, sequence by sequence and joined."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mottool.cache.writer import Cache
from mottool.metrics.bootstrap import intervals
from mottool.metrics.cache_metrics import Finds, figures, find
from mottool.metrics.evaluate import AUTO
from mottool.metrics.inputs import Truth
from mottool.metrics.sizes import FAIRMOT
from mottool.metrics.tables import COMBINED, Entry
from mottool.motchallenge.rows import read_rows
from mottool.motchallenge.rules import detect_rules

__all__ = ["MIN_SCORE", "Cacheboard"]

MIN_SCORE = 0.5  # from here on a detection counts in recall and precision


class Cacheboard:
    """Scores the caches of one pipeline and gives the rows of its table."""

    def __init__(
        self,
        pipeline: str,
        min_score: float = MIN_SCORE,
        limits: tuple[float, float] = FAIRMOT,
    ) -> None:
        """`limits` are those between small, medium and large, in square pixels."""
        self.pipeline, self.min_score, self.limits = pipeline, min_score, limits
        self._finds: dict[str, tuple[str, Finds]] = {}

    def add(
        self,
        cache: Cache,
        truth: Truth,
        rules: str = AUTO,
        warn: Callable[[str], None] = lambda told: None,
    ) -> None:
        """Score an open cache by `rules` (`AUTO` or a benchmark's); raises as `find` does."""
        sequence, objects = cache.header.sequence, read_rows(truth.path, "ground truth")
        rules = detect_rules(sequence, objects) if rules == AUTO else rules
        self._finds[sequence] = rules, find(cache, objects, rules, self.limits, warn)

    def entries(self, draws: int = 0, seed: int = 0) -> list[Entry]:
        """A row for each sequence and a last one for all of them; none if nothing was scored.

        The last one has the interval of so many `draws` of sequences, see `intervals`.
        """
        if not self._finds:
            return []
        every = "+".join(sorted({rules for rules, _ in self._finds.values()}))
        finds = [found for _, found in self._finds.values()]

        def drawn(times: npt.NDArray[np.int64]) -> dict[str, float]:
            return figures(finds, self.min_score, times)

        rows = [
            Entry(self.pipeline, rules, sequence, figures([found], self.min_score))
            for sequence, (rules, found) in self._finds.items()
        ]
        joined, interval = figures(finds, self.min_score), intervals(drawn, len(finds), draws, seed)
        return [*rows, Entry(self.pipeline, every, COMBINED, joined, interval=interval)]
