"""HOTA: detection and association in one figure, over all thresholds of localisation.

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

__all__ = ["ALPHAS", "Hota", "hota"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

ALPHAS = np.arange(0.05, 0.99, 0.05)  # (19,)


def _zeros() -> Floats:
    return np.zeros(len(ALPHAS))


@dataclass(frozen=True)
class Hota:
    """Sums of one or several sequences for each alpha, (19,); adding two joins them.

    `hits`, `misses` and `false_alarms` are detections; `association`, `association_recall` and
    `association_precision` are summed over the hits (eq. 14-16), `overlap` is their summed IoU.
    Adding sums weighs each sequence's mean by its hits, which is how TrackEval combines.
    """

    hits: Floats = field(default_factory=_zeros)
    misses: Floats = field(default_factory=_zeros)
    false_alarms: Floats = field(default_factory=_zeros)
    association: Floats = field(default_factory=_zeros)
    association_recall: Floats = field(default_factory=_zeros)
    association_precision: Floats = field(default_factory=_zeros)
    overlap: Floats = field(default_factory=_zeros)

    def __add__(self, other: "Hota") -> "Hota":
        names = [field.name for field in fields(self)]
        return Hota(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def curves(self) -> dict[str, Floats]:
        """Every figure at each alpha, (19,) in [0, 1]; the headline figures are their means."""
        found = np.maximum(1, self.hits)
        detection = self.hits / np.maximum(1, self.hits + self.misses + self.false_alarms)
        association = self.association / found
        return {
            "HOTA": np.sqrt(detection * association),
            "DetA": detection,
            "AssA": association,
            "DetRe": self.hits / np.maximum(1, self.hits + self.misses),
            "DetPr": self.hits / np.maximum(1, self.hits + self.false_alarms),
            "AssRe": self.association_recall / found,
            "AssPr": self.association_precision / found,
            # Without a hit LocA is 1, as TrackEval has it.
            "LocA": np.where(self.hits > 0, self.overlap / found, 1.0),
        }


def hota(scene: EvalSequence) -> Hota:
    """Score one sequence."""
    truths, results = len(scene.truth_ids), len(scene.result_ids)
    pairs, columns = scene.pairs, max(1, scene.identities[1])
    cell = scene.truth_ids[pairs.truth] * columns + scene.result_ids[pairs.result]  # (p,)
    met, which = renumber(cell)  # the k pairs of identities that ever overlap; (p,) among them
    of_truth = np.bincount(scene.truth_ids)[met // columns]  # (k,) boxes
    of_result = np.bincount(scene.result_ids)[met % columns]  # (k,) boxes
    common = np.bincount(which, _shares(scene), minlength=len(met))
    alignment = common / (of_truth + of_result - common)  # (k,) in [0, 1]
    matched = np.flatnonzero(best_matching(pairs, alignment[which] * pairs.similarity))

    similarity, levels = pairs.similarity[matched], len(ALPHAS) + 1
    reached = np.searchsorted(ALPHAS - EPSILON, similarity, "right")  # alphas met, 0 to 19
    hits = _at_each_alpha(np.bincount(reached, minlength=levels))
    steps = np.bincount(which[matched] * levels + reached, minlength=len(met) * levels)
    together = _at_each_alpha(steps.reshape(-1, levels))  # (k, 19) frames
    of_truth, of_result = of_truth[:, None], of_result[:, None]  # (k, 1)
    return Hota(
        hits=hits,
        misses=truths - hits,
        false_alarms=results - hits,
        association=(together**2 / (of_truth + of_result - together)).sum(0),
        association_recall=(together**2 / of_truth).sum(0),
        association_precision=(together**2 / of_result).sum(0),
        overlap=_at_each_alpha(np.bincount(reached, similarity, minlength=levels)),
    )


def _shares(scene: EvalSequence) -> Floats:
    """For each pair its share in all the overlaps of its two boxes, (p,) in (0, 1].

    Summed over the frames in which two identities meet, it is the numerator of a soft Jaccard
    index of the two: how well they align.
    """
    pairs = scene.pairs
    of_truth = np.bincount(pairs.truth, pairs.similarity)[pairs.truth]
    of_result = np.bincount(pairs.result, pairs.similarity)[pairs.result]
    shares: Floats = pairs.similarity / (of_truth + of_result - pairs.similarity)
    return shares


def _at_each_alpha(steps: Floats | Ints) -> Floats:
    """Sums over everything that reaches alpha, from sums by the number of alphas reached."""
    return np.cumsum(steps[..., :0:-1], axis=-1)[..., ::-1].astype(float)  # (…, 20) to (…, 19)
