"""What the outputs of exported detectors mean, told by their shapes.

One image's outputs are recognised as

- YOLOX's: one array (N, 5 + classes), N the cells of strides 8, 16 and 32, decoded or not;
- an SSD's: one array (1, 1, n, 7) of image, class, score, and x1 y1 x2 y2 from 0 to 1;
- boxes with scores: (n, 5), x1 y1 x2 y2 score, and classes (n,);
- boxes and scores: (n, 4), and (n,) with classes (n,) or without, or (n, classes).

All but the SSD's may have a leading 1 for the image, and boxes are in network pixels.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torchvision.ops import nms

from mottool.errors import CheckpointError

__all__ = ["People", "read_people"]

Floats = npt.NDArray[np.float32]
Array = npt.NDArray[Any]

STRIDES = (8, 16, 32)  # of YOLOX's three levels
MAX_OVERLAP = 0.65  # of boxes that the network has not thinned out itself: YOLOX's own evaluation


class People(NamedTuple):
    """People in one image: boxes (n, 4) float32 x1 y1 x2 y2, scores (n,) float32."""

    boxes: Floats
    scores: Floats

    def above(self, min_score: float) -> "People":
        """Those that score above `min_score`, best first."""
        order = np.argsort(-self.scores, kind="stable")
        order = order[self.scores[order] > min_score]
        return People(self.boxes[order], self.scores[order])

    def thinned(self) -> "People":
        """The best of those that overlap (non-maximum suppression)."""
        boxes, scores = (torch.from_numpy(np.ascontiguousarray(each)) for each in self)
        kept = nms(boxes, scores, MAX_OVERLAP).numpy()
        return People(self.boxes[kept], self.scores[kept])


def read_people(
    outputs: Mapping[str, Array], size: tuple[int, int], min_score: float, person: int | None
) -> People:
    """The people in one image that score above `min_score`, best first, in network pixels.

    `size` is the network input's width and height. `person` is the class of people; None stands
    for 1 where class 0 is the background (SSD; boxes, scores and classes), else 0. Raises
    `CheckpointError` for outputs of no known kind.
    """
    if len(outputs) == 1:
        (only,) = outputs.values()
        rows = only.reshape(-1, only.shape[-1]).astype(np.float32)
        if only.ndim == 4 and rows.shape[1] == 7:
            return _ssd(rows, size, 1 if person is None else person).above(min_score)
        if only.ndim in {2, 3} and rows.shape[1] > 5 + (person or 0) and len(rows) == _cells(size):
            return _yolox(rows, size, person or 0).above(min_score).thinned()
        raise _unknown(outputs)
    boxes, *others = _boxes_first(outputs)
    if boxes.shape[1] == 5 and len(others) == 1 and others[0].ndim == 1:
        people = others[0] == (person or 0)
        return People(boxes[people, :4], boxes[people, 4]).above(min_score)
    if boxes.shape[1] == 4 and len(others) == 1:
        scores = others[0] if others[0].ndim == 1 else others[0][:, person or 0]
        return People(boxes, scores.astype(np.float32)).above(min_score).thinned()
    if boxes.shape[1] == 4 and len(others) == 2:
        # Classes are whole numbers, scores are not.
        classes, scores = sorted(others, key=lambda each: each.dtype.kind == "f")
        people = classes == (1 if person is None else person)
        return People(boxes[people], scores[people].astype(np.float32)).above(min_score)
    raise _unknown(outputs)


def _boxes_first(outputs: Mapping[str, Array]) -> list[Array]:
    """The outputs without the axis of the image, the boxes (n, 4 or 5) float32 first."""
    deepest = max(array.ndim for array in outputs.values())
    likely = [
        name
        for name, array in outputs.items()
        if array.ndim == deepest and array.shape[-1] in {4, 5}
    ]
    if len(likely) > 1:  # scores of four or five classes look like boxes
        likely = [name for name in likely if "box" in name.lower()]
    if len(likely) != 1 or deepest not in {2, 3}:
        raise _unknown(outputs)
    names = [likely[0], *(name for name in outputs if name != likely[0])]
    arrays = [outputs[name][0] if deepest == 3 else outputs[name] for name in names]
    count = len(arrays[0])
    if any(len(array) != count or array.ndim not in {1, 2} for array in arrays):
        raise _unknown(outputs)
    return [arrays[0].astype(np.float32), *arrays[1:]]


def _ssd(rows: Floats, size: tuple[int, int], person: int) -> People:
    """From rows (n, 7); a negative image number ends the list."""
    ends = np.flatnonzero(rows[:, 0] < 0)
    rows = rows[: ends[0]] if len(ends) else rows
    rows = rows[rows[:, 1] == person]
    boxes: Floats = rows[:, 3:] * np.array([*size, *size], np.float32)
    return People(boxes, rows[:, 2])


def _cells(size: tuple[int, int]) -> int:
    return sum((size[0] // stride) * (size[1] // stride) for stride in STRIDES)


def _yolox(rows: Floats, size: tuple[int, int], person: int) -> People:
    """From rows (N, 5 + classes): centre, size, objectness, classes (YOLOX §2.1).

    Exported without its decoding, a row tells the centre from its cell's corner in strides, and
    the logarithms of the sides in strides: then no centre lies far from 0, while decoded ones
    reach across the image.
    """
    centre, sides = rows[:, :2], rows[:, 2:4]
    if centre[:, 0].max() < size[0] / 2:
        corner, stride = _grid(size)
        centre, sides = (centre + corner) * stride, np.exp(sides) * stride
    boxes = np.concatenate((centre - sides / 2, centre + sides / 2), axis=1)
    return People(boxes.astype(np.float32), rows[:, 4] * rows[:, 5 + person])


def _grid(size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Every cell's corner x y (N, 2) in strides, and its stride (N, 1) in pixels."""
    corners, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: size[1] // stride, : size[0] // stride]
        corners.append(np.stack((x.ravel(), y.ravel()), axis=1))
        strides.append(np.full((x.size, 1), stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _unknown(outputs: Mapping[str, Array]) -> CheckpointError:
    told = ", ".join(f"{name} {'x'.join(map(str, a.shape))}" for name, a in outputs.items())
    fix = "export the detector with YOLOX's output, an SSD's, or boxes and scores"
    return CheckpointError(f"the outputs {told} are of no known kind", fix)
