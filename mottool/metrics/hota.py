"""HOTA: detection and association in one metric, over all thresholds of localisation.

Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV 2021,
sections 5 and 6. One matching serves every threshold alpha, as in TrackEval: it maximises the
similarity weighted by how well the two identities align over the whole sequence.
"""

from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt

from mottool.metrics.matching import best_matching
from mottool.metrics.pairs import EPSILON, renumber
from mottool.metrics.preprocess import EvalSequence

__all__ = ["ALPHAS", "Hota"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

ALPHAS = np.arange(0.05, 0.99, 0.05)  # (19,)


def _zeros() -> Floats:
    return np.zeros(len(ALPHAS))


@dataclass(frozen=True)
class Hota:
    """Sums of one or several sequences for each alpha, (19,); adding two combines them.

    `association`, `association_recall` and `association_precision` are summed over the true
    positives (eq. 14-16), `iou_sum` is their summed IoU. Adding sums weighs each sequence's mean by
    its true positives, which is how TrackEval combines.
    """

    true_positives: Floats = field(default_factory=_zeros)
    false_negatives: Floats = field(default_factory=_zeros)
    false_positives: Floats = field(default_factory=_zeros)
    association: Floats = field(default_factory=_zeros)
    association_recall: Floats = field(default_factory=_zeros)
    association_precision: Floats = field(default_factory=_zeros)
    iou_sum: Floats = field(default_factory=_zeros)

    @classmethod
    def compute(cls, sequence: EvalSequence) -> "Hota":
        """Compute the sums of one sequence."""
        truth_count, result_count = len(sequence.truth_ids), len(sequence.result_ids)
        pairs, columns = sequence.pairs, max(1, sequence.identity_counts[1])
        cell = sequence.truth_ids[pairs.truth] * columns + sequence.result_ids[pairs.result]  # (p,)
        cells, index = renumber(cell)  # the k pairs of identities that ever overlap; (p,) of them
        truth_boxes = np.bincount(sequence.truth_ids)[cells // columns]  # (k,)
        result_boxes = np.bincount(sequence.result_ids)[cells % columns]  # (k,)
        common = np.bincount(index, _overlap_shares(sequence), minlength=len(cells))
        alignment = common / (truth_boxes + result_boxes - common)  # (k,) in [0, 1]
        matched = np.flatnonzero(best_matching(pairs, alignment[index] * pairs.similarity))

        similarity, levels = pairs.similarity[matched], len(ALPHAS) + 1
        reached = np.searchsorted(ALPHAS - EPSILON, similarity, "right")  # alphas, 0 to 19
        true_positives = _at_each_alpha(np.bincount(reached, minlength=levels))
        steps = np.bincount(index[matched] * levels + reached, minlength=len(cells) * levels)
        together = _at_each_alpha(steps.reshape(-1, levels))  # (k, 19) frames
        truth_boxes, result_boxes = truth_boxes[:, None], result_boxes[:, None]  # (k, 1)
        return cls(
            true_positives=true_positives,
            false_negatives=truth_count - true_positives,
            false_positives=result_count - true_positives,
            association=(together**2 / (truth_boxes + result_boxes - together)).sum(0),
            association_recall=(together**2 / truth_boxes).sum(0),
            association_precision=(together**2 / result_boxes).sum(0),
            iou_sum=_at_each_alpha(np.bincount(reached, similarity, minlength=levels)),
        )

    def __add__(self, other: "Hota") -> "Hota":
        names = [field.name for field in fields(self)]
        return Hota(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def metrics(self) -> dict[str, float]:
        """Return HOTA, DetA, AssA and LocA, the means of their curves, in [0, 1]."""
        curves = self.curves()
        return {name: float(curves[name].mean()) for name in ("HOTA", "DetA", "AssA", "LocA")}

    def curves(self) -> dict[str, Floats]:
        """Return HOTA and its parts at each alpha, (19,) in [0, 1]."""
        hits = np.maximum(1, self.true_positives)
        objects = self.true_positives + self.false_negatives
        detection = self.true_positives / np.maximum(1, objects + self.false_positives)
        association = self.association / hits
        return {
            "HOTA": np.sqrt(detection * association),
            "DetA": detection,
            "AssA": association,
            "DetRe": self.true_positives / np.maximum(1, objects),
            "DetPr": self.true_positives
            / np.maximum(1, self.true_positives + self.false_positives),
            "AssRe": self.association_recall / hits,
            "AssPr": self.association_precision / hits,
            # Without a true positive LocA is 1, as in TrackEval.
            "LocA": np.where(self.true_positives > 0, self.iou_sum / hits, 1.0),
        }


def _overlap_shares(sequence: EvalSequence) -> Floats:
    """Return the share of each pair in all overlaps of its two boxes, (p,) in (0, 1].

    Summed over the frames in which two identities overlap, it is the numerator of their soft
    Jaccard index: how well they align.
    """
    pairs = sequence.pairs
    truth_sums = np.bincount(pairs.truth, pairs.similarity)[pairs.truth]
    result_sums = np.bincount(pairs.result, pairs.similarity)[pairs.result]
    shares: Floats = pairs.similarity / (truth_sums + result_sums - pairs.similarity)
    return shares


def _at_each_alpha(steps: Floats | Ints) -> Floats:
    """Sum what reaches each alpha, from sums by the number of alphas reached."""
    return np.cumsum(steps[..., :0:-1], axis=-1)[..., ::-1].astype(float)  # (…, 20) to (…, 19)
