"""Crop boxes from frames and embed the crops in batches across frames."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

__all__ = ["crop", "embed_crops"]

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

BATCH = 64  # crops per call of a network: fast enough, with bounded memory


def crop(image: Image, box: Floats) -> Image:
    """Return the pixels (h, w, 3) in a box x1 y1 x2 y2; one black pixel for a box outside."""
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
    """Embed the boxes (n, 4) of each image (H, W, 3) BGR: (n, size) arrays, L2-normalised.

    `prepare` converts a crop (h, w, 3) BGR to an input of the network, all of one shape. `network`
    returns features (k, size) of a stack of k inputs.
    """
    prepared = (
        prepare(crop(image, box)) for image, rows in zip(images, boxes, strict=True) for box in rows
    )
    parts = [np.zeros((0, size), np.float32)]
    parts += [network(np.stack(stack)) for stack in _stacks(prepared)]
    features = np.concatenate(parts)  # (all boxes, size)
    features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    ends = np.cumsum([len(rows) for rows in boxes])
    return np.split(features, ends[:-1]) if len(boxes) else []


def _stacks(
    items: Iterator[npt.NDArray[np.generic]],
) -> Iterator[list[npt.NDArray[np.generic]]]:
    """Yield lists of at most `BATCH` items."""
    while stack := list(islice(items, BATCH)):
        yield stack
