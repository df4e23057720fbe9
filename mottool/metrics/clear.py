"""CLEAR: how many objects are found, missed, invented, and how often their identity switches.

Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance: The CLEAR MOT
Metrics", EURASIP Journal on Image and Video Processing, 2008, section 2.3, with the details of
TrackEval: a pair matched in the frame before stays matched while it overlaps, the others are
matched so that their summed similarity is largest.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from mottool.metrics.matching import components, settle
from mottool.metrics.pairs import EPSILON
from mottool.metrics.preprocess import EvalSequence

__all__ = ["Clear", "clear", "hits", "switches"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

OVERLAP = 0.5  # the IoU from which a result hits an object
MOSTLY_TRACKED, MOSTLY_LOST = 0.8, 0.2  # share of its frames in which an object is hit
STAY = 1000.0  # weight of a pair that was matched in the frame before: more than any sum of IoUs


@dataclass(frozen=True)
class Clear:
    """The counts of one or several sequences; adding two joins them, the ratios follow.

    `overlap` is the summed IoU of the hits.
    """

    hits: int = 0
    false_alarms: int = 0
    misses: int = 0
    switches: int = 0
    fragmentations: int = 0
    mostly_tracked: int = 0
    partly_tracked: int = 0
    mostly_lost: int = 0
    overlap: float = 0.0

    def __add__(self, other: "Clear") -> "Clear":
        names = [field.name for field in fields(self)]
        return Clear(**{name: getattr(self, name) + getattr(other, name) for name in names})

    @property
    def mota(self) -> float:
        """1 - (misses + false alarms + switches) / objects, in (-inf, 1]; 0 without objects."""
        objects = self.hits + self.misses
        good = self.hits - self.false_alarms - self.switches
        return good / objects if objects else 0.0

    @property
    def motp(self) -> float:
        """Mean IoU of the hits, in [0.5, 1]; 0 without hits."""
        return self.overlap / max(1, self.hits)

    @property
    def recall(self) -> float:
        """The share of the objects that is hit, in [0, 1]."""
        return self.hits / max(1, self.hits + self.misses)

    @property
    def precision(self) -> float:
        """The share of the results that hit, in [0, 1]."""
        return self.hits / max(1, self.hits + self.false_alarms)


def clear(scene: EvalSequence) -> Clear:
    """Score one sequence."""
    truths, results = len(scene.truth_ids), len(scene.result_ids)
    objects = scene.identities[0]
    before = _rows_before(scene)
    matched = _match(scene, before)
    partner = _partners(scene, matched)
    hit = partner >= 0
    found = int(hit.sum())
    began = hit & ~((before >= 0) & hit[before])
    runs = np.bincount(scene.truth_ids[began], minlength=objects)
    seen = np.bincount(scene.truth_ids, minlength=objects)
    share = np.bincount(scene.truth_ids[hit], minlength=objects) / np.maximum(1, seen)
    tracked = int((share > MOSTLY_TRACKED).sum())
    partly = int((share >= MOSTLY_LOST).sum()) - tracked
    return Clear(
        hits=found,
        false_alarms=results - found,
        misses=truths - found,
        switches=len(_switches(scene.truth_ids, partner)),
        fragmentations=int(np.maximum(runs - 1, 0).sum()),
        mostly_tracked=tracked,
        partly_tracked=partly,
        mostly_lost=objects - tracked - partly,
        overlap=float(scene.pairs.similarity[matched].sum()),
    )


def hits(scene: EvalSequence) -> Bools:
    """The pairs in which a result hits an object, a mask (p,) over `scene.pairs`."""
    return _match(scene, _rows_before(scene))


def switches(scene: EvalSequence) -> Ints:
    """The rows of the ground truth, (k,), at which an object is hit by another identity than last.

    They come by object, and by frame within one; `Clear.switches` is their number.
    """
    return _switches(scene.truth_ids, _partners(scene, _match(scene, _rows_before(scene))))


def _partners(scene: EvalSequence, matched: Bools) -> Ints:
    """The result identity that hits each truth, -1 where there is none, (n,)."""
    partner = np.full(len(scene.truth_ids), -1)
    partner[scene.pairs.truth[matched]] = scene.result_ids[scene.pairs.result[matched]]
    return partner


def _rows_before(scene: EvalSequence) -> Ints:
    """For each truth the row of its object in the frame before, -1 if it is not there, (n,).

    Frames without truths or without results are passed over, as in TrackEval.
    """
    truths, results = np.diff(scene.pairs.truth_ptr), np.diff(scene.pairs.result_ptr)
    both = (truths > 0) & (results > 0)  # (F,)
    frame = np.repeat(np.arange(len(both)), truths)  # (n,)
    rows = np.flatnonzero(both[frame])
    order = rows[np.argsort(scene.truth_ids[rows], kind="stable")]
    turn = np.cumsum(both)[frame[order]]
    follows = (np.diff(scene.truth_ids[order]) == 0) & (np.diff(turn) == 1)
    before = np.full(len(frame), -1)
    before[order[1:][follows]] = order[:-1][follows]
    return before


def _match(scene: EvalSequence, before: Ints) -> Bools:
    """The hits, a mask over the pairs (p,)."""
    pairs, ids = scene.pairs, scene.result_ids
    close = np.flatnonzero(pairs.similarity >= OVERLAP - EPSILON)
    rows, columns = pairs.truth[close], pairs.result[close]
    alone = (np.bincount(rows)[rows] == 1) & (np.bincount(columns)[columns] == 1)
    matched = np.zeros(len(pairs.truth), bool)
    matched[close[alone]] = True
    partner = np.full(len(before) + 1, -1)  # the last entry answers for rows that have none before
    partner[rows[alone]] = ids[columns[alone]]

    def weigh(which: Ints) -> Floats:
        similarity = pairs.similarity[which]
        stays = partner[before[pairs.truth[which]]] == ids[pairs.result[which]]
        return np.where(similarity >= OVERLAP - EPSILON, similarity + STAY * stays, 0.0)

    contested = close[~alone]
    rows, columns = pairs.truth[contested], pairs.result[contested]
    number, row, column = contested.tolist(), rows.tolist(), columns.tolist()
    identity, last = ids[columns].tolist(), before[rows].tolist()
    for part in components(rows, columns):  # frame by frame: the frames before are settled
        # What was matched in the frame before outweighs all else, so it is chosen first.
        chosen = [i for i in part if partner[last[i]] == identity[i]]
        taken = {row[i] for i in chosen}
        taken_columns = {column[i] for i in chosen}
        free = [i for i in part if row[i] not in taken and column[i] not in taken_columns]
        if len(free) > 1:
            best = set(settle(pairs, [number[i] for i in free], weigh))
            free = [i for i in free if number[i] in best]
        for i in chosen + free:
            matched[number[i]] = True
            partner[row[i]] = identity[i]
    return matched


def _switches(objects: Ints, partners: Ints) -> Ints:
    """The rows where an object's partner differs from the one it had last, however long ago."""
    hit = np.flatnonzero(partners >= 0)
    order = hit[np.argsort(objects[hit], kind="stable")]  # the rows come by frame
    same = np.diff(objects[order]) == 0
    rows: Ints = order[1:][same & (np.diff(partners[order]) != 0)]
    return rows
