"""How like each other embeddings are: of chosen people, of two frames, of tracklets and a frame."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mottool.cache.reader import Cache
from mottool.errors import InputError
from mottool.metrics.identity_matching import named
from mottool.motchallenge.rows import Rows

__all__ = ["SimilarityMatrix", "between_frames", "of_people", "of_tracklets"]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]

SMOOTH = 0.9  # share of the old in a tracklet's running embedding: JDE's and FairMOT's


class SimilarityMatrix(NamedTuple):
    """Cosines (r, c) and the identities (r,) and (c,) of their two sides, -1 where unknown."""

    cosines: Floats
    rows: Ints
    columns: Ints


def of_people(
    cache: Cache, rows: Rows, people: int, samples: int
) -> tuple[npt.NDArray[np.float32], Ints]:
    """Embeddings (k, D) and identities (k,) of those `people` who are detected most.

    Of each at most `samples`, evenly over time. An `InputError` with fewer than two people.
    """
    frames = list(named(cache, rows))
    ids = np.concatenate([np.zeros(0, np.int64), *(frame.ids for frame in frames)])  # (n,)
    met, counts = np.unique(ids[ids >= 0], return_counts=True)
    if len(met) < 2:
        problem = f"fewer than two people lie on the detections of {cache.path}"
        raise InputError(problem, "give the ground truth or tracks of this very sequence")
    chosen = []
    for person in met[np.argsort(-counts, kind="stable")][:people].tolist():
        own = np.flatnonzero(ids == person)
        chosen.append(own[np.linspace(0, len(own) - 1, min(samples, len(own))).astype(int)])
    kept = np.sort(np.concatenate(chosen))
    return np.concatenate([frame.embeddings for frame in frames])[kept], ids[kept]


def between_frames(cache: Cache, rows: Rows | None, pair: tuple[int, int]) -> SimilarityMatrix:
    """The detections of two frames; an `InputError` if one of them has none."""
    found = {each.frame: each for each in named(cache, rows) if each.frame in pair}
    for number in pair:
        if number not in found or not len(found[number].ids):
            problem = f"{cache.path} has no detection in frame {number}"
            raise InputError(problem, "choose another frame")
    first, second = (found[number] for number in pair)
    return SimilarityMatrix(first.embeddings @ second.embeddings.T, first.ids, second.ids)


def of_tracklets(cache: Cache, rows: Rows, number: int, memory: int) -> SimilarityMatrix:
    """Tracklets before frame `number` and its detections.

    A tracklet's embedding is the running mean of its detections', the old one weighing 0.9; those
    not seen for more than `memory` frames are left out. An `InputError` if either side is empty.
    """
    means: dict[int, Floats] = {}
    seen: dict[int, int] = {}
    for frame in named(cache, rows):
        if frame.frame >= number:
            break
        for identity, embedding in zip(frame.ids.tolist(), frame.embeddings, strict=True):
            mean = SMOOTH * means.get(identity, embedding) + (1 - SMOOTH) * embedding
            means[identity], seen[identity] = mean / np.linalg.norm(mean), frame.frame
    lately = sorted(i for i in means if i >= 0 and number - seen[i] <= memory)
    if number > cache.frame_count or not lately or not len(frame.ids):
        problem = f"{cache.path} has no tracklets before frame {number}, or no detection in it"
        raise InputError(problem, "choose another frame")
    tracklets = np.array([means[identity] for identity in lately])  # (t, D)
    return SimilarityMatrix(tracklets @ frame.embeddings.T, np.array(lately), frame.ids)
