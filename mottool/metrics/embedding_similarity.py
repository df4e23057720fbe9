"""Cosine similarity of embeddings: of identities, of two frames, of tracklets and a frame."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mottool.cache.reader import Cache
from mottool.errors import InputError
from mottool.metrics.identity_matching import IdentifiedFrame, identify_detections, lowest_embedded
from mottool.motchallenge.rows import Rows

__all__ = [
    "FrameTemplates",
    "SimilarityMatrix",
    "between_frames",
    "count_people",
    "of_people",
    "of_tracklets",
    "templates_of",
]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]

SMOOTHING = 0.9  # weight of the previous embedding in the running mean, as in JDE and FairMOT


class SimilarityMatrix(NamedTuple):
    """Cosines (r, c) and the identities (r,) and (c,) of rows and columns, -1 where unknown."""

    cosines: Floats
    rows: Ints
    columns: Ints


class FrameTemplates(NamedTuple):
    """The detections of a frame and the templates of the tracklets before it, of unit length.

    `embeddings` (n, D) with identities `ids` (n,), -1 where unknown; `templates` (t, D) of the
    `tracklets` (t,), which are sorted.
    """

    embeddings: Floats
    ids: Ints
    templates: Floats
    tracklets: Ints


def of_people(
    cache: Cache, rows: Rows, people: int | None, samples: int, fewest: int = 2
) -> tuple[npt.NDArray[np.float32], Ints]:
    """Return embeddings (k, D) and identities (k,) of the `people` with the most detections.

    Takes at most `samples` of each, evenly over time. None for `people` takes all. Raises
    `InputError` with fewer than `fewest`.
    """
    frames = list(identify_detections(cache, rows))
    ids = np.concatenate([np.zeros(0, np.int64), *(frame.ids for frame in frames)])  # (n,)
    identities, counts = np.unique(ids[ids >= 0], return_counts=True)
    if len(identities) < fewest:
        problem = f"fewer than two people match detections of {cache.path}"
        raise InputError(problem, "give the ground truth or tracks of this very sequence")
    chosen = [np.zeros(0, np.int64)]
    for identity in identities[np.argsort(-counts, kind="stable")][:people].tolist():
        indices = np.flatnonzero(ids == identity)
        steps = np.linspace(0, len(indices) - 1, min(samples, len(indices)))
        chosen.append(indices[steps.astype(int)])
    kept = np.sort(np.concatenate(chosen))
    if not len(kept):
        return np.zeros((0, 0), np.float32), ids[kept]
    return np.concatenate([frame.embeddings for frame in frames])[kept], ids[kept]


def count_people(cache: Cache, rows: Rows) -> int:
    """Return the number of identities in `rows` that match detections of an open cache."""
    matched = [frame.ids[frame.ids >= 0] for frame in identify_detections(cache, rows)]
    return len(np.unique(np.concatenate([np.zeros(0, np.int64), *matched])))


def between_frames(
    cache: Cache, rows: Rows | None, pair: tuple[int, int], min_score: float = 0.0
) -> SimilarityMatrix:
    """Compare the detections of two frames that score at least `min_score`.

    Without `rows` the detections are in order from left to right. Raises `InputError` if one of the
    frames has none.
    """
    frames = {
        frame.frame: frame for frame in identify_detections(cache, rows) if frame.frame in pair
    }
    for number in pair:
        if number not in frames or not len(frames[number].ids):
            problem = f"{cache.path} has no detection in frame {number}"
            raise InputError(problem, "choose another frame")
    first, second = (_above(cache, frames[number], min_score) for number in pair)
    matrix = SimilarityMatrix(first.embeddings @ second.embeddings.T, first.ids, second.ids)
    if rows is not None:
        return matrix
    order, other = (np.argsort(frame.boxes[:, [0, 2]].sum(axis=1)) for frame in (first, second))
    return matrix._replace(cosines=matrix.cosines[order][:, other])


def _above(cache: Cache, frame: IdentifiedFrame, min_score: float) -> IdentifiedFrame:
    """Return the embedded detections that score at least `min_score`.

    Raises `InputError` if there are none.
    """
    min_score = max(min_score, lowest_embedded(cache))
    kept = frame.above(min_score)
    if not len(kept.ids):
        problem = f"{cache.path} has no detection above {min_score:g} in frame {frame.frame}"
        raise InputError(problem, "choose another frame, or a lower --min-score")
    return kept


def of_tracklets(
    cache: Cache, rows: Rows, number: int, memory: int, min_score: float = 0.0
) -> SimilarityMatrix:
    """Compare tracklets before frame `number` with its detections; otherwise as `templates_of`."""
    frame = templates_of(cache, rows, number, memory, min_score)
    return SimilarityMatrix(frame.templates @ frame.embeddings.T, frame.tracklets, frame.ids)


def templates_of(
    cache: Cache, rows: Rows, number: int, memory: int, min_score: float = 0.0
) -> FrameTemplates:
    """Return the detections of frame `number` and the templates of the tracklets before it.

    Detections that score below `min_score` are left out. A tracklet's template is the running mean
    of its embeddings, with weight 0.9 of the previous one (CSTrack, Eq. 11). Tracklets unmatched
    for more than `memory` frames are omitted. Raises `InputError` if either side is empty.
    """
    means: dict[int, Floats] = {}
    last_frames: dict[int, int] = {}
    for frame in identify_detections(cache, rows):
        if frame.frame >= number:
            break
        kept = frame.above(max(min_score, lowest_embedded(cache)))
        for identity, embedding in zip(kept.ids.tolist(), kept.embeddings, strict=True):
            mean = SMOOTHING * means.get(identity, embedding) + (1 - SMOOTHING) * embedding
            means[identity], last_frames[identity] = mean / np.linalg.norm(mean), frame.frame
    recent = sorted(i for i in means if i >= 0 and number - last_frames[i] <= memory)
    if number > cache.last_frame or not recent or not len(frame.ids):
        problem = f"{cache.path} has no tracklets before frame {number}, or no detection in it"
        raise InputError(problem, "choose another frame")
    frame = _above(cache, frame, min_score)
    templates = np.array([means[identity] for identity in recent])  # (t, D)
    return FrameTemplates(frame.embeddings, frame.ids, templates, np.array(recent))
