"""The benchmarks of `layouts.registry`: KITTI tracking, VisDrone-MOT and others.

The training boxes are the people that the benchmark scores. Other people, and regions of objects
without labels, are regions to ignore.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mottool.boxes import xyxy_from_tlwh
from mottool.data.dataset import Dataset, DatasetBuilder
from mottool.errors import InputError
from mottool.layouts.registry import find_labels, layout_of, read_ground_truth
from mottool.sources.images import image_size, images_in
from mottool.sources.sequence import check_numbers

__all__ = ["read", "recognises"]


def recognises(path: Path) -> bool:
    """Return whether a path has labels of such a benchmark."""
    return bool(find_labels(path))


def read(path: Path, warn: Callable[[str], None], root: Path | None = None) -> Dataset:
    """Read every sequence with labels; `root` is not used.

    Raises `InputError` for a malformed row, and for a sequence without images, with labels beyond
    its last image, or with gaps between its images.
    """
    builder, people = DatasetBuilder(path.resolve().stem), 0
    for video, file in enumerate(find_labels(path)):
        layout, rows = layout_of(file), read_ground_truth(file)
        folder = layout.module.images_of(file) if layout else file
        images = images_in(folder)
        if not images:
            raise InputError(f"{file} has no images in {folder}", "put its images there")
        if layout and layout.numbered:
            check_numbers(images)
        if len(rows) and rows.frames.max() > len(images):
            problem = f"{file} has frame {rows.frames.max()} of {len(images)} images"
            raise InputError(problem, "add the missing images, or remove those rows")
        size, boxes, scored = image_size(images[0]), xyxy_from_tlwh(rows.tlwh), rows.rest[:, 0] == 1
        for number, image in enumerate(images, 1):
            in_frame = rows.frames == number
            kept = np.flatnonzero(in_frame & scored)
            builder.add(
                image,
                size,
                boxes[kept],
                rows.ids[kept] + people,
                rows.rest[kept, 2],
                video,
                number,
                ignored=boxes[in_frame & ~scored],
            )
        people += int(rows.ids.max(initial=-1)) + 1
    return builder.dataset(warn)
