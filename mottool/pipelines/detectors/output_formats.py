"""Output formats of exported detectors: how each is recognised and decoded.

A format is recognised by the names, shapes and values of the outputs for one image; see
`output_reader` for the choice between formats of the same shape. All but SSD's may have a leading
axis of 1 for the image.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torchvision.ops import nms

__all__ = ["LARGEST_FRACTION", "OUTPUT_FORMATS", "OutputFormat", "Outputs", "ScoredBoxes", "Size"]

Floats = npt.NDArray[np.float32]
Array = npt.NDArray[Any]
Outputs = Mapping[str, Array]
Size = tuple[int, int]  # width and height of the network's input

STRIDES = (8, 16, 32)  # of YOLOX's three levels
LARGEST_FRACTION = 1.01  # of the input's sides, of boxes relative to them
COCO_CATEGORIES = 91  # with the numbers that COCO leaves out
MAX_OVERLAP = 0.65  # IoU of non-maximum suppression, as in YOLOX's evaluation


class ScoredBoxes(NamedTuple):
    """Boxes (n, 4) float32 x1 y1 x2 y2 and scores (n,) float32 of one image."""

    boxes: Floats
    scores: Floats

    def above_score(self, min_score: float) -> "ScoredBoxes":
        """Select those that score above `min_score`, best first."""
        order = np.argsort(-self.scores, kind="stable")
        order = order[self.scores[order] > min_score]
        return ScoredBoxes(self.boxes[order], self.scores[order])

    def after_nms(self) -> "ScoredBoxes":
        """Select the best of overlapping boxes (non-maximum suppression)."""
        boxes, scores = (torch.from_numpy(np.ascontiguousarray(values)) for values in self)
        keep = nms(boxes, scores, MAX_OVERLAP).numpy()
        return ScoredBoxes(self.boxes[keep], self.scores[keep])


@dataclass(frozen=True)
class OutputFormat:
    """How the outputs of an exported detector encode boxes.

    `matches` recognises outputs for an input of a size, and `decode` returns the boxes of a class.
    With `background_class`, class 0 is the background and people are class 1, otherwise 0. With
    `needs_nms`, the network does not suppress overlapping boxes itself. With
    `may_be_relative`, boxes that are all in [0, 1] are relative to the sides of the input. `key` is
    the name of the format on the command line.
    """

    name: str
    matches: Callable[[Outputs, Size], bool]
    decode: Callable[[Outputs, Size, int], ScoredBoxes]
    background_class: bool = False
    needs_nms: bool = False
    may_be_relative: bool = False
    key: str = ""


def _is_end_to_end(outputs: Outputs, size: Size) -> bool:
    """Recognise rows (n, 6) by their values: corners of boxes, scores in [0, 1], whole classes."""
    table = _table(outputs)
    if table is None or table.shape[1] != 6:
        return False
    scores, classes = table[:, 4], table[:, 5]
    boxes = table[scores > 0, :4]
    ordered = (boxes[:, 2:] >= boxes[:, :2]).all()
    whole = (classes >= 0).all() and (classes == np.rint(classes)).all()
    return bool(ordered and whole and (scores >= 0).all() and (scores <= 1).all())


def _decode_end_to_end(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode rows (n, 6): box, score, class (Ultralytics' exports with NMS, YOLO26, DeepStream)."""
    rows = _rows(outputs)
    rows = rows[rows[:, 5] == person]
    return ScoredBoxes(rows[:, :4], rows[:, 4])


