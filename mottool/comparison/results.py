"""The rows of a comparison: their metrics, ranks, and a sign test between the first two.

`metrics.speed` defines FPS, FPSD, FPSE and FPSA.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from mottool.comparison.measure import DetectionMeasurement, TrackingMeasurement
from mottool.comparison.pipelines import ORACLE, ComparedPipeline
from mottool.metrics.cache_metrics import CacheMatches, cache_metrics
from mottool.metrics.registry import columns, get_metric, headline
from mottool.metrics.speed import SystemTime, warm
from mottool.metrics.tables import COMBINED, Table, format_metric
from mottool.metrics.tracking import TrackingScore, combine

__all__ = [
    "FIGURES",
    "HEAD",
    "MORE",
    "ComparisonRow",
    "chance",
    "comparison_table",
    "ranks",
    "sequence_table",
    "comparison_row",
    "row_metrics",
]

Floats = npt.NDArray[np.float64]

FIGURES = columns("compare")
# Metrics that `--columns` may add to the table; CSV and JSON hold all.
MORE = tuple(name for name in columns("evaluate", "tracks") if name not in FIGURES)
HEAD = ("Pipeline", "Kind", "Tracker")
SIGNIFICANCE = 0.05  # p-value below which a difference is significant


@dataclass(frozen=True, eq=False)  # arrays have no single truth value: a row equals itself only
class ComparisonRow:
    """One row: a pipeline with a tracker.

    `figures` are the metrics of all sequences combined, by the names in `FIGURES` and `MORE`:
    fractions, counts and frames per second, None if undefined. `by_sequence` are those of each
    sequence. `people` (F,) are the detections of every frame, and `seconds` (3, F) the time of
    detection, embedding and association. `settings` are the tracker's on each sequence.
    """

    pipeline: str
    kind: str
    tracker: str
    figures: Mapping[str, float | None]
    by_sequence: Mapping[str, Mapping[str, float | None]]
    people: npt.NDArray[np.int64]
    seconds: Floats
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return pipeline and tracker in one, the name of its result folder."""
        return f"{self.pipeline}.{self.tracker}"


def comparison_row(
    pipeline: ComparedPipeline,
    tracker: str,
    detection: Mapping[str, DetectionMeasurement],
    tracking: Mapping[str, TrackingMeasurement],
    at_truth: Mapping[str, CacheMatches],
    settings: Mapping[str, Mapping[str, Any]],
) -> ComparisonRow:
    """Make the row of a pipeline with a tracker from the measurements of each sequence.

    `at_truth` are the matches of its embeddings at ground-truth boxes. TPR is defined where all
    sequences have them. `settings` are the tracker's on each sequence.
    """

    def metrics_of(sequences: Sequence[str]) -> dict[str, float | None]:
        score = combine(tracking[name].score for name in sequences)
        of_embeddings = {}
        if all(name in at_truth for name in sequences):
            of_embeddings = cache_metrics([at_truth[name] for name in sequences], 0.0)
        seconds = [_seconds(detection[name], tracking[name]) for name in sequences]
        return row_metrics(
            score,
            [detection[name].finds for name in sequences],
            of_embeddings.get("TPR"),
            _speeds(pipeline, seconds),
        )

    seconds = [_seconds(detection[name], tracking[name]) for name in detection]
    return ComparisonRow(
        pipeline.name,
        pipeline.kind,
        tracker,
        metrics_of(list(detection)),
        {name: metrics_of([name]) for name in detection},
        np.concatenate([of.people[warm(len(of.people))] for of in detection.values()]),
        np.concatenate([parts[:, warm(parts.shape[1])] for parts in seconds], axis=1),
        settings,
    )


def row_metrics(
    score: TrackingScore,
    finds: Sequence[CacheMatches],
    tpr: float | None,
    speeds: Mapping[str, float | None],
) -> dict[str, float | None]:
    """Return the metrics of a row from the score of its tracks and the matches of its caches."""
    values = {
        **score.metrics(),
        **score.rates(),
        "AP": cache_metrics(finds, 0.0)["AP"],
        "TPR": tpr,
    }
    return {name: values.get(name) for name in FIGURES + MORE} | dict(speeds)


