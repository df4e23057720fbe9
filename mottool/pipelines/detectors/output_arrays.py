"""Arrays that exported detectors output, the shapes by which they are known, and their boxes."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torchvision.ops import nms

__all__ = [
    "LARGEST_FRACTION",
    "Array",
    "Floats",
    "Outputs",
    "ScoredBoxes",
    "Size",
    "are_cells",
    "boxes_first",
    "cell_count",
    "decode_centres",
    "grid",
    "named_output",
    "rows_of",
    "table_of",
    "without_maps",
]

Floats = npt.NDArray[np.float32]
Array = npt.NDArray[Any]
Outputs = Mapping[str, Array]
Size = tuple[int, int]  # width and height of the network's input

STRIDES = (8, 16, 32)  # of the three levels of YOLOX, YOLOv5 and YOLOv8
# Variants for larger and smaller objects (p6, p2) and the tiny ones have other levels.
LEVELS = (STRIDES, (8, 16, 32, 64), (4, 8, 16, 32), (16, 32))
LARGEST_FRACTION = 1.01  # of the input's sides, of boxes relative to them
MAX_OVERLAP = 0.65  # IoU of non-maximum suppression, as in YOLOX's evaluation
MAP_AXES = 4  # image, channel, row and column


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


def without_maps(outputs: Outputs) -> Outputs:
    """Return the outputs without masks and their prototypes, if others can be boxes."""
    flat = {name: array for name, array in outputs.items() if array.ndim < MAP_AXES}
    return flat if any(array.ndim > 1 for array in flat.values()) else outputs


def table_of(outputs: Outputs) -> Array | None:
    """Return the only output as a table without the axis of the image, None for other shapes."""
    arrays = list(outputs.values())
    if len(arrays) != 1 or arrays[0].ndim not in {2, 3}:
        return None
    table = arrays[0].reshape(arrays[0].shape[-2:]) if arrays[0].shape[0] == 1 else arrays[0]
    return table if table.ndim == 2 else None


def rows_of(outputs: Outputs) -> Floats:
    """Return the only output as rows of float32."""
    (array,) = outputs.values()
    return array.reshape(-1, array.shape[-1]).astype(np.float32)


def boxes_first(outputs: Outputs) -> dict[str, Array]:
    """Return the outputs without the axis of the image, boxes (n, 4 or 5) float32 first.

    The result is empty if no output, or more than one, can be the boxes.
    """
    outputs = {name: array for name, array in outputs.items() if array.ndim}
    deepest = max((array.ndim for array in outputs.values()), default=0)
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
    if any(array.ndim not in {1, 2} or len(array) != count for array in arrays):
        return {}
    return dict(zip(names, [arrays[0].astype(np.float32), *arrays[1:]], strict=True))


def cell_count(size: Size, strides: Sequence[int] = STRIDES) -> int:
    """Return the number of cells of all levels, which have these strides."""
    return sum((size[0] // stride) * (size[1] // stride) for stride in strides)


def are_cells(count: int, size: Size, anchors: int = 1) -> bool:
    """Return whether a number of rows is that of all anchors of a network's cells."""
    return any(count == anchors * cell_count(size, strides) for strides in LEVELS)


def grid(size: Size) -> tuple[Floats, Floats]:
    """Return the corner x y (N, 2) of every cell in strides, and its stride (N, 1) in pixels."""
    corners, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: size[1] // stride, : size[0] // stride]
        corners.append(np.stack((x.ravel(), y.ravel()), axis=1))
        strides.append(np.full((x.size, 1), stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(strides).astype(np.float32)


def named_output(outputs: Outputs, word: str) -> Array | None:
    """Return the only output whose name contains a word, None if there is not exactly one."""
    arrays = [values for name, values in outputs.items() if word in name.lower()]
    return arrays[0] if len(arrays) == 1 else None


def decode_centres(rows: Floats, column: int) -> ScoredBoxes:
    """Decode rows of centre, size and scores; `column` is that of the scores after the size."""
    centre, sides = rows[:, :2], rows[:, 2:4]
    boxes = np.concatenate((centre - sides / 2, centre + sides / 2), axis=1)
    return ScoredBoxes(np.asarray(boxes, np.float32), rows[:, 4 + column])
