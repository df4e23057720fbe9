"""CLEAR: true positives, false positives, false negatives and identity switches.

Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance: The CLEAR MOT
Metrics", EURASIP Journal on Image and Video Processing, 2008, section 2.3, with the details of
TrackEval: a pair matched in the frame before stays matched while it overlaps, the others are
matched so that their summed similarity is largest.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from mottool.metrics.matching import connected_groups, match_group
from mottool.metrics.pairs import EPSILON
from mottool.metrics.preprocess import EvalSequence

__all__ = ["Clear", "identity_switches", "true_positives"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MIN_IOU = 0.5  # of a true positive
MOSTLY_TRACKED, MOSTLY_LOST = 0.8, 0.2  # share of an object's boxes that are matched
STAY = 1000.0  # weight of a pair that was matched in the frame before: more than any sum of IoUs


@dataclass(frozen=True)
class Clear:
    """The counts of one or several sequences; adding two combines them.

    `iou_sum` is the summed IoU of the true positives.
    """

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0
    identity_switches: int = 0
    fragmentations: int = 0
    mostly_tracked: int = 0
    partly_tracked: int = 0
    mostly_lost: int = 0
    iou_sum: float = 0.0

    @classmethod
    def compute(cls, sequence: EvalSequence) -> "Clear":
        """Compute the counts of one sequence."""
        truth_count, result_count = len(sequence.truth_ids), len(sequence.result_ids)
        object_count = sequence.identity_counts[0]
        previous = _previous_rows(sequence)
        matched = _match(sequence, previous)
        partners = _partners(sequence, matched)
        hit = partners >= 0  # (n,)
        hit_count = int(hit.sum())
        starts = hit & ~((previous >= 0) & hit[previous])  # of uninterrupted runs
        runs = np.bincount(sequence.truth_ids[starts], minlength=object_count)
        boxes = np.bincount(sequence.truth_ids, minlength=object_count)
        hits = np.bincount(sequence.truth_ids[hit], minlength=object_count)
        share = hits / np.maximum(1, boxes)
        tracked = int((share > MOSTLY_TRACKED).sum())
        partly = int((share >= MOSTLY_LOST).sum()) - tracked
        return cls(
            true_positives=hit_count,
            false_positives=result_count - hit_count,
            false_negatives=truth_count - hit_count,
            identity_switches=len(_switch_rows(sequence.truth_ids, partners)),
            fragmentations=int(np.maximum(runs - 1, 0).sum()),
            mostly_tracked=tracked,
            partly_tracked=partly,
            mostly_lost=object_count - tracked - partly,
            iou_sum=float(sequence.pairs.similarity[matched].sum()),
        )

    def __add__(self, other: "Clear") -> "Clear":
        names = [field.name for field in fields(self)]
        return Clear(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def metrics(self) -> dict[str, float]:
        """Return the metrics by TrackEval's names.

        MOTA is in (-inf, 1], 0 without ground truth. MOTP, the mean IoU of the true positives, is
        in [0.5, 1], 0 without any. Recall and precision are in [0, 1].
        """
        hits, objects = self.true_positives, self.true_positives + self.false_negatives
        correct = hits - self.false_positives - self.identity_switches
        return {
            "MOTA": correct / objects if objects else 0.0,
            "MOTP": self.iou_sum / max(1, hits),
            "Rcll": hits / max(1, objects),
            "Prcn": hits / max(1, hits + self.false_positives),
            "MT": self.mostly_tracked,
            "PT": self.partly_tracked,
            "ML": self.mostly_lost,
            "TP": hits,
            "FP": self.false_positives,
            "FN": self.false_negatives,
            "IDSW": self.identity_switches,
            "Frag": self.fragmentations,
        }


def true_positives(sequence: EvalSequence) -> Bools:
    """Return which pairs are true positives, a mask (p,) over `sequence.pairs`."""
    return _match(sequence, _previous_rows(sequence))


def identity_switches(sequence: EvalSequence) -> Ints:
    """Return the ground-truth rows (k,) where an object's identity differs from its last match.

    They are sorted by object, then by frame; `Clear.identity_switches` is their number.
    """
    return _switch_rows(sequence.truth_ids, _partners(sequence, true_positives(sequence)))


def _partners(sequence: EvalSequence, matched: Bools) -> Ints:
    """Return the result identity matched with each ground-truth row, -1 if unmatched, (n,)."""
    partners = np.full(len(sequence.truth_ids), -1)
    pairs = sequence.pairs
    partners[pairs.truth[matched]] = sequence.result_ids[pairs.result[matched]]
    return partners


def _previous_rows(sequence: EvalSequence) -> Ints:
    """Return for each ground-truth row that of its object in the frame before, or -1, (n,).

    Frames without ground truth or without results are skipped, as in TrackEval.
    """
    truth_ids, pairs = sequence.truth_ids, sequence.pairs
    truth_counts, result_counts = np.diff(pairs.truth_ptr), np.diff(pairs.result_ptr)
    counted = (truth_counts > 0) & (result_counts > 0)  # (F,)
    frame = np.repeat(np.arange(len(counted)), truth_counts)  # (n,)
    rows = np.flatnonzero(counted[frame])
    order = rows[np.argsort(truth_ids[rows], kind="stable")]
    number = np.cumsum(counted)[frame[order]]
    follows = (np.diff(truth_ids[order]) == 0) & (np.diff(number) == 1)
    previous = np.full(len(frame), -1)
    previous[order[1:][follows]] = order[:-1][follows]
    return previous


def _match(sequence: EvalSequence, previous: Ints) -> Bools:
    """Match ground truth with results frame by frame; return a mask over the pairs (p,)."""
    pairs, ids = sequence.pairs, sequence.result_ids
    close = np.flatnonzero(pairs.similarity >= MIN_IOU - EPSILON)
    rows, columns = pairs.truth[close], pairs.result[close]
    single = (np.bincount(rows)[rows] == 1) & (np.bincount(columns)[columns] == 1)
    matched = np.zeros(len(pairs.truth), bool)
    matched[close[single]] = True
    partners = np.full(len(previous) + 1, -1)  # the last entry serves rows without a previous row
    partners[rows[single]] = ids[columns[single]]

    def weigh(indices: Ints) -> Floats:
        similarity = pairs.similarity[indices]
        stays = partners[previous[pairs.truth[indices]]] == ids[pairs.result[indices]]
        return np.where(similarity >= MIN_IOU - EPSILON, similarity + STAY * stays, 0.0)

    contested = close[~single]
    rows, columns = pairs.truth[contested], pairs.result[contested]
    index, row, column = contested.tolist(), rows.tolist(), columns.tolist()
    identity, last = ids[columns].tolist(), previous[rows].tolist()
    # Groups come frame by frame, so that the partners of all frames before are known.
    for group in connected_groups(rows, columns):
        # What was matched in the frame before outweighs all else, so it is chosen first.
        chosen = [i for i in group if partners[last[i]] == identity[i]]
        taken_rows = {row[i] for i in chosen}
        taken_columns = {column[i] for i in chosen}
        free = [i for i in group if row[i] not in taken_rows and column[i] not in taken_columns]
        if len(free) > 1:
            best = set(match_group(pairs, [index[i] for i in free], weigh))
            free = [i for i in free if index[i] in best]
        for i in chosen + free:
            matched[index[i]] = True
            partners[row[i]] = identity[i]
    return matched


def _switch_rows(objects: Ints, partners: Ints) -> Ints:
    """Return the rows where an object's partner differs from its last one, however long ago."""
    hit = np.flatnonzero(partners >= 0)
    order = hit[np.argsort(objects[hit], kind="stable")]  # the rows are sorted by frame
    same = np.diff(objects[order]) == 0
    rows: Ints = order[1:][same & (np.diff(partners[order]) != 0)]
    return rows