def _seconds(detection: DetectionMeasurement, tracking: TrackingMeasurement) -> Floats:
    """Return the seconds of detection, embedding and association, (3, F), of all frames."""
    return np.stack([detection.detection, detection.embedding, tracking.association])


def _speeds(pipeline: ComparedPipeline, seconds: Iterable[Floats]) -> dict[str, float | None]:
    """Return frames per second by name; None for a part without recorded time."""
    given = pipeline.boxes_given
    times = [SystemTime.of(part[0], part[1], part[2], given) for part in seconds]
    return sum(times, SystemTime()).rates()


def comparison_table(rows: Sequence[ComparisonRow], names: Sequence[str] = FIGURES) -> Table:
    """Arrange combined metrics of all rows, by default those of `FIGURES`, with ranks."""
    lines = [((row.pipeline, row.kind, row.tracker), row.figures) for row in rows]
    return Table(HEAD, names, lines, {name: ranks(rows, name) for name in names})


def sequence_table(rows: Sequence[ComparisonRow]) -> Table:
    """Arrange the metrics of every row and sequence in one table, for CSV."""
    lines = [
        ((row.pipeline, row.kind, row.tracker, sequence), metrics)
        for row in rows
        for sequence, metrics in {**row.by_sequence, COMBINED: row.figures}.items()
    ]
    return Table(("pipeline", "kind", "tracker", "seq"), FIGURES + MORE, lines)


def ranks(rows: Sequence[ComparisonRow], name: str) -> list[int]:
    """Rank the rows by a metric: 1 for the best, 2 for the second best, 0 for the others.

    Values that print alike rank alike. If all do, no row is the best. Ground-truth boxes do not
    compete, and in FPS rows without detection times do so only among themselves.
    """
    rivals = [row for row in rows if row.kind != ORACLE]
    if name == "FPS" and any(row.figures["FPSD"] is not None for row in rivals):
        rivals = [row for row in rivals if row.figures["FPSD"] is not None]
    printed = [format_metric(name, row.figures[name]) if row in rivals else "-" for row in rows]
    distinct = {float(text) for text in printed if text != "-"}
    best = sorted(distinct, reverse=not get_metric(name).lower_is_better)[:2]
    if len(best) < 2:
        return [0] * len(printed)
    by_value = {value: rank for rank, value in enumerate(best, 1)}
    return [0 if text == "-" else by_value.get(float(text), 0) for text in printed]


def chance(rows: Sequence[ComparisonRow]) -> list[str]:
    """Report whether the first two rows differ significantly, according to the sign test.

    Sequences, not frames, are independent: with n of them, one of two equal trackers is ahead on
    every one with probability 2^(1-n) (Dixon & Mood, "The statistical sign test", 1946).
    """
    rows = [row for row in rows if row.kind != ORACLE]
    if len(rows) < 2:
        return []
    count = len(rows[0].by_sequence)
    if _p_value(0, count) >= SIGNIFICANCE:
        needed = next(n for n in range(1, 64) if _p_value(0, n) < SIGNIFICANCE)
        sequences = "1 sequence" if count == 1 else f"{count} sequences"
        return [
            f"{sequences}: too few to call any difference significant (sign test, at least "
            f"{needed} needed)"
        ]
    return [_first_two(rows, name) for name in headline()]


def _first_two(rows: Sequence[ComparisonRow], metric: str) -> str:
    first, second = sorted(rows, key=lambda row: -(row.figures[metric] or 0))[:2]
    values = [
        (of_first, of_second)
        for name in first.by_sequence
        if (of_first := first.by_sequence[name][metric]) is not None
        and (of_second := second.by_sequence[name][metric]) is not None
    ]
    ahead = sum(of_first > of_second for of_first, of_second in values)
    behind = sum(of_first < of_second for of_first, of_second in values)
    p_value = _p_value(ahead, behind)
    significant = p_value < SIGNIFICANCE and ahead > behind
    return (
        f"{metric}: {first.name} is ahead of {second.name} on {ahead} of {len(values)} sequences, "
        f"behind on {behind}: {'significant' if significant else 'not significant'} "
        f"(sign test, p = {p_value:.3f})"
    )


def _p_value(ahead: int, behind: int) -> float:
    """Return the two-sided p-value of the sign test."""
    return float(binomtest(ahead, ahead + behind).pvalue) if ahead + behind else 1.0