def _is_yolox(outputs: Outputs, size: Size) -> bool:
    arrays = list(outputs.values())
    if len(arrays) != 1 or arrays[0].ndim not in {2, 3} or arrays[0].shape[-1] <= 5:
        return False
    return bool(arrays[0].size // arrays[0].shape[-1] == _cell_count(size))


def _decode_yolox(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode rows (N, 5 + classes): centre, size, objectness, classes (YOLOX §2.1).

    A network exported without decoding outputs the centre relative to the corner of its cell, and
    the logarithms of the sides, both in strides. Then no centre is far from 0, while decoded
    centres extend over the image.
    """
    rows = _rows(outputs)
    centre, sides = rows[:, :2], rows[:, 2:4]
    if centre[:, 0].max() < size[0] / 2:
        corner, stride = _grid(size)
        centre, sides = (centre + corner) * stride, np.exp(sides) * stride
    boxes = np.concatenate((centre - sides / 2, centre + sides / 2), axis=1)
    return ScoredBoxes(boxes.astype(np.float32), rows[:, 4] * rows[:, 5 + person])


def _is_yolov8(outputs: Outputs, size: Size) -> bool:
    table = _table(outputs)
    return table is not None and len(table) > 4 and table.shape[1] == _cell_count(size)


def _decode_yolov8(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode columns (4 + classes, N): centre, size, classes."""
    return _decode_centres(_rows(outputs).T, person)


def _is_yolov8_in_rows(outputs: Outputs, size: Size) -> bool:
    table = _table(outputs)
    return table is not None and table.shape[1] > 4 and len(table) == _cell_count(size)


def _decode_yolov8_in_rows(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode rows (N, 4 + classes), the transpose of YOLOv8's output."""
    return _decode_centres(_rows(outputs), person)


def _is_yolov5(outputs: Outputs, size: Size) -> bool:
    table = _table(outputs)
    anchors = 3 * _cell_count(size)
    return table is not None and table.shape[1] > 5 and len(table) == anchors


def _decode_yolov5(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode rows (3 N, 5 + classes): centre, size, objectness, classes, for three anchors."""
    rows = _rows(outputs)
    boxes, scores = _decode_centres(rows, person + 1)
    return ScoredBoxes(boxes, np.asarray(rows[:, 4] * scores, np.float32))


def _decode_centres(rows: Floats, column: int) -> ScoredBoxes:
    """Decode rows of centre, size and scores; `column` is that of the scores after the size."""
    centre, sides = rows[:, :2], rows[:, 2:4]
    boxes = np.concatenate((centre - sides / 2, centre + sides / 2), axis=1)
    return ScoredBoxes(np.asarray(boxes, np.float32), rows[:, 4 + column])


def _is_ssd(outputs: Outputs, size: Size) -> bool:
    arrays = list(outputs.values())
    return len(arrays) == 1 and arrays[0].ndim == 4 and arrays[0].shape[-1] == 7


def _decode_ssd(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode rows (n, 7): image, class, score, box in [0, 1]; a negative image ends the list."""
    rows = _rows(outputs)
    ends = np.flatnonzero(rows[:, 0] < 0)
    rows = rows[: ends[0]] if len(ends) else rows
    rows = rows[rows[:, 1] == person]
    boxes: Floats = rows[:, 3:] * np.array([*size, *size], np.float32)
    return ScoredBoxes(boxes, rows[:, 2])


def _are_boxes(columns: int, *others: int) -> Callable[[Outputs, Size], bool]:
    """Return whether outputs are boxes with so many columns and arrays of these dimensions."""

    def matches(outputs: Outputs, size: Size) -> bool:
        boxes, *arrays = _boxes_first(outputs).values() or [None]
        shapes = [array.ndim for array in arrays if array is not None]
        return boxes is not None and boxes.shape[1] == columns and shapes == list(others)

    return matches


def _decode_boxes_with_scores(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode boxes with scores (n, 5) and classes (n,)."""
    boxes, classes = _boxes_first(outputs).values()
    people = classes == person
    return ScoredBoxes(boxes[people, :4], boxes[people, 4])


def _decode_scores(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode boxes (n, 4) with scores (n,), or (n, classes)."""
    boxes, scores = _boxes_first(outputs).values()
    return ScoredBoxes(boxes, (scores if scores.ndim == 1 else scores[:, person]).astype("f4"))


def _decode_scores_and_classes(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode boxes (n, 4), scores (n,) and classes (n,)."""
    arrays = _boxes_first(outputs)
    boxes, *others = arrays
    classes, scores = sorted(others, key=lambda name: _is_score(name, arrays[name]))
    people = np.flatnonzero(arrays[classes] == person)
    return ScoredBoxes(arrays[boxes][people], arrays[scores][people].astype(np.float32))


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
    (_, boxes), (name, logits) = _boxes_first(outputs).items()
    named = "logit" in name.lower()
    relative = boxes.min(initial=0) >= 0 and boxes.max(initial=0) <= LARGEST_FRACTION
    return bool(relative and (named or logits.min(initial=0) < 0 or logits.max(initial=0) > 1))


def _decode_detr(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode boxes (n, 4), centre and size in [0, 1], and logits (n, classes).

    With COCO's 91 classes (RF-DETR), as opposed to its 80 (RT-DETR), people are class 1.
    """
    boxes, logits = _boxes_first(outputs).values()
    column = 1 if logits.shape[1] == COCO_CATEGORIES and person == 0 else person
    scores = 1 / (1 + np.exp(-logits[:, column].astype(np.float32)))
    scaled = boxes * np.array([*size, *size], np.float32)
    boxes = _decode_centres(np.c_[scaled, scores], 0).boxes
    return ScoredBoxes(boxes, np.asarray(scores, np.float32))


def _is_efficient_nms(outputs: Outputs, size: Size) -> bool:
    words = ("num", "box", "score", "class")
    return len(outputs) == 4 and all(_named(outputs, word) is not None for word in words)


def _decode_efficient_nms(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode TensorRT's EfficientNMS: number (1,), boxes (n, 4), scores (n,), classes (n,)."""
    number, boxes, scores, classes = (
        _named(outputs, word) for word in ("num", "box", "score", "class")
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


def _named(outputs: Outputs, word: str) -> Array | None:
    """Return the only output whose name contains a word, None if there is not exactly one."""
    arrays = [values for name, values in outputs.items() if word in name.lower()]
    return arrays[0] if len(arrays) == 1 else None


# Of formats of the same shape, those that values confirm come first.
OUTPUT_FORMATS = (
    OutputFormat(
        "rows of box, score and class: (n, 6)",
        _is_end_to_end,
        _decode_end_to_end,
        needs_nms=True,
        may_be_relative=True,
        key="end-to-end",
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
        key="boxes-scores-classes",
    ),
)


def _table(outputs: Outputs) -> Array | None:
    """Return the only output as a table without the axis of the image, None for other shapes."""
    arrays = list(outputs.values())
    if len(arrays) != 1 or arrays[0].ndim not in {2, 3}:
        return None
    table = arrays[0].reshape(arrays[0].shape[-2:]) if arrays[0].shape[0] == 1 else arrays[0]
    return table if table.ndim == 2 else None


def _rows(outputs: Outputs) -> Floats:
    """Return the only output as rows of float32."""
    (array,) = outputs.values()
    return array.reshape(-1, array.shape[-1]).astype(np.float32)


def _boxes_first(outputs: Outputs) -> dict[str, Array]:
    """Return the outputs without the axis of the image, boxes (n, 4 or 5) float32 first.

    The result is empty if no output, or more than one, can be the boxes.
    """
    deepest = max(array.ndim for array in outputs.values())
    candidates = [
        name
        for name, array in outputs.items()
        if array.ndim == deepest and array.shape[-1] in {4, 5}
    ]
    if len(candidates) > 1:  # scores of four or five classes have the shape of boxes
        candidates = [name for name in candidates if "box" in name.lower()]
    if len(candidates) != 1 or deepest not in {2, 3}:
        return {}
    names = [candidates[0], *(name for name in outputs if name != candidates[0])]
    arrays = [outputs[name][0] if deepest == 3 else outputs[name] for name in names]
    count = len(arrays[0])
    if any(len(array) != count or array.ndim not in {1, 2} for array in arrays):
        return {}
    return dict(zip(names, [arrays[0].astype(np.float32), *arrays[1:]], strict=True))


def _cell_count(size: Size) -> int:
    """Return the number of cells of all levels."""
    return sum((size[0] // stride) * (size[1] // stride) for stride in STRIDES)


def _grid(size: Size) -> tuple[Floats, Floats]:
    """Return the corner x y (N, 2) of every cell in strides, and its stride (N, 1) in pixels."""
    corners, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: size[1] // stride, : size[0] // stride]
        corners.append(np.stack((x.ravel(), y.ravel()), axis=1))
        strides.append(np.full((x.size, 1), stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(strides).astype(np.float32)
