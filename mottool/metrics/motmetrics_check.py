"""The same sequences scored by motmetrics, as a check of our metrics.

Both use the same boxes after the same rules, and our distances. They still differ a little:
motmetrics keeps a match of any earlier frame, not only of the last one, which changes switches and
fragmentations. It calls an object mostly tracked from 80 % of its frames on, not only above. It
has no HOTA.
"""

from typing import Any

import motmetrics
import numpy as np

from mottool.metrics.preprocess import EvalSequence
from mottool.metrics.tables import COMBINED

__all__ = ["MotmetricsCheck"]

MIN_IOU = 0.5
NAMES = {
    "MOTA": "mota",
    "MOTP": "motp",
    "IDF1": "idf1",
    "IDP": "idp",
    "IDR": "idr",
    "Rcll": "recall",
    "Prcn": "precision",
    "MT": "mostly_tracked",
    "PT": "partially_tracked",
    "ML": "mostly_lost",
    "FP": "num_false_positives",
    "FN": "num_misses",
    "IDSW": "num_switches",
    "Frag": "num_fragmentations",
}


class MotmetricsCheck:
    """The sequences of one tracker, to be scored by motmetrics."""

    def __init__(self) -> None:
        """Start without sequences."""
        self.accumulators: dict[str, Any] = {}

    def add(self, name: str, sequence: EvalSequence) -> None:
        """Add one sequence."""
        pairs = sequence.pairs
        accumulator = motmetrics.MOTAccumulator(auto_id=True)
        bounds = np.searchsorted(pairs.truth, pairs.truth_ptr)  # (F + 1,)
        for frame in range(len(bounds) - 1):
            first_row, end_row = pairs.truth_ptr[frame : frame + 2]
            first_column, end_column = pairs.result_ptr[frame : frame + 2]
            distances = np.full((end_row - first_row, end_column - first_column), np.nan)
            in_frame = np.arange(bounds[frame], bounds[frame + 1])
            close = in_frame[pairs.similarity[in_frame] >= MIN_IOU]
            cells = (pairs.truth[close] - first_row, pairs.result[close] - first_column)
            distances[cells] = 1 - pairs.similarity[close]
            truth_ids = sequence.truth_ids[first_row:end_row]
            result_ids = sequence.result_ids[first_column:end_column]
            accumulator.update(truth_ids.tolist(), result_ids.tolist(), distances)
        self.accumulators[name] = accumulator

    def metrics(self) -> dict[str, dict[str, float]]:
        """Return the metrics of each sequence and `COMBINED` by TrackEval's names, MOTP as an IoU.

        Metrics that motmetrics leaves undefined, such as precision without results, are omitted.
        """
        table = motmetrics.metrics.create().compute_many(
            list(self.accumulators.values()),
            names=list(self.accumulators),
            metrics=list(NAMES.values()),
            generate_overall=True,
        )
        metrics = {}
        names = [*self.accumulators, COMBINED]
        for sequence, row in zip(names, table.to_dict("records"), strict=True):
            values = {name: float(row[column]) for name, column in NAMES.items()}
            values["MOTP"] = 1 - values["MOTP"]
            metrics[sequence] = {
                name: value for name, value in values.items() if np.isfinite(value)
            }
        return metrics
