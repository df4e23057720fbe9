"""Output formats of exported detectors that are rows of one table, known by their values."""

import numpy as np

from mottool.pipelines.detectors.output_arrays import (
    LARGEST_FRACTION,
    Array,
    Outputs,
    ScoredBoxes,
    Size,
    are_cells,
    decode_centres,
    rows_of,
    table_of,
)

__all__ = [
    "decode_detr_rows",
    "decode_end_to_end",
    "decode_image_rows",
    "is_detr_rows",
    "is_end_to_end",
    "is_image_rows",
]

WITH_MASKS_OR_POINTS = (6 + 32, 6 + 17 * 3)  # coefficients of a mask, or COCO's key points
IMAGE_COLUMNS = 7  # image, box, class and score


def is_end_to_end(outputs: Outputs, size: Size) -> bool:
    """Recognise rows (n, 6) by their values: corners of boxes, scores in [0, 1], whole classes.

    Masks or key points may follow. Rows of one negative number are empty, as those of score 0.
    """
    table = table_of(outputs)
    if table is None or table.shape[1] < 6 or table.shape[1] == IMAGE_COLUMNS:
        return False
    if table.shape[1] not in {6, *WITH_MASKS_OR_POINTS} and not (table[:, 4] > 0).any():
        return False
    if table.shape[1] > 6 and (are_cells(len(table), size) or are_cells(len(table), size, 3)):
        return False
    negative, people = table[table[:, 4] < 0], table[table[:, 4] > 0]
    padded = (negative == negative[:, :1]).all()
    ordered = (people[:, 2:4] >= people[:, :2]).all()
    probable = (people[:, 4] <= 1).all() and _are_classes(people[:, 5])
    return bool(padded and ordered and probable)


def _are_classes(values: Array) -> bool:
    return bool((values >= 0).all() and (values == np.rint(values)).all())


def decode_end_to_end(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode rows (n, 6): box, score, class (Ultralytics' exports with NMS, YOLO26, DeepStream)."""
    rows = rows_of(outputs)
    rows = rows[rows[:, 5] == person]
    return ScoredBoxes(rows[:, :4], rows[:, 4])


def is_image_rows(outputs: Outputs, size: Size) -> bool:
    """Recognise rows (n, 7) by their values: image, corners of a box, a class and a score."""
    table = table_of(outputs)
    if table is None or table.shape[1] != IMAGE_COLUMNS or are_cells(len(table), size):
        return False
    ordered = (table[:, 3:5] >= table[:, 1:3]).all()
    scores = table[:, 11 - _class_column(table)]
    of_image = (table[:, 0] == 0).all() and _are_classes(table[:, _class_column(table)])
    return bool(ordered and of_image and (scores >= 0).all() and (scores <= 1).all())


def _class_column(table: Array) -> int:
    """Return the column of classes in rows (n, 7): YOLOv7's precede the scores."""
    return 5 if _are_classes(table[:, 5]) else 6


def decode_image_rows(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode rows (n, 7): image, box, and class and score in either order."""
    rows = rows_of(outputs)
    column = _class_column(rows)
    rows = rows[rows[:, column] == person]
    return ScoredBoxes(rows[:, 1:5], rows[:, 11 - column])


def is_detr_rows(outputs: Outputs, size: Size) -> bool:
    """Recognise rows (n, 4 + classes) of values that are all in [0, 1]."""
    table = table_of(outputs)
    if table is None or len(table) < 2 or table.shape[1] <= 4 or are_cells(len(table), size):
        return False
    return bool(table.min() >= 0 and 0 < table.max() <= LARGEST_FRACTION)


def decode_detr_rows(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode rows (n, 4 + classes): centre and size in [0, 1], scores (Ultralytics')."""
    rows = rows_of(outputs)
    rows[:, :4] *= np.array([*size, *size], np.float32)
    return decode_centres(rows, person)
