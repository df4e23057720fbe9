"""Identity: how well one result identity matches one object over the whole sequence.

Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking",
ECCV Workshops 2016, section 3: objects and result identities are matched once for the whole
sequence, so that as many boxes as possible are identified correctly.
"""

from dataclasses import dataclass

import numpy as np

from mottool.linear_assignment import linear_sum_assignment
from mottool.metrics.preprocess import EvalSequence

__all__ = ["Identity"]

MIN_IOU = 0.5  # of a result that can match an object in a frame


@dataclass(frozen=True)
class Identity:
    """The counts IDTP, IDFP and IDFN of one or several sequences; adding two combines them."""

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0

    @classmethod
    def compute(cls, sequence: EvalSequence) -> "Identity":
        """Compute the counts of one sequence.

        Minimising the paper's cost of false positives and false negatives (eq. 4-7) is the same as
        maximising the true positives, so a matrix of objects by identities is enough.
        """
        shape, pairs = sequence.identity_counts, sequence.pairs
        close = pairs.similarity >= MIN_IOU
        objects = sequence.truth_ids[pairs.truth[close]]
        cell = objects * shape[1] + sequence.result_ids[pairs.result[close]]
        together = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)  # frames
        correct = int(together[linear_sum_assignment(together, maximize=True)].sum())
        return cls(correct, len(sequence.result_ids) - correct, len(sequence.truth_ids) - correct)

    def __add__(self, other: "Identity") -> "Identity":
        return Identity(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
        )

    def metrics(self) -> dict[str, float]:
        """Return the metrics by TrackEval's names; IDF1, IDP and IDR are in [0, 1]."""
        correct, incorrect = self.true_positives, self.false_positives
        missed = self.false_negatives
        return {
            "IDF1": correct / max(1, correct + 0.5 * incorrect + 0.5 * missed),
            "IDP": correct / max(1, correct + incorrect),
            "IDR": correct / max(1, correct + missed),
            "IDTP": correct,
            "IDFP": incorrect,
            "IDFN": missed,
        }
