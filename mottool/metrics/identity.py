"""Identity: how well one result identity stands for one object over the whole sequence.

Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking",
ECCV Workshops 2016, section 3: objects and result identities are matched once for the whole
sequence, so that as many boxes as possible are identified correctly.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from mottool.metrics.preprocess import EvalSequence

__all__ = ["Identity", "identity"]

OVERLAP = 0.5  # the IoU from which a result can stand for an object in a frame


@dataclass(frozen=True)
class Identity:
    """The counts of one or several sequences; adding two joins them, the ratios follow."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def __add__(self, other: "Identity") -> "Identity":
        return Identity(
            self.right + other.right, self.wrong + other.wrong, self.missed + other.missed
        )

    @property
    def f1(self) -> float:
        """IDF1: 2 IDTP / (2 IDTP + IDFP + IDFN), in [0, 1]."""
        return self.right / max(1, self.right + 0.5 * self.wrong + 0.5 * self.missed)

    @property
    def precision(self) -> float:
        """IDP: the share of the results that is identified correctly, in [0, 1]."""
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        """IDR: the share of the objects' boxes that is identified correctly, in [0, 1]."""
        return self.right / max(1, self.right + self.missed)


def identity(scene: EvalSequence) -> Identity:
    """Score one sequence.

    Minimising the paper's cost of missed and wrong boxes (eq. 4-7) is the same as maximising the
    correct ones, so a matrix of objects by identities is enough.
    """
    shape = scene.identities
    pairs = scene.pairs
    close = pairs.similarity >= OVERLAP
    cell = scene.truth_ids[pairs.truth[close]] * shape[1] + scene.result_ids[pairs.result[close]]
    together = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)  # frames
    right = int(together[linear_sum_assignment(together, maximize=True)].sum())
    return Identity(right, len(scene.result_ids) - right, len(scene.truth_ids) - right)
