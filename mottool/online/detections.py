"""Convert arrays and `supervision.Detections` to the detections of a frame, and tracks back."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mottool.association.tracks import Tracks
from mottool.boxes import iou
from mottool.detections import PERSON, Detections
from mottool.errors import SettingError

if TYPE_CHECKING:
    import supervision

__all__ = ["as_detections", "as_supervision", "is_supervision"]

BOXES_FIX = "give an array (N, 5) of x1, y1, x2, y2, score, or (N, 6) with the class too"


def is_supervision(detections: object) -> bool:
    """Return whether an object is a `supervision.Detections`, without importing supervision."""
    package: Any = sys.modules.get("supervision")
    return package is not None and isinstance(detections, package.Detections)


def as_detections(
    detections: Any,
    embeddings: npt.ArrayLike | None = None,
    offsets: npt.ArrayLike | None = None,
    occlusion_centres: npt.ArrayLike | None = None,
    camera_motion: npt.ArrayLike | None = None,
) -> Detections:
    """Convert what `Tracker.update` accepts to the `Detections` of a frame, and check it.

    Raises `SettingError`, which names the argument, for a wrong shape or for values that are not
    finite.
    """
    if isinstance(detections, Detections):
        given = (embeddings, offsets, occlusion_centres, camera_motion)
        if any(values is not None for values in given):
            problem = "detections is a mottool.Detections, which holds the other arguments"
            raise SettingError(problem, "set them there, or give an array of boxes")
        return detections
    boxes, scores, classes = (
        _from_supervision(detections) if is_supervision(detections) else _from_array(detections)
    )
    if ((scores < 0) | (scores > 1)).any():
        raise SettingError("detections has a score outside of 0 to 1", BOXES_FIX)
    count = len(boxes)
    moved = None if offsets is None else _rows("offsets", offsets, count, 2)
    empty = np.zeros((0, 3))
    centres = empty if occlusion_centres is None else np.asarray(occlusion_centres)
    return Detections(
        boxes,
        scores,
        classes,
        None if embeddings is None else _rows("embeddings", embeddings, count, None),
        _rows("occlusion_centres", centres, len(centres), 3),
        None if moved is None else (boxes[:, :2] + boxes[:, 2:]) / 2,
        moved,
        camera_motion=None if camera_motion is None else _warp(camera_motion),
    )


def _warp(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return a map (2, 3) of pixels; raise `SettingError` if it is not one."""
    warp = np.asarray(values, np.float64)
    if warp.shape != (2, 3) or not np.isfinite(warp).all():
        fix = "give what mottool.SparseFlowMotion returns for the frame"
        raise SettingError("camera_motion is not an array (2, 3) of finite numbers", fix)
    return warp


def _from_array(array: Any) -> tuple[Any, Any, Any]:
    """Return the boxes (n, 4), scores (n,) and classes (n,) in the columns of an array."""
    table = _floats("detections", array, BOXES_FIX)
    if not table.size:
        table = np.zeros((0, 5), np.float32)
    if table.ndim != 2 or table.shape[1] not in (5, 6):
        raise SettingError(f"detections has the shape {table.shape}", BOXES_FIX)
    classes = table[:, 5] if table.shape[1] == 6 else np.full(len(table), PERSON)
    if ((classes < 0) | (classes % 1 != 0)).any():
        raise SettingError("detections has a class that is not a number from 0 on", BOXES_FIX)
    return table[:, :4], table[:, 4], classes.astype(np.uint16)


def _from_supervision(detections: Any) -> tuple[Any, Any, Any]:
    """Return the same of `supervision.Detections`, which may lack scores and classes."""
    fix = "give supervision.Detections of one image"
    boxes, count = _floats("detections.xyxy", detections.xyxy, fix), len(detections.xyxy)
    confidence, class_id = detections.confidence, detections.class_id
    scores = np.ones(count) if confidence is None else confidence
    classes = np.full(count, PERSON) if class_id is None else np.maximum(class_id, 0)
    scores = _floats("detections.confidence", scores, fix)
    return boxes, scores, classes.astype(np.uint16)


def _rows(name: str, values: npt.ArrayLike, count: int, width: int | None) -> Any:
    """Return an argument as float32 (count, width); raise `SettingError` for another shape."""
    fix = f"give an array ({'N' if name != 'occlusion_centres' else 'K'}, {width or 'D'})"
    rows = _floats(name, values, fix)
    if not count and not rows.size:
        return np.zeros((0, width or 0), np.float32)
    if rows.ndim != 2 or len(rows) != count or width not in (None, rows.shape[1]):
        raise SettingError(f"{name} has the shape {rows.shape} for {count} rows", fix)
    return rows


def _floats(name: str, values: npt.ArrayLike, fix: str) -> npt.NDArray[np.float32]:
    """Return an argument as float32; raise `SettingError` if it is not numbers, or not finite."""
    try:
        floats = np.asarray(values, np.float32)
    except (TypeError, ValueError) as error:
        raise SettingError(f"{name} is not an array of numbers", fix) from error
    if not np.isfinite(floats).all():
        raise SettingError(f"{name} holds NaN or infinity", "remove these rows")
    return floats


def as_supervision(
    tracks: Tracks, detections: supervision.Detections | None = None
) -> supervision.Detections:
    """Convert the tracks of a frame to `supervision.Detections` with `tracker_id`.

    Classes and `data` are those of the detection in the same frame with the highest IoU; without
    `detections` the class is that of people.
    """
    import supervision

    boxes = tracks.boxes.astype(np.float32)
    if detections is None or not len(detections) or not len(tracks):
        data: Any = {}
        class_id: Any = np.full(len(tracks), PERSON)
    else:
        nearest = iou(boxes, detections.xyxy.astype(np.float32)).argmax(axis=1)  # (m,)
        chosen: Any = detections[nearest]
        data, class_id = dict(chosen.data), chosen.class_id
    return supervision.Detections(
        xyxy=boxes,
        confidence=tracks.scores.astype(np.float32),
        class_id=class_id,
        tracker_id=tracks.ids,
        data=data,
    )
