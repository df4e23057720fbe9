"""The same scene scored by motmetrics, to stand beside our figures.

Both see the same boxes after the same rules, and the distances are ours. They still differ a
little: motmetrics keeps a match of any earlier frame, not only of the last one, which moves
switches and fragmentations, and calls an object mostly tracked from 80 % of its frames on, not
only above. It has no HOTA.
"""

from typing import Any

import motmetrics
import numpy as np

from mottool.metrics.preprocess import EvalSequence
from mottool.metrics.tables import COMBINED

__all__ = ["SecondOpinion"]

OVERLAP = 0.5
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


class SecondOpinion:
    """Collects the sequences of one tracker and asks motmetrics about them."""

    def __init__(self) -> None:
        """Start without sequences."""
        self.accumulators: dict[str, Any] = {}

    def add(self, sequence: str, scene: EvalSequence) -> None:
        """Hand over one sequence, frame by frame."""
        pairs = scene.pairs
        accumulator = motmetrics.MOTAccumulator(auto_id=True)
        bounds = np.searchsorted(pairs.truth, pairs.truth_ptr)  # (F + 1,)
        for frame in range(len(bounds) - 1):
            top, bottom = pairs.truth_ptr[frame : frame + 2]
            first, last = pairs.result_ptr[frame : frame + 2]
            distances = np.full((bottom - top, last - first), np.nan)
            here = slice(bounds[frame], bounds[frame + 1])
            near = pairs.similarity[here] >= OVERLAP
            place = (pairs.truth[here][near] - top, pairs.result[here][near] - first)
            distances[place] = 1 - pairs.similarity[here][near]
            truth, result = scene.truth_ids[top:bottom], scene.result_ids[first:last]
            accumulator.update(truth.tolist(), result.tolist(), distances)
        self.accumulators[sequence] = accumulator

    def figures(self) -> dict[str, dict[str, float]]:
        """For each sequence and `COMBINED` the figures by TrackEval's names, MOTP as an IoU.

        What motmetrics leaves undefined (a precision without results) is left out.
        """
        table = motmetrics.metrics.create().compute_many(
            list(self.accumulators.values()),
            names=list(self.accumulators),
            metrics=list(NAMES.values()),
            generate_overall=True,
        )
        told = {}
        names = [*self.accumulators, COMBINED]
        for sequence, row in zip(names, table.to_dict("records"), strict=True):
            values = {name: float(row[theirs]) for name, theirs in NAMES.items()}
            values["MOTP"] = 1 - values["MOTP"]
            told[sequence] = {name: value for name, value in values.items() if np.isfinite(value)}
        return told
