"""The rows of the comparison: their figures, which is best, and what chance has to do with it.

FPSD, FPSE and FPSA are frames a second of detection, of embedding and of association, FPS of all
three, as in Table 4 of Wang, Zheng, Liu, Li & Wang, "Towards real-time multi-object tracking"
(JDE), ECCV 2020; reading frames is nobody's merit and left out. A one-shot network embeds while it
detects, so it has no FPSE.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt

from mottool.comparison.measure import DetectionMeasurement, TrackingMeasurement
from mottool.comparison.pipelines import ORACLE, ComparedPipeline
from mottool.metrics.cache_metrics import CacheMatches, figures
from mottool.metrics.tracking import combined

__all__ = ["FIGURES", "LOWER", "SPEEDS", "ComparisonRow", "chance", "ranks", "shown", "standing"]

Floats = npt.NDArray[np.float64]

SPEEDS = ("FPSD", "FPSE", "FPSA", "FPS")
FIGURES = ("MOTA", "IDF1", "HOTA", "IDSW", "AP", "TPR", *SPEEDS)
LOWER = frozenset({"IDSW"})  # the lower the better
JUDGED_BY = ("MOTA", "IDF1", "HOTA")
SURE = 0.05  # a difference that chance makes less often is one


@dataclass(frozen=True, eq=False)  # arrays have no single truth: a row equals itself only
class ComparisonRow:
    """One row: a pipeline with a tracker.

    `figures` has those of all sequences joined, fractions, counts and frames a second by the
    names in `FIGURES`, None for what does not exist; `by_sequence` the same of each sequence.
    `people` and `seconds` (F,) are the detections of every frame and what it took altogether.
    """

    pipeline: str
    kind: str
    tracker: str
    figures: Mapping[str, float | None]
    by_sequence: Mapping[str, Mapping[str, float | None]]
    people: npt.NDArray[np.int64]
    seconds: Floats

    @property
    def name(self) -> str:
        """Pipeline and tracker in one, as result folders are called."""
        return f"{self.pipeline}.{self.tracker}"


def standing(
    contender: ComparedPipeline,
    tracker: str,
    judged: Mapping[str, DetectionMeasurement],
    tracked: Mapping[str, TrackingMeasurement],
    at_truth: Mapping[str, CacheMatches],
) -> ComparisonRow:
    """The row of a contender with a tracker, from what was measured on each sequence.

    `at_truth` is what its embeddings show at ground-truth boxes; TPR is told of sequences that
    all have it.
    """

    def of(names: Sequence[str]) -> dict[str, float | None]:
        told = combined(tracked[name].score for name in names).figures()
        found = figures([judged[name].finds for name in names], 0.0)
        apart = {}
        if all(name in at_truth for name in names):
            apart = figures([at_truth[name] for name in names], 0.0)
        values = {**told, "AP": found["AP"], "TPR": apart.get("TPR")}
        costs = [_costs(judged[name], tracked[name]) for name in names]
        return {name: values.get(name) for name in FIGURES} | _speeds(contender, costs)

    costs = [_costs(judged[name], tracked[name]) for name in judged]
    return ComparisonRow(
        contender.name,
        contender.kind,
        tracker,
        of(list(judged)),
        {name: of([name]) for name in judged},
        np.concatenate([each.people[_warm(each)] for each in judged.values()]),
        np.concatenate([each.sum(axis=0) for each in costs]),
    )


def _warm(judged: DetectionMeasurement) -> slice:
    """All frames but the first, which pays for libraries and kernels that are loaded once."""
    return slice(1 if len(judged.people) > 1 else 0, None)


def _costs(judged: DetectionMeasurement, tracked: TrackingMeasurement) -> Floats:
    """Seconds of detection, embedding and association, (3, F), of the frames that count."""
    costs = np.stack([judged.detection, judged.embedding, tracked.association])
    return costs[:, _warm(judged)]


def _speeds(contender: ComparedPipeline, costs: Sequence[Floats]) -> dict[str, float | None]:
    """Frames a second by the names in `SPEEDS`; None for a part whose time was not recorded."""
    together = np.concatenate(costs, axis=1)  # (3, F)
    parts = [*together.sum(axis=1).tolist(), float(together.sum())]
    if contender.boxes_given:
        parts[0] = 0.0
    count = together.shape[1]
    rates = [count / seconds if seconds > 0 else None for seconds in parts]
    return dict(zip(SPEEDS, rates, strict=True))


def shown(name: str, value: float | None) -> str:
    """A figure as tables print it: per cent to one decimal, counts and high speeds whole."""
    if value is None:
        return "-"
    if name in SPEEDS:
        return f"{value:.1f}" if value < 100 else f"{value:.0f}"
    return f"{value:.0f}" if name in LOWER else f"{100 * value:.1f}"


def ranks(standings: Sequence[ComparisonRow], figure: str) -> list[int]:
    """1 for the best and 2 for the second best in a column, 0 for the others.

    What prints alike ranks alike. Where all are alike nobody is best. Ground-truth boxes do not
    compete, and in FPS those whose detection was not timed only among themselves.
    """
    rivals = [each for each in standings if each.kind != ORACLE]
    if figure == "FPS" and any(each.figures["FPSD"] is not None for each in rivals):
        rivals = [each for each in rivals if each.figures["FPSD"] is not None]
    printed = [shown(figure, each.figures[figure]) if each in rivals else "-" for each in standings]
    distinct = {float(text) for text in printed if text != "-"}
    order = sorted(distinct, reverse=figure not in LOWER)
    if len(order) < 2:
        return [0] * len(printed)
    places = {value: place for place, value in enumerate(order[:2], 1)}
    return [0 if text == "-" else places.get(float(text), 0) for text in printed]


def chance(standings: Sequence[ComparisonRow]) -> list[str]:
    """What the number of sequences allows to be said of the first two, by the sign test.

    Sequences, not frames, are independent: with n of them, one of two equal trackers is ahead on
    every one with probability 2^(1-n) (Dixon & Mood, "The statistical sign test", 1946).
    """
    standings = [each for each in standings if each.kind != ORACLE]
    if len(standings) < 2:
        return []
    count = len(standings[0].by_sequence)
    if _sign_test(count, 0) >= SURE:
        least = next(n for n in range(1, 64) if _sign_test(n, 0) < SURE)
        of = "1 sequence" if count == 1 else f"{count} sequences"
        often = f"{100 * _sign_test(count, 0):.0f} %"
        return [
            f"{of}: a tracker no better than another is ahead or behind on all of them in {often} "
            f"of cases, so no difference here is beyond chance (sign test; it takes {least})"
        ]
    return [_first_two(standings, figure) for figure in JUDGED_BY]


def _first_two(standings: Sequence[ComparisonRow], figure: str) -> str:
    first, second = sorted(standings, key=lambda each: -(each.figures[figure] or 0))[:2]
    values = [
        (mine, first_other)
        for name in first.by_sequence
        if (mine := first.by_sequence[name][figure]) is not None
        and (first_other := second.by_sequence[name][figure]) is not None
    ]
    ahead = sum(mine > other for mine, other in values)
    behind = sum(mine < other for mine, other in values)
    chance = _sign_test(ahead + behind, min(ahead, behind))
    verdict = "beyond chance" if chance < SURE and ahead > behind else "not beyond chance"
    return (
        f"{figure}: {first.name} is ahead of {second.name} on {ahead} of {len(values)} sequences, "
        f"behind on {behind}: {verdict} (sign test, p = {chance:.3f})"
    )


def _sign_test(count: int, fewer: int) -> float:
    """The chance, two-sided, that of `count` fair coins at most `fewer` show the rarer side."""
    if not count:
        return 1.0
    return min(1.0, 2.0 * sum(comb(count, k) for k in range(fewer + 1)) / 2.0**count)
