"""Score tracks and result files against ground truth, per sequence and combined."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.errors import ignore_warning
from mottool.metrics.bootstrap import intervals
from mottool.metrics.clear import identity_switches
from mottool.metrics.detection import SIZES, size_of
from mottool.metrics.ground_truth import GroundTruth, preprocess_tracks
from mottool.metrics.ground_truth_files import GroundTruthFile
from mottool.metrics.result_file import read_result_file
from mottool.metrics.speed import rates_of
from mottool.metrics.tables import COMBINED, TableRow
from mottool.metrics.tracking import TrackingScore, combine, score
from mottool.motchallenge.rows import Rows
from mottool.motchallenge.rules import AUTO
from mottool.records.record import read_checked_record

__all__ = ["TrackEvaluation", "score_tracks"]

Ints = npt.NDArray[np.int64]
Limits = tuple[float, float]
Warn = Callable[[str], None]

DECIMALS = 4  # of the boxes in a result file


def score_tracks(
    tracks: Rows, ground_truth: GroundTruth, frames: int = 0, decimals: int | None = DECIMALS
) -> TrackingScore:
    """Score the tracks of one sequence as `evaluate` scores their result file.

    Boxes are therefore rounded to `decimals`; None keeps them. `frames` is as in
    `preprocess_tracks`. Raises `InputError` as `preprocess` does.
    """
    if decimals is not None:
        tracks = replace(tracks, tlwh=tracks.tlwh.round(decimals))
    return score(preprocess_tracks(tracks, ground_truth, frames))


class TrackEvaluation:
    """The scores of one tracker's result files, and their rows in a table."""

    def __init__(
        self, tracker: str, motmetrics: bool = False, size_limits: Limits | None = None
    ) -> None:
        """Start without sequences.

        With `motmetrics` that package scores them, too, which takes much longer. With `size_limits`
        between small, medium and large, in square pixels, identity switches are also counted by
        the size of the object.
        """
        self.tracker, self.size_limits = tracker, size_limits
        self._scores: dict[str, tuple[str, TrackingScore]] = {}
        self._switches: dict[str, Ints] = {}  # (3,) each
        self.records: dict[str, Mapping[str, Any]] = {}  # of result files, by sequence
        self._check = None
        if motmetrics:
            # Imported here because it imports pandas.
            from mottool.metrics.motmetrics_check import MotmetricsCheck

            self._check = MotmetricsCheck()

    def add(
        self,
        sequence: str,
        path: Path,
        file: GroundTruthFile,
        rules: str = AUTO,
        warn: Warn = ignore_warning,
        number: int | None = None,
    ) -> None:
        """Score the result file `path`; see `read_result_file`, also for errors."""
        truth, scored = read_result_file(path, sequence, file, rules, warn, number)
        name = file.sequence if file.span else sequence
        self._scores[name] = (truth.rules, score(scored))
        self.records[name] = read_checked_record(path, warn)
        if self.size_limits:
            switches = scored.truth_rows[identity_switches(scored)]
            areas = truth.rows.tlwh[switches, 2] * truth.rows.tlwh[switches, 3]
            sizes = size_of(areas, self.size_limits)
            self._switches[name] = np.bincount(sizes, minlength=len(SIZES))
        if self._check:
            self._check.add(name, scored)

    def rows(self, draws: int = 0, seed: int = 0) -> list[TableRow]:
        """Return a row for each sequence and a last one, `COMBINED`; none without sequences.

        The last one has confidence intervals from `draws` draws of sequences, see `intervals`.
        """
        if not self._scores:
            return []
        scores = [score for _, score in self._scores.values()]

        def drawn(repeats: Ints) -> dict[str, float]:
            counts = zip(scores, repeats.tolist(), strict=True)
            total = combine(score for score, count in counts for _ in range(count))
            return {**total.metrics(), **total.rates()}

        all_rules = "+".join(sorted({rules for rules, _ in self._scores.values()}))
        every = {**self._scores, COMBINED: (all_rules, combine(scores))}
        switches = {**self._switches, COMBINED: np.sum(list(self._switches.values()), axis=0)}
        checked = self._check.metrics() if self._check else {}
        rows = []
        for name, (rules, total) in every.items():
            metrics = {**total.metrics(), **total.rates(), **self._speeds(name)}
            if self.size_limits:
                for size, count in zip(SIZES, switches[name].tolist(), strict=True):
                    metrics[f"IDSW_{size}"] = count
            curves = {key: curve.tolist() for key, curve in total.curves().items()}
            row = TableRow("tracks", self.tracker, rules, name, metrics, checked.get(name), curves)
            rows.append(row)
        rows[-1] = replace(rows[-1], interval=intervals(drawn, len(scores), draws, seed))
        return rows

    def _speeds(self, sequence: str) -> dict[str, float]:
        """Return the frames per second of a sequence, or of all if each has recorded times."""
        names = list(self._scores) if sequence == COMBINED else [sequence]
        return rates_of(self.records[name] for name in names)
