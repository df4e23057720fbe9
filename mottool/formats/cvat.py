"""CVAT's "MOT 1.1": a zip file with `gt/gt.txt` and the classes' names in `gt/labels.txt`.

docs.cvat.ai, "Formats, MOT". The rows are MOTChallenge's ground truth (frame, identity, left, top,
width, height, flag, class, visibility); the class is a line of `labels.txt`, counted from 1, or
without that file MOTChallenge's own number. Results go in as boxes to be corrected.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mottool.errors import InputError
from mottool.formats.folders import text_of
from mottool.formats.sequence_rows import CLASSES, Sheet, class_number, truth_sheet
from mottool.formats.zip_files import write_archive
from mottool.motchallenge.rows import Rows, parse_rows

__all__ = ["read", "recognises", "write"]

ROWS = ("gt/gt.txt", "gt.txt")
LABELS = ("gt/labels.txt", "labels.txt")


def recognises(texts: dict[str, str]) -> bool:
    """Whether the text files of a zip file are CVAT's."""
    return any(name in texts for name in ROWS)


def read(path: Path, texts: dict[str, str], warn: Callable[[str], None]) -> Sheet:
    """The ground truth of one sequence, named as the zip file `path` with these `texts` is.

    `warn` hears of classes that MOTChallenge does not have: their boxes are left out. An
    `InputError` for broken rows or a class without a name.
    """
    rows = parse_rows(next(texts[name] for name in ROWS if name in texts), path)
    sheet = truth_sheet(path.stem, rows)
    named = next((texts[name] for name in LABELS if name in texts), "\n".join(CLASSES))
    labels = [line.strip() for line in named.splitlines() if line.strip()]
    classes = sheet.rows.rest[:, 1].astype(np.int64)
    if len(classes) and not 1 <= classes.min() <= classes.max() <= len(labels):
        worst = classes[(classes < 1) | (classes > len(labels))][0]
        problem = f"{path} has a box of class {worst}, but names {len(labels)} classes"
        raise InputError(problem, "add it to gt/labels.txt, a name a line")
    numbers = np.array([0, *(class_number(label) or 0 for label in labels)])  # (L + 1,)
    for place in np.unique(classes[numbers[classes] == 0]).tolist():
        count = int((classes == place).sum())
        warn(f"{path}: {count} boxes of {labels[place - 1]!r} left out: no class of MOTChallenge")
    sheet.rows.rest[:, 1] = numbers[classes]
    keep = numbers[classes] > 0
    own = sheet.rows
    return Sheet(
        sheet.name, Rows(own.frames[keep], own.ids[keep], own.tlwh[keep], own.rest[keep]), True
    )


def write(sheets: Sequence[Sheet], out: Path) -> Path:
    """One sequence as the zip file `out`, or several as `SEQ.zip` in the folder `out`."""
    if out.suffix == ".zip" and len(sheets) > 1:
        problem = f"{out} is one zip file, but there are {len(sheets)} sequences"
        raise InputError(problem, "name a folder with --out: CVAT takes a zip file for each task")
    for sheet in sheets:
        path = out if out.suffix == ".zip" else out / f"{sheet.name}.zip"
        if not sheet.truth:
            own = sheet.rows
            sheet = truth_sheet(sheet.name, Rows(own.frames, own.ids, own.tlwh, own.rest[:, :0]))
        labels = "".join(f"{name}\n" for name in CLASSES)
        write_archive({"gt/gt.txt": text_of(sheet), "gt/labels.txt": labels}, path)
    return out
