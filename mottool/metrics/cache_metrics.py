"""What a cache shows against ground truth, and the figures of one sequence or several.

Detections are judged as PASCAL does (`mottool.metrics.detection`), people a benchmark scores
neither way being its difficult ones. Embeddings are judged where the boxes are the ground truth's
own (`detect-embed --boxes gt`): elsewhere a detector would choose whom they are asked about.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.boxes import xyxy_from_tlwh
from mottool.cache.reader import Cache
from mottool.detections import PERSON, Detections
from mottool.metrics.detection import FAIRMOT, SIZES, average_precision, claims, size_of
from mottool.metrics.reid import halves, search, true_positive_rate
from mottool.motchallenge.rows import Rows
from mottool.motchallenge.rules import roles

__all__ = ["CacheMatches", "figures", "find"]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

TRUE_BOXES = "gt"  # the detector whose boxes are the ground truth's


@dataclass(frozen=True)
class CacheMatches:
    """What one sequence shows: n detections of people, of the m who were to be found.

    `scores` (n,), `right` (n,) bool, and `sizes` (n,), the size of the person who is meant, or of
    the box where nobody is: places in `SIZES`. `truths` (3,) counts the people of each size.
    Of k embeddings at true boxes, k = 0 without any: `embeddings` (k, D), `identities` (k,),
    `embedding_sizes` (k,), and of those that are queries `rank_1` and `precision` (q,).
    """

    scores: Floats
    right: Bools
    sizes: npt.NDArray[np.intp]
    truths: Ints
    embeddings: Floats
    identities: Ints
    embedding_sizes: npt.NDArray[np.intp]
    rank_1: Floats
    precision: Floats


def find(
    cache: Cache,
    truth: Rows,
    rules: str,
    limits: tuple[float, float] = FAIRMOT,
    warn: Callable[[str], None] = lambda told: None,
) -> CacheMatches:
    """Hold an open cache against the ground truth of its sequence, by a benchmark's rules.

    `limits` in square pixels divide small, medium and large. `warn` hears of ground truth after
    the last frame. Raises `InputError` as `roles` does, `CacheError` for a damaged file.
    """
    people = _People(truth, roles(truth, rules, cache.header.sequence), limits)
    late = people.after(cache.frame_count)
    if late:
        warn(f"{cache.path} ends at frame {cache.frame_count}: {late} later people are missed")
    asked = cache.has_embeddings and cache.header.pipeline.split("+")[0] == TRUE_BOXES
    size = cache.embedding_size if asked else 0
    none = np.zeros(0, np.float32), np.zeros(0, np.bool_), np.zeros(0, np.intp)
    judged = [none]
    known = [(np.zeros((0, size), np.float32), np.zeros(0, np.int64), np.zeros(0, np.intp))]
    for number, found in enumerate(cache.frames(), 1):
        shown = found.take(found.classes == PERSON)
        row, first = people.meant(number, shown)
        counted = ~people.ignored[row] | (row < 0)
        own = size_of((shown.boxes[:, 2:] - shown.boxes[:, :2]).prod(axis=1), limits)
        own = np.where(row < 0, own, people.sizes[row])
        judged.append((shown.scores[counted], first[counted], own[counted]))
        if asked and shown.embeddings is not None:
            true = first & counted
            known.append((shown.embeddings[true], people.ids[row[true]], people.sizes[row[true]]))
    scores, right, sizes = map(np.concatenate, zip(*judged, strict=True))
    embeddings, who, their_sizes = map(np.concatenate, zip(*known, strict=True))
    query = halves(who)
    ranked = search(embeddings[query], who[query], embeddings[~query], who[~query])
    truths = people.truths
    return CacheMatches(scores, right, sizes, truths, embeddings, who, their_sizes, *ranked)


class _People:
    """The ground truth of a sequence by frame: who is to be found, and who counts neither way.

    The last row is nobody's, so that row -1 may be asked for.
    """

    def __init__(
        self, truth: Rows, roles: tuple[Bools, Bools], limits: tuple[float, float]
    ) -> None:
        counts, distracts = roles
        keep = np.flatnonzero(counts | distracts)
        keep = keep[np.argsort(truth.frames[keep], kind="stable")]
        self.frames, self.boxes = truth.frames[keep], xyxy_from_tlwh(truth.tlwh[keep])
        self.ids = np.append(truth.ids[keep], -1)  # (t + 1,)
        self.ignored = np.append(~counts[keep], False)
        self.sizes = np.append(size_of(truth.tlwh[keep, 2] * truth.tlwh[keep, 3], limits), 0)
        self.truths = np.bincount(self.sizes[:-1][~self.ignored[:-1]], minlength=len(SIZES))

    def after(self, frame: int) -> int:
        """How many are to be found after a frame."""
        return int(np.count_nonzero(~self.ignored[:-1][self.frames > frame]))

    def meant(self, frame: int, shown: Detections) -> tuple[npt.NDArray[np.intp], Bools]:
        """The row that each detection of a frame means, or -1, and whether it is the first."""
        start, stop = np.searchsorted(self.frames, [frame, frame + 1])
        whom, first = claims(shown.boxes, shown.scores, self.boxes[start:stop])
        return np.where(whom < 0, -1, start + whom), first


def figures(
    finds: Sequence[CacheMatches],
    min_score: float,
    times: npt.NDArray[np.int64] | None = None,
) -> dict[str, float]:
    """The figures of some sequences together, as fractions; what is undefined is left out.

    `AP`, `AP_S`, `AP_M`, `AP_L` at an IoU of 0.5; `Rcll` and `Prcn` of the detections that score
    at least `min_score`; at true boxes `TPR` at a false accept rate of 0.1, by size too, and
    `Rank1` and `mAP`, each query searching its own sequence. `times` (s,) says how often each
    sequence counts; TPR, which compares people of different sequences, is then left out.
    """
    each = np.ones(len(finds)) if times is None else times.astype(float)
    weight = np.repeat(each, [len(one.scores) for one in finds])  # (n,)
    scores, right, sizes = (
        np.concatenate([getattr(one, name) for one in finds])
        for name in ("scores", "right", "sizes")
    )
    truths = np.sum([number * one.truths for number, one in zip(each, finds, strict=True)], axis=0)
    told = {"AP": average_precision(scores, right, truths.sum(), weight)}
    for place, size in enumerate(SIZES):
        own = sizes == place
        if truths[place]:
            found = average_precision(scores[own], right[own], truths[place], weight[own])
            told[f"AP_{size}"] = found
    sure = weight * (scores >= min_score)
    hit = float(sure[right].sum())
    told |= {"Rcll": hit / max(truths.sum(), 1), "Prcn": hit / max(float(sure.sum()), 1)}
    if times is None:
        told |= _told_apart(finds)
    for name, of in (("Rank1", "rank_1"), ("mAP", "precision")):
        values = np.concatenate([getattr(one, of) for one in finds])
        asked = np.repeat(each, [len(getattr(one, of)) for one in finds]) * ~np.isnan(values)
        if asked.sum():
            told[name] = float((np.nan_to_num(values) * asked).sum() / asked.sum())
    return told


def _told_apart(finds: Sequence[CacheMatches]) -> dict[str, float]:
    """The true positive rates of all and of each size; nobody is in two sequences."""
    seen = [one for one in finds if len(one.identities)]
    if len({one.embeddings.shape[1] for one in seen}) != 1:
        return {}
    identities = np.concatenate(_apart(seen))
    embeddings = np.concatenate([one.embeddings for one in seen])
    sizes = np.concatenate([one.embedding_sizes for one in seen])
    rates = {"TPR": true_positive_rate(embeddings, identities)}
    for place, size in enumerate(SIZES):
        own = sizes == place
        rates[f"TPR_{size}"] = true_positive_rate(embeddings[own], identities[own])
    return {name: rate for name, rate in rates.items() if not np.isnan(rate)}


def _apart(finds: Sequence[CacheMatches]) -> list[Ints]:
    """The identities of each sequence, (k,), renumbered so that none is in two."""
    told: list[Ints] = []
    known = 0
    for one in finds:
        names, place = np.unique(one.identities, return_inverse=True)
        told.append(place + known)
        known += len(names)
    return told
