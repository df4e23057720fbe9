"""CVAT's "MOT 1.1": a zip file with `gt/gt.txt` and the names of classes in `gt/labels.txt`.

docs.cvat.ai, "Formats, MOT". The rows are MOTChallenge's ground truth (frame, identity, left, top,
width, height, flag, class, visibility). The class is a line of `labels.txt`, counted from 1;
without that file it is MOTChallenge's own number. Results are written as boxes to be corrected.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mottool.errors import InputError
from mottool.formats.folders import rows_as_text
from mottool.formats.sequence_rows import CLASSES, SequenceRows, class_number, ground_truth_rows
from mottool.formats.zip_files import read_archive, write_archive
from mottool.motchallenge.rows import Rows, parse_rows

__all__ = ["read", "write"]

ROWS = ("gt/gt.txt", "gt.txt")
LABELS = ("gt/labels.txt", "labels.txt")


def read(path: Path, warn: Callable[[str], None]) -> list[SequenceRows] | None:
    """Read the ground truth of the sequence in a zip file, named as the file is.

    Return None for other files. `warn` receives a message for each class that MOTChallenge does
    not have, whose boxes are left out. Raises `InputError` for malformed rows and for a class
    without a name.
    """
    texts = read_archive(path) if path.suffix == ".zip" else {}
    rows_text = next((texts[name] for name in ROWS if name in texts), None)
    if rows_text is None:
        return None
    sequence = ground_truth_rows(path.stem, parse_rows(rows_text, path))
    labels_text = next((texts[name] for name in LABELS if name in texts), "\n".join(CLASSES))
    labels = [line.strip() for line in labels_text.splitlines() if line.strip()]
    rows = sequence.rows
    classes = rows.rest[:, 1].astype(np.int64)
    if len(classes) and not 1 <= classes.min() <= classes.max() <= len(labels):
        unnamed = classes[(classes < 1) | (classes > len(labels))][0]
        problem = f"{path} has a box of class {unnamed}, but names {len(labels)} classes"
        raise InputError(problem, "add it to gt/labels.txt, one name per line")
    numbers = np.array([0, *(class_number(label) or 0 for label in labels)])  # (L + 1,)
    for index in np.unique(classes[numbers[classes] == 0]).tolist():
        count = int((classes == index).sum())
        warn(f"{path}: {count} boxes of {labels[index - 1]!r} left out: not a MOTChallenge class")
    rows.rest[:, 1] = numbers[classes]
    keep = numbers[classes] > 0
    rows = Rows(rows.frames[keep], rows.ids[keep], rows.tlwh[keep], rows.rest[keep])
    return [SequenceRows(sequence.name, rows, True)]


def write(sequences: Sequence[SequenceRows], out: Path) -> Path:
    """Write one sequence as the zip file `out`, or several as `SEQ.zip` in the folder `out`."""
    if out.suffix == ".zip" and len(sequences) > 1:
        problem = f"{out} is one zip file, but there are {len(sequences)} sequences"
        raise InputError(problem, "name a folder with --out: CVAT reads one zip file per task")
    for sequence in sequences:
        path = out if out.suffix == ".zip" else out / f"{sequence.name}.zip"
        if not sequence.is_ground_truth:
            rows = sequence.rows
            without_score = Rows(rows.frames, rows.ids, rows.tlwh, rows.rest[:, :0])
            sequence = ground_truth_rows(sequence.name, without_score)
        labels = "".join(f"{name}\n" for name in CLASSES)
        write_archive({"gt/gt.txt": rows_as_text(sequence), "gt/labels.txt": labels}, path)
    return out
