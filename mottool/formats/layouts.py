"""Read the labels of the benchmarks of `layouts.registry`, with all their classes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mottool.formats.sequence_rows import SequenceRows, result_rows, warn_of_classes
from mottool.layouts.registry import find_labels, layout_of, name_of
from mottool.motchallenge.class_names import number_classes
from mottool.motchallenge.rows import Rows
from mottool.motchallenge.seqinfo import SeqInfo
from mottool.sources.images import image_size, images_in

__all__ = ["read"]


def read(path: Path, warn: Callable[[str], None]) -> list[SequenceRows] | None:
    """Read the sequences of a file or folder; return None for other formats.

    Objects that the benchmark does not score, and its regions, have the flag 0. Labels with scores
    are results. `warn` receives the name of the format, and a message if rows have no identity or
    results have other classes than people.
    """
    sequences = []
    formats = set()
    for file in find_labels(path):
        layout = layout_of(file)
        if layout is None:
            return None
        formats.add(layout.name)
        labels, name = layout.module.read(file), name_of(file)
        if labels.untracked:
            warn(f"{name}: {labels.untracked} rows without an identity are left out")
        images = images_in(layout.module.images_of(file))
        info = None
        if images:
            folder, size = images[0].parent.name, image_size(images[0])
            info = SeqInfo(name, folder, layout.frame_rate, len(images), *size)
        rows = labels.rows
        if labels.scored:
            warn_of_classes(name, labels.classes.tolist(), warn)
            sequences.append(result_rows(name, rows, info))
            continue
        numbers, extra = number_classes(labels.classes.tolist())
        flags = ~labels.ignored & ~labels.regions
        rest = np.column_stack([flags, numbers, rows.rest[:, 0]]).astype(np.float64)
        truth = Rows(rows.frames, rows.ids, rows.tlwh, rest)
        sequences.append(SequenceRows(name, truth, True, info, extra_classes=extra))
    if formats:
        warn(f"{path}: read as {', '.join(sorted(formats))}")
    return sequences or None
