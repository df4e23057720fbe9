"""Crops: what embedders see of the boxes, gathered across frames into batches."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

__all__ = ["crop", "embed_crops"]

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

MOST = 64  # crops in one call of a network: enough to be fast, and a bound on the memory


def crop(image: Image, box: Floats) -> Image:
    """The pixels (h, w, 3) that a box x1 y1 x2 y2 touches; one black pixel if it lies outside."""
    height, width = image.shape[:2]
    left, top = np.floor(np.clip(box[:2], 0, [width, height])).astype(int)
    right, bottom = np.ceil(np.clip(box[2:], 0, [width, height])).astype(int)
    if right <= left or bottom <= top:
        return np.zeros((1, 1, 3), np.uint8)
    return image[top:bottom, left:right]


def embed_crops(
    images: Sequence[Image],
    boxes: Sequence[Floats],
    prepare: Callable[[Image], npt.NDArray[np.generic]],
    network: Callable[[npt.NDArray[np.generic]], Floats],
    size: int,
) -> list[Floats]:
    """Unit embeddings (n, size) of the boxes (n, 4) of each image (H, W, 3) BGR.

    `prepare` makes a crop (h, w, 3) BGR into what the network takes, all of one shape; `network`
    gives the rows (k, size) of a stack of `k` of those.
    """
    prepared = (
        prepare(crop(image, box)) for image, own in zip(images, boxes, strict=True) for box in own
    )
    parts = [np.zeros((0, size), np.float32)]
    parts += [network(np.stack(stack)) for stack in _stacks(prepared)]
    rows = np.concatenate(parts)  # (all boxes, size)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    ends = np.cumsum([len(own) for own in boxes])
    return np.split(rows, ends[:-1]) if len(boxes) else []


def _stacks(
    items: Iterator[npt.NDArray[np.generic]],
) -> Iterator[list[npt.NDArray[np.generic]]]:
    while stack := list(islice(items, MOST)):
        yield stack
