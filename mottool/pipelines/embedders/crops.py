"""Crop boxes from frames and embed the crops in batches across frames."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.sources.overlap import in_threads

__all__ = [
    "BATCH",
    "FRAMES",
    "crop",
    "distinct_pixels",
    "embed_crops",
    "pixels_of_boxes",
    "split_embeddings",
]

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

FRAMES = 8  # per call of `embed_crops`: few enough for memory, and enough to fill batches
BATCH = 16  # crops per call of a network


def pixels_of_boxes(boxes: Floats, width: int, height: int) -> Ints:
    """Return the pixels in each box (n, 4) x1 y1 x2 y2: left, top, right and bottom (n, 4).

    Right and bottom are exclusive. All four are 0 for a box outside the image.
    """
    size = np.array([width, height, width, height])
    inside = np.clip(boxes, 0, size)
    pixels = np.concatenate((np.floor(inside[:, :2]), np.ceil(inside[:, 2:])), 1).astype(np.int64)
    pixels[(pixels[:, 2:] <= pixels[:, :2]).any(1)] = 0
    return pixels


def crop(image: Image, box: Floats) -> Image:
    """Return the pixels (h, w, 3) in a box x1 y1 x2 y2; one black pixel for a box outside."""
    (pixels,) = pixels_of_boxes(box[None], image.shape[1], image.shape[0]).tolist()
    return _cut(image, pixels)


def _cut(image: Image, pixels: Sequence[int]) -> Image:
    """Return the part of an image that `pixels_of_boxes` describes; one black pixel for none."""
    left, top, right, bottom = pixels
    return image[top:bottom, left:right] if right else np.zeros((1, 1, 3), np.uint8)


def embed_crops(
    images: Sequence[Image],
    boxes: Sequence[Floats],
    prepare: Callable[[Image], npt.NDArray[Any]],
    network: Callable[[npt.NDArray[Any]], Floats],
    size: int,
    batch: int = BATCH,
    threads: int = 1,
) -> list[Floats]:
    """Embed the boxes (n, 4) of each image (H, W, 3) BGR: (n, size) arrays, L2-normalised.

    `prepare` converts a crop (h, w, 3) BGR to an input of the network, all of one shape; it is
    called in a number of threads while the network works. Boxes of the same pixels are embedded
    once. `network` returns features (batch, size) of a stack of `batch` inputs. Each stack has this
    shape, the last one with zeros at its end: for other shapes a network rounds differently, but
    the embedding of a box must not depend on the boxes beside it, nor on where a run was resumed.
    """
    pixels, rows = distinct_pixels(images, boxes)
    crops = [
        _cut(image, part)
        for image, parts in zip(images, pixels, strict=True)
        for part in parts.tolist()
    ]
    stacks = (crops[start : start + batch] for start in range(0, len(crops), batch))
    parts = [np.zeros((0, size), np.float32)]
    prepared = in_threads(partial(_stack, prepare, batch), stacks, threads, threads + 1)
    with closing(prepared):
        parts += map(network, prepared)
    return split_embeddings(np.concatenate(parts), rows)


def split_embeddings(features: Floats, rows: Sequence[Ints]) -> list[Floats]:
    """Return the L2-normalised `rows` (n,) of each image among features (k, D): (n, D) arrays."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    embeddings = features / np.maximum(lengths, 1e-12)
    return [embeddings[row] for row in rows]


def distinct_pixels(
    images: Iterable[Image], boxes: Iterable[Floats]
) -> tuple[list[Ints], list[Ints]]:
    """Return the different `pixels_of_boxes` (k, 4) of each image.

    Also return the rows (n,) of each image's boxes among those of all images.
    """
    pixels: list[Ints] = []
    rows: list[Ints] = []
    count = 0
    for image, given in zip(images, boxes, strict=True):
        of_boxes = pixels_of_boxes(given, image.shape[1], image.shape[0])
        distinct, row = np.unique(of_boxes, axis=0, return_inverse=True)
        pixels.append(distinct)
        rows.append(row.ravel() + count)
        count += len(distinct)
    return pixels, rows


def _stack(
    prepare: Callable[[Image], npt.NDArray[Any]], batch: int, crops: Sequence[Image]
) -> npt.NDArray[Any]:
    """Return the inputs of at most `batch` crops, stacked, with zeros for missing ones."""
    first, *others = map(prepare, crops)
    stack = np.zeros((batch, *first.shape), first.dtype)
    for row, values in zip(stack, (first, *others), strict=False):
        row[...] = values
    return stack
