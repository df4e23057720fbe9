"""Output formats of exported detectors: how each is recognised and decoded.

A format is recognised by the names, shapes and values of the outputs for one image; see
`output_reader` for the choice between formats of the same shape. All but SSD's may have a leading
axis of 1 for the image.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mottool.pipelines.detectors.output_arrays import (
    LARGEST_FRACTION,
    Array,
    Floats,
    Outputs,
    ScoredBoxes,
    Size,
    are_cells,
    boxes_first,
    cell_count,
    decode_centres,
    grid,
    named_output,
    rows_of,
    table_of,
)
from mottool.pipelines.detectors.output_rows import (
    decode_detr_rows,
    decode_end_to_end,
    decode_image_rows,
    is_detr_rows,
    is_end_to_end,
    is_image_rows,
)

__all__ = ["LARGEST_FRACTION", "OUTPUT_FORMATS", "OutputFormat", "Outputs", "ScoredBoxes", "Size"]

COCO_CATEGORIES = 91  # with the numbers that COCO leaves out


@dataclass(frozen=True)
class OutputFormat:
    """How the outputs of an exported detector encode boxes.

    `matches` recognises outputs for an input of a size, and `decode` returns the boxes of a class.
    With `background_class`, class 0 is the background and people are class 1, otherwise 0. With
    `needs_nms`, the network does not suppress overlapping boxes itself. With
    `may_be_relative`, boxes that are all in [0, 1] are relative to the sides of the input.
    `classes` returns the classes of the boxes, if they may count from 0 in spite of
    `background_class`. `key` is the name of the format on the command line.
    """

    name: str
    matches: Callable[[Outputs, Size], bool]
    decode: Callable[[Outputs, Size, int], ScoredBoxes]
    background_class: bool = False
    needs_nms: bool = False
    may_be_relative: bool = False
    classes: Callable[[Outputs], Array] | None = None
    key: str = ""

    def counts_from_zero(self, outputs: Outputs) -> bool:
        """Return whether a box has class 0, which then is no background."""
        return self.classes is not None and bool((self.classes(outputs) == 0).any())


def _is_yolox(outputs: Outputs, size: Size) -> bool:
    arrays = list(outputs.values())
    if len(arrays) != 1 or arrays[0].ndim not in {2, 3} or arrays[0].shape[-1] <= 5:
        return False
    return bool(arrays[0].size // arrays[0].shape[-1] == cell_count(size))


def _decode_yolox(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode rows (N, 5 + classes): centre, size, objectness, classes (YOLOX §2.1).

    A network exported without decoding outputs the centre relative to the corner of its cell, and
    the logarithms of the sides, both in strides. Then no centre is far from 0, while decoded
    centres extend over the image.
    """
    rows = rows_of(outputs)
    centre, sides = rows[:, :2], rows[:, 2:4]
    if centre[:, 0].max() < size[0] / 2:
        corner, stride = grid(size)
        centre, sides = (centre + corner) * stride, np.exp(sides) * stride
    boxes = np.concatenate((centre - sides / 2, centre + sides / 2), axis=1)
    return ScoredBoxes(boxes.astype(np.float32), rows[:, 4] * rows[:, 5 + person])


def _is_yolov8(outputs: Outputs, size: Size) -> bool:
    table = table_of(outputs)
    return table is not None and len(table) > 4 and are_cells(table.shape[1], size)


