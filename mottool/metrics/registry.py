"""The metrics by name, and the tables that show them.

To add a tracking metric, write a class that satisfies `TrackMetric`, name it in `TRACK_METRICS`,
and add an entry to `METRICS` for each number that it computes. Tables, CSV files and the choices
of command-line options derive from these entries. Imports no numpy, because help texts use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "METRICS",
    "TRACK_METRICS",
    "Kind",
    "Metric",
    "columns",
    "get_metric",
    "headline",
    "in_order",
]

Kind = Literal["tracks", "cache", "speed"]
LAST = 99

# Classes that compute the metrics of tracks. The keys name them in `TrackingScore.parts`.
TRACK_METRICS = {
    "clear": "mottool.metrics.clear:Clear",
    "identity": "mottool.metrics.identity:Identity",
    "hota": "mottool.metrics.hota:Hota",
}


@dataclass(frozen=True)
class Metric:
    """A number that is computed of tracks, of a cache, or of the speed of a pipeline.

    `tables` are the tables that show it: "evaluate", "compare", "benchmark", and "train", the
    validation of a training. CSV files hold all metrics. `column` orders the columns of a table;
    equal numbers keep the order of `METRICS`.
    """

    name: str
    of: Kind
    unit: Literal["fraction", "count", "fps", "per frame", "ms", "MB"] = "fraction"
    lower_is_better: bool = False
    tables: frozenset[str] = frozenset()
    column: int = LAST


EVALUATE = frozenset({"evaluate"})
COMPARE = frozenset({"compare"})
TRAIN = frozenset({"train"})
BENCHMARK = frozenset({"benchmark"})

# In TrackEval's order, which is that of CSV files. Columns follow MOTChallenge's tables first, then
# its details page.
METRICS: tuple[Metric, ...] = (
    Metric("HOTA", "tracks", tables=EVALUATE | COMPARE, column=3),
    Metric("DetA", "tracks", tables=EVALUATE, column=13),
    Metric("AssA", "tracks", tables=EVALUATE, column=12),
    Metric("LocA", "tracks", tables=EVALUATE, column=14),
    Metric("MOTA", "tracks", tables=EVALUATE | COMPARE | TRAIN, column=1),
    Metric("MOTP", "tracks", tables=EVALUATE, column=15),
    Metric("IDF1", "tracks", tables=EVALUATE | COMPARE | TRAIN, column=2),
    Metric("IDP", "tracks", tables=EVALUATE, column=16),
    Metric("IDR", "tracks", tables=EVALUATE, column=17),
    Metric("Rcll", "tracks", tables=EVALUATE, column=10),
    Metric("Prcn", "tracks", tables=EVALUATE, column=11),
    Metric("MT", "tracks", "count", tables=EVALUATE, column=4),
    Metric("PT", "tracks", "count"),
    Metric("ML", "tracks", "count", True, EVALUATE, 5),
    Metric("TP", "tracks", "count"),
    Metric("FP", "tracks", "count", True, EVALUATE, 6),
    Metric("FN", "tracks", "count", True, EVALUATE, 7),
    Metric("IDSW", "tracks", "count", True, EVALUATE | COMPARE, 8),
    Metric("Frag", "tracks", "count", True, EVALUATE, 9),
    Metric("IDTP", "tracks", "count"),
    Metric("IDFP", "tracks", "count", True),
    Metric("IDFN", "tracks", "count", True),
    Metric("MT%", "tracks", tables=EVALUATE, column=18),
    Metric("ML%", "tracks", "fraction", True, EVALUATE, 19),
    Metric("FAR", "tracks", "per frame", True, EVALUATE, 20),
    Metric("IDSW_S", "tracks", "count", True, EVALUATE),
    Metric("IDSW_M", "tracks", "count", True, EVALUATE),
    Metric("IDSW_L", "tracks", "count", True, EVALUATE),
    Metric("AP", "cache", tables=EVALUATE | COMPARE | TRAIN),
    Metric("AP_S", "cache", tables=EVALUATE),
    Metric("AP_M", "cache", tables=EVALUATE),
    Metric("AP_L", "cache", tables=EVALUATE),
    Metric("Rcll", "cache", tables=EVALUATE),
    Metric("Prcn", "cache", tables=EVALUATE),
    Metric("TPR", "cache", tables=EVALUATE | COMPARE | TRAIN),
    Metric("TPR_S", "cache", tables=EVALUATE),
    Metric("TPR_M", "cache", tables=EVALUATE),
    Metric("TPR_L", "cache", tables=EVALUATE),
    Metric("Rank1", "cache", tables=EVALUATE | TRAIN),
    Metric("mAP", "cache", tables=EVALUATE | TRAIN),
    Metric("FPSD", "speed", "fps", tables=COMPARE),
    Metric("FPSE", "speed", "fps", tables=COMPARE),
    Metric("FPSA", "speed", "fps", tables=COMPARE),
    Metric("FPS", "speed", "fps", tables=COMPARE | EVALUATE),
    Metric("people", "speed", "per frame", tables=BENCHMARK),
    *(
        Metric(name, "speed", "ms", True, BENCHMARK)
        for name in (
            "decode",
            "resize",
            "network",
            "heads",
            "embed",
            "write",
            "sum",
            "whole",
            "CPU",
        )
    ),
    Metric("frames/s", "speed", "fps", tables=BENCHMARK),
    Metric("MB", "speed", "MB", True, BENCHMARK),
    Metric("GPU MB", "speed", "MB", True, BENCHMARK),
    Metric("ms", "speed", "ms", True),
)


def columns(table: str, of: Kind | None = None) -> tuple[str, ...]:
    """Return the names of a table's metrics in the order of its columns, of one kind or of all."""
    chosen = [metric for metric in METRICS if table in metric.tables and of in (None, metric.of)]
    return tuple(metric.name for metric in sorted(chosen, key=lambda metric: metric.column))


def headline() -> tuple[str, ...]:
    """Return the metrics that rank trackers: the fractions of tracks in the table of `compare`."""
    names = columns("compare", "tracks")
    return tuple(name for name in names if get_metric(name).unit == "fraction")


def get_metric(name: str) -> Metric:
    """Return the metric of a name; those that share a name share their unit and direction."""
    return {metric.name: metric for metric in METRICS}[name]


def in_order(values: Mapping[str, float]) -> dict[str, float]:
    """Sort metrics of tracks in the order of `METRICS`; raise `KeyError` without an entry."""
    names = [metric.name for metric in METRICS if metric.of == "tracks"]
    rank = {name: index for index, name in enumerate(names)}
    return dict(sorted(values.items(), key=lambda item: rank[item[0]]))
