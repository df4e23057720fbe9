"""Decode the outputs of exported detectors, whose format is recognised by shapes and dtypes.

The formats of one image are `OUTPUT_FORMATS`. All but SSD's may have a leading axis of 1 for the
image, and have boxes in network pixels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torchvision.ops import nms

from mottool.errors import CheckpointError

__all__ = ["OUTPUT_FORMATS", "OutputFormat", "ScoredBoxes", "read_people"]

Floats = npt.NDArray[np.float32]
Array = npt.NDArray[Any]
Outputs = Mapping[str, Array]
Size = tuple[int, int]  # width and height of the network's input

STRIDES = (8, 16, 32)  # of YOLOX's three levels
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
    `needs_nms`, the network does not suppress overlapping boxes itself.
    """

    name: str
    matches: Callable[[Outputs, Size], bool]
    decode: Callable[[Outputs, Size, int], ScoredBoxes]
    background_class: bool = False
    needs_nms: bool = False


def read_people(
    outputs: Outputs, size: Size, min_score: float, person: int | None = None
) -> ScoredBoxes:
    """Decode the people in one image that score above `min_score`, best first, in network pixels.

    `size` is the width and height of the network's input. `person` is the class of people, by
    default that of the format. Raises `CheckpointError` for outputs of an unknown format.
    """
    output_format = next((each for each in OUTPUT_FORMATS if each.matches(outputs, size)), None)
    if output_format is None:
        raise _unknown(outputs)
    default = 1 if output_format.background_class else 0
    try:
        people = output_format.decode(outputs, size, default if person is None else person)
    except IndexError:  # the outputs have fewer classes
        raise _unknown(outputs) from None
    people = people.above_score(min_score)
    return people.after_nms() if output_format.needs_nms else people


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
        arrays = _boxes_first(outputs)
        shapes = [array.ndim for array in arrays[1:]]
        return bool(arrays) and arrays[0].shape[1] == columns and shapes == list(others)

    return matches


def _decode_boxes_with_scores(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode boxes with scores (n, 5) and classes (n,)."""
    boxes, classes = _boxes_first(outputs)
    people = classes == person
    return ScoredBoxes(boxes[people, :4], boxes[people, 4])


def _decode_scores(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode boxes (n, 4) with scores (n,), or (n, classes)."""
    boxes, scores = _boxes_first(outputs)
    return ScoredBoxes(boxes, (scores if scores.ndim == 1 else scores[:, person]).astype("f4"))


def _decode_scores_and_classes(outputs: Outputs, size: Size, person: int) -> ScoredBoxes:
    """Decode boxes (n, 4), scores (n,) and classes (n,); classes are integers."""
    boxes, *others = _boxes_first(outputs)
    classes, scores = sorted(others, key=lambda array: array.dtype.kind == "f")
    people = classes == person
    return ScoredBoxes(boxes[people], scores[people].astype(np.float32))


OUTPUT_FORMATS = (
    OutputFormat("YOLOX: (N, 5 + classes)", _is_yolox, _decode_yolox, needs_nms=True),
    OutputFormat("SSD: (1, 1, n, 7)", _is_ssd, _decode_ssd, background_class=True),
    OutputFormat(
        "boxes with scores (n, 5) and classes (n)", _are_boxes(5, 1), _decode_boxes_with_scores
    ),
    OutputFormat("boxes (n, 4) and scores (n)", _are_boxes(4, 1), _decode_scores, needs_nms=True),
    OutputFormat(
        "boxes (n, 4) and scores (n, classes)", _are_boxes(4, 2), _decode_scores, needs_nms=True
    ),
    OutputFormat(
        "boxes (n, 4), scores (n) and classes (n)",
        _are_boxes(4, 1, 1),
        _decode_scores_and_classes,
        background_class=True,
    ),
)


def _rows(outputs: Outputs) -> Floats:
    """Return the only output as rows of float32."""
    (array,) = outputs.values()
    return array.reshape(-1, array.shape[-1]).astype(np.float32)


def _boxes_first(outputs: Outputs) -> list[Array]:
    """Return the outputs without the axis of the image, boxes (n, 4 or 5) float32 first.

    The list is empty if no output, or more than one, can be the boxes.
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
        return []
    names = [candidates[0], *(name for name in outputs if name != candidates[0])]
    arrays = [outputs[name][0] if deepest == 3 else outputs[name] for name in names]
    count = len(arrays[0])
    if any(len(array) != count or array.ndim not in {1, 2} for array in arrays):
        return []
    return [arrays[0].astype(np.float32), *arrays[1:]]


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


def _unknown(outputs: Outputs) -> CheckpointError:
    """Return the error for outputs of an unknown format, which lists the known ones."""
    shapes = ", ".join(f"{name} {'x'.join(map(str, a.shape))}" for name, a in outputs.items())
    known = "; ".join(output_format.name for output_format in OUTPUT_FORMATS)
    fix = f"export the detector with one of: {known}"
    return CheckpointError(f"the outputs {shapes} have no known format", fix)