def _decode_yolov8(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode columns (4 + classes, N): centre, size, classes."""
    return decode_centres(rows_of(outputs).T, person)


def _is_yolov8_in_rows(outputs: Outputs, size: Size) -> bool:
    table = table_of(outputs)
    return table is not None and table.shape[1] > 4 and are_cells(len(table), size)


def _decode_yolov8_in_rows(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode rows (N, 4 + classes), the transpose of YOLOv8's output."""
    return decode_centres(rows_of(outputs), person)


def _is_yolov5(outputs: Outputs, size: Size) -> bool:
    table = table_of(outputs)
    return table is not None and table.shape[1] > 5 and are_cells(len(table), size, 3)


def _decode_yolov5(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode rows (3 N, 5 + classes): centre, size, objectness, classes, for three anchors."""
    rows = rows_of(outputs)
    boxes, scores = decode_centres(rows, person + 1)
    return ScoredBoxes(boxes, np.asarray(rows[:, 4] * scores, np.float32))


def _is_ssd(outputs: Outputs, size: Size) -> bool:
    arrays = list(outputs.values())
    return len(arrays) == 1 and arrays[0].ndim == 4 and arrays[0].shape[-1] == 7


def _decode_ssd(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode rows (n, 7): image, class, score, box in [0, 1]; a negative image ends the list."""
    rows = rows_of(outputs)
    ends = np.flatnonzero(rows[:, 0] < 0)
    rows = rows[: ends[0]] if len(ends) else rows
    rows = rows[rows[:, 1] == person]
    boxes: Floats = rows[:, 3:] * np.array([*size, *size], np.float32)
    return ScoredBoxes(boxes, rows[:, 2])


def _are_boxes(columns: int, *others: int) -> Callable[[Outputs, Size], bool]:
    """Return whether outputs are boxes with so many columns and arrays of these dimensions."""

    def matches(outputs: Outputs, size: Size) -> bool:
        boxes, *arrays = boxes_first(outputs).values() or [None]
        shapes = [array.ndim for array in arrays if array is not None]
        return boxes is not None and boxes.shape[1] == columns and shapes == list(others)

    return matches


def _decode_boxes_with_scores(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode boxes with scores (n, 5) and classes (n,)."""
    boxes, classes = boxes_first(outputs).values()
    people = classes == person
    return ScoredBoxes(boxes[people, :4], boxes[people, 4])


def _decode_scores(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode boxes (n, 4) with scores (n,), or (n, classes)."""
    boxes, scores = boxes_first(outputs).values()
    return ScoredBoxes(boxes, (scores if scores.ndim == 1 else scores[:, person]).astype("f4"))


def _decode_scores_and_classes(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode boxes (n, 4), scores (n,) and classes (n,)."""
    arrays = boxes_first(outputs)
    boxes, *others = arrays
    classes, scores = sorted(others, key=lambda name: _is_score(name, arrays[name]))
    people = np.flatnonzero(arrays[classes] == person)
    return ScoredBoxes(arrays[boxes][people], arrays[scores][people].astype(np.float32))


def _are_columns(outputs: Outputs, size: Size) -> bool:
    """Recognise boxes (n, 4) beside two columns (n, 1)."""
    if not _are_boxes(4, 2, 2)(outputs, size):
        return False
    _, *columns = boxes_first(outputs).values()
    return all(column.shape[1] == 1 for column in columns)


def _decode_columns(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode boxes (n, 4), scores (n, 1) and classes (n, 1) (DeepStream-Yolo)."""
    boxes, *columns = (arrays := boxes_first(outputs))
    flat = {name: arrays[name][:, 0] for name in columns}
    return _decode_scores_and_classes({boxes: arrays[boxes], **flat}, size, person)


def _classes_of_scores(outputs: Outputs) -> Array:
    """Return the classes of boxes (n, 4) with scores (n,) above 0 and classes (n,)."""
    _, *others = (arrays := boxes_first(outputs))
    classes, scores = sorted(others, key=lambda name: _is_score(name, arrays[name]))
    return arrays[classes][arrays[scores] > 0]


def _is_score(name: str, values: Array) -> bool:
    """Return whether an output is scores and not classes, by its name, type and values."""
    if any(word in name.lower() for word in ("score", "conf", "prob")):
        return True
    if any(word in name.lower() for word in ("label", "class", "cls")):
        return False
    return values.dtype.kind == "f" and not (values == np.rint(values)).all()


def _is_detr(outputs: Outputs, size: Size) -> bool:
    """Recognise logits (n, classes) beside boxes in [0, 1]."""
    if not _are_boxes(4, 2)(outputs, size):
        return False
    (_, boxes), (name, logits) = boxes_first(outputs).items()
    named = "logit" in name.lower()
    relative = boxes.min(initial=0) >= 0 and boxes.max(initial=0) <= LARGEST_FRACTION
    return bool(relative and (named or logits.min(initial=0) < 0 or logits.max(initial=0) > 1))


def _decode_detr(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode boxes (n, 4), centre and size in [0, 1], and logits (n, classes).

    With COCO's 91 classes (RF-DETR), as opposed to its 80 (RT-DETR), people are class 1.
    """
    boxes, logits = boxes_first(outputs).values()
    column = 1 if logits.shape[1] == COCO_CATEGORIES and person == 0 else person
    scores = 1 / (1 + np.exp(-logits[:, column].astype(np.float32)))
    scaled = boxes * np.array([*size, *size], np.float32)
    boxes = decode_centres(np.c_[scaled, scores], 0).boxes
    return ScoredBoxes(boxes, np.asarray(scores, np.float32))


def _is_efficient_nms(outputs: Outputs, size: Size) -> bool:
    if "detection_boxes" in outputs:  # TensorFlow's, whose boxes begin with y
        return False
    words = ("num", "box", "score", "class")
    return len(outputs) == 4 and all(named_output(outputs, word) is not None for word in words)


def _decode_efficient_nms(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode TensorRT's EfficientNMS: number (1,), boxes (n, 4), scores (n,), classes (n,)."""
    number, boxes, scores, classes = (
        named_output(outputs, word) for word in ("num", "box", "score", "class")
    )
    assert number is not None
    assert boxes is not None
    assert scores is not None
    assert classes is not None
    count = int(number.reshape(-1)[0])
    people = np.flatnonzero(classes.reshape(-1)[:count] == person)
    return ScoredBoxes(
        boxes.reshape(-1, 4)[people].astype(np.float32),
        scores.reshape(-1)[people].astype(np.float32),
    )


# Of formats of the same shape, those that values confirm come first.
OUTPUT_FORMATS = (
    OutputFormat(
        "rows of box, score and class: (n, 6)",
        is_end_to_end,
        decode_end_to_end,
        needs_nms=True,
        may_be_relative=True,
        key="end-to-end",
    ),
    OutputFormat(
        "YOLOv7 and YOLO-NAS with NMS: (n, 7)",
        is_image_rows,
        decode_image_rows,
        key="image-rows",
    ),
    OutputFormat(
        "RT-DETR in rows: (n, 4 + classes) in [0, 1]",
        is_detr_rows,
        decode_detr_rows,
        key="detr-rows",
    ),
    OutputFormat("YOLOX: (N, 5 + classes)", _is_yolox, _decode_yolox, needs_nms=True, key="yolox"),
    OutputFormat(
        "YOLOv8 and YOLO11: (4 + classes, N)",
        _is_yolov8,
        _decode_yolov8,
        needs_nms=True,
        key="yolov8",
    ),
    OutputFormat(
        "transposed YOLOv8: (N, 4 + classes)",
        _is_yolov8_in_rows,
        _decode_yolov8_in_rows,
        needs_nms=True,
        key="yolov8-rows",
    ),
    OutputFormat(
        "YOLOv5: (3 N, 5 + classes)", _is_yolov5, _decode_yolov5, needs_nms=True, key="yolov5"
    ),
    OutputFormat("SSD: (1, 1, n, 7)", _is_ssd, _decode_ssd, background_class=True, key="ssd"),
    OutputFormat(
        "EfficientNMS: numbers, boxes (n, 4), scores (n), classes (n)",
        _is_efficient_nms,
        _decode_efficient_nms,
        may_be_relative=True,
        key="efficient-nms",
    ),
    OutputFormat(
        "boxes with scores (n, 5) and classes (n)",
        _are_boxes(5, 1),
        _decode_boxes_with_scores,
        may_be_relative=True,
        key="scored-boxes",
    ),
    OutputFormat(
        "boxes (n, 4) and scores (n)",
        _are_boxes(4, 1),
        _decode_scores,
        needs_nms=True,
        may_be_relative=True,
        key="boxes-scores",
    ),
    OutputFormat(
        "DETR: boxes (n, 4) in [0, 1] and logits (n, classes)", _is_detr, _decode_detr, key="detr"
    ),
    OutputFormat(
        "boxes (n, 4) and scores (n, classes)",
        _are_boxes(4, 2),
        _decode_scores,
        needs_nms=True,
        may_be_relative=True,
        key="boxes-class-scores",
    ),
    OutputFormat(
        "boxes (n, 4), scores (n) and classes (n)",
        _are_boxes(4, 1, 1),
        _decode_scores_and_classes,
        background_class=True,
        may_be_relative=True,
        classes=_classes_of_scores,
        key="boxes-scores-classes",
    ),
    OutputFormat(
        "DeepStream: boxes (n, 4), scores (n, 1) and classes (n, 1)",
        _are_columns,
        _decode_columns,
        needs_nms=True,
        may_be_relative=True,
        key="deepstream",
    ),
)
