"""Identities of a cache's detections, assigned from ground truth or tracks."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mottool.boxes import tlwh_from_xyxy, xyxy_from_tlwh
from mottool.cache.layout import EMBED_MIN_SCORE
from mottool.cache.reader import Cache
from mottool.errors import CacheError, InputError
from mottool.metrics.ground_truth import load_ground_truth
from mottool.metrics.ground_truth_files import GroundTruthFile, get_ground_truth
from mottool.metrics.inputs import find_result
from mottool.metrics.matching import best_matching
from mottool.metrics.pairs import overlapping
from mottool.motchallenge.rows import Rows, read_rows
from mottool.motchallenge.rules import scored_and_ignored

__all__ = [
    "IdentifiedFrame",
    "box_of",
    "find_identity_rows",
    "identify_detections",
    "lowest_embedded",
]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]

MIN_IOU = 0.5  # of a detection that is matched with a row


class IdentifiedFrame(NamedTuple):
    """Detections of one frame: its number, identities (n,), -1 unknown, embeddings (n, D).

    `boxes` (n, 4) are x1 y1 x2 y2 in pixels, and `scores` (n,) are in [0, 1].
    """

    frame: int
    ids: Ints
    embeddings: npt.NDArray[np.float32]
    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]

    def above(self, min_score: float) -> "IdentifiedFrame":
        """Return the detections that score at least `min_score`."""
        keep = self.scores >= np.float32(min_score)
        return IdentifiedFrame(
            self.frame, self.ids[keep], self.embeddings[keep], self.boxes[keep], self.scores[keep]
        )


def identify_detections(cache: Cache, rows: Rows | None) -> Iterator[IdentifiedFrame]:
    """Yield every frame of an open cache, each detection with the identity of its matched row.

    In each frame detections and rows are matched one to one so that their summed IoU is largest,
    each of 0.5 or more. Without rows all identities are unknown, and so are those of boxes that
    were not embedded. Raises `CacheError` for a cache without embeddings.
    """
    if cache.detection_count and not cache.has_embeddings:
        fix = "make them with detect-embed, with a pipeline of the form DETECTOR+EMBEDDER"
        raise CacheError(f"{cache.path} has no embeddings", fix)
    ids = _identities(cache, rows) if rows else np.full(cache.detection_count, -1)
    embedded_from, start = lowest_embedded(cache), 0
    for number, detections in enumerate(cache.frames(), cache.first_frame):
        stop = start + len(detections)
        if detections.embeddings is not None:
            embedded = detections.scores >= np.float32(embedded_from)
            known = np.where(embedded, ids[start:stop], -1)
            columns = detections.embeddings, detections.boxes, detections.scores
            yield IdentifiedFrame(number, known, *columns)
        start = stop


def lowest_embedded(cache: Cache) -> float:
    """Return the score below which the boxes of a cache were not embedded."""
    return float(cache.header.settings.get(EMBED_MIN_SCORE, 0.0))


def _identities(cache: Cache, rows: Rows) -> Ints:
    """Return the identity of every detection of a cache, (N,), -1 if unmatched."""
    rows = rows.select(np.argsort(rows.frames, kind="stable"))
    boxes = [detections.boxes.astype(np.float64) for detections in cache.frames()]
    numbers = cache.first_frame + np.arange(len(boxes))
    frames = np.repeat(numbers, [len(frame) for frame in boxes])  # (N,)
    corners = np.concatenate([np.zeros((0, 4)), *boxes])
    tlwh = np.asarray(tlwh_from_xyxy(corners), np.float64)
    pairs = overlapping(rows.frames, rows.tlwh, frames, tlwh)
    matched = best_matching(pairs, np.where(pairs.similarity >= MIN_IOU, pairs.similarity, 0.0))
    ids = np.full(len(frames), -1)
    ids[pairs.result[matched]] = rows.ids[pairs.truth[matched]]
    return ids


def find_identity_rows(
    sequence: str, ground_truth_files: Mapping[str, GroundTruthFile], tracks: Path | None
) -> Rows | None:
    """Read the rows of a sequence: of `tracks`, a result file or folder, or of ground truth.

    Ground truth is limited to the rows that are scored by the rules that fit. Returns None if
    there is neither. Raises `InputError` if there is none of this sequence.
    """
    if tracks:
        return read_rows(find_result(tracks, sequence), "result")
    if not ground_truth_files:
        return None
    ground_truth = load_ground_truth(get_ground_truth(sequence, ground_truth_files), sequence)
    scored, _ = scored_and_ignored(ground_truth.rows, ground_truth.rules, sequence)
    return ground_truth.rows.select(scored)


def box_of(rows: Rows, identity: int, frame: int) -> Floats:
    """Return the box (4,) x1 y1 x2 y2 of an identity in a frame; raise `InputError` without one."""
    in_frame = rows.select(rows.frames == frame)
    boxes = in_frame.tlwh[in_frame.ids == identity]
    if not len(boxes):
        present = ", ".join(map(str, np.unique(in_frame.ids).tolist()))
        fix = f"choose one of {present}" if present else "choose another frame"
        raise InputError(f"identity {identity} is not in frame {frame}", fix)
    return xyxy_from_tlwh(boxes[0])
