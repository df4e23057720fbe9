"""Whose embedding is whose: the identities of a cache's detections, by ground truth or tracks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mottool.boxes import tlwh_from_xyxy, xyxy_from_tlwh
from mottool.cache.reader import Cache
from mottool.errors import CacheError, InputError
from mottool.metrics.inputs import GroundTruthFile, truth_of
from mottool.metrics.matching import best_matching
from mottool.metrics.pairs import overlapping
from mottool.motchallenge.rows import Rows, read_rows
from mottool.motchallenge.rules import detect_rules, roles

__all__ = ["IdentifiedFrame", "box_of", "named", "who_is_who"]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]

OVERLAP = 0.5  # the IoU from which a detection is that of a row


class IdentifiedFrame(NamedTuple):
    """Detections of one frame: its number, identities (n,), -1 unknown, embeddings (n, D)."""

    frame: int
    ids: Ints
    embeddings: npt.NDArray[np.float32]


def named(cache: Cache, rows: Rows | None) -> Iterator[IdentifiedFrame]:
    """Every frame of an open cache, each detection with the identity of the row it lies on.

    In each frame detections and rows are matched one to one so that their summed IoU is largest,
    each of 0.5 or more; without rows nobody is known. A `CacheError` if the cache has no
    embeddings.
    """
    if cache.detection_count and not cache.has_embeddings:
        fix = "make them with detect-embed, with a pipeline of the form DETECTOR+EMBEDDER"
        raise CacheError(f"{cache.path} has no embeddings", fix)
    ids = _identities(cache, rows) if rows else np.full(cache.detection_count, -1)
    start = 0
    for number, detections in enumerate(cache.frames(), 1):
        stop = start + len(detections)
        if detections.embeddings is not None:
            yield IdentifiedFrame(number, ids[start:stop], detections.embeddings)
        start = stop


def _identities(cache: Cache, rows: Rows) -> Ints:
    """The identity of every detection of a cache, (N,), -1 where there is none."""
    order = np.argsort(rows.frames, kind="stable")
    boxes = [detections.boxes.astype(np.float64) for detections in cache.frames()]
    frames = np.repeat(np.arange(1, len(boxes) + 1), [len(frame) for frame in boxes])  # (N,)
    corners = np.concatenate([np.zeros((0, 4)), *boxes])
    tlwh = np.asarray(tlwh_from_xyxy(corners), np.float64)
    pairs = overlapping(rows.frames[order], rows.tlwh[order], frames, tlwh)
    matched = best_matching(pairs, np.where(pairs.similarity >= OVERLAP, pairs.similarity, 0.0))
    ids = np.full(len(frames), -1)
    ids[pairs.result[matched]] = rows.ids[order][pairs.truth[matched]]
    return ids


def who_is_who(
    sequence: str, truths: dict[str, GroundTruthFile], tracks: Path | None
) -> Rows | None:
    """The rows of a sequence: of `tracks`, a result file or a folder of them, or of ground truth.

    Of the ground truth only those that count by the rules that fit; None if there is neither.
    Raises `InputError` if there is none of this sequence.
    """
    if tracks:
        return read_rows(tracks if tracks.is_file() else tracks / f"{sequence}.txt", "result")
    if not truths:
        return None
    rows = read_rows(truth_of(sequence, truths).path, "ground truth")
    counts, _ = roles(rows, detect_rules(sequence, rows), sequence)
    return Rows(rows.frames[counts], rows.ids[counts], rows.tlwh[counts], rows.rest[counts])


def box_of(rows: Rows, identity: int, frame: int) -> Floats:
    """The box (4,) x1 y1 x2 y2 of an identity in a frame; an `InputError` if it is not there."""
    own = (rows.ids == identity) & (rows.frames == frame)
    if not own.any():
        there = ", ".join(map(str, np.unique(rows.ids[rows.frames == frame]).tolist()))
        fix = f"choose one of those who are: {there}" if there else "choose another frame"
        raise InputError(f"identity {identity} is not in frame {frame}", fix)
    return xyxy_from_tlwh(rows.tlwh[own][0])
