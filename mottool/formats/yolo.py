"""Ultralytics' track labels, as `yolo track save_txt=True save_conf=True` writes them for a video.

A sequence is a folder with `labels/SEQUENCE_FRAME.txt`, where frames count from 1. A row is class,
centre x y, width and height as fractions of the image, the score (of results only), and the
identity. `classes.txt` names the classes. `seqinfo.ini` gives the size of the images, from which
`layouts.yolo_tracks` computes pixels again.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mottool.errors import InputError
from mottool.files import atomic_write
from mottool.formats.folders import seqinfo_text
from mottool.formats.sequence_rows import SequenceRows

__all__ = ["write"]


def write(sequences: Sequence[SequenceRows], out: Path) -> Path:
    """Write each sequence as the folder `out`/SEQUENCE; results have class 0, person.

    Raises `InputError` for a sequence whose width and height are unknown.
    """
    for sequence in sequences:
        if not (sequence.info and sequence.info.width and sequence.info.height):
            problem = f"{sequence.name}: YOLO's boxes are fractions of the image, of unknown size"
            raise InputError(problem, "name its images or video with --dataset")
        rows, size = sequence.rows, np.array([sequence.info.width, sequence.info.height])
        centres = (rows.tlwh[:, :2] + rows.tlwh[:, 2:] / 2) / size  # (n, 2)
        boxes = np.hstack([centres, rows.tlwh[:, 2:] / size])  # (n, 4)
        texts: dict[int, list[str]] = {}
        for row in np.lexsort((rows.ids, rows.frames)).tolist():
            values = [f"{value:.8g}" for value in boxes[row]]
            if sequence.is_ground_truth:
                values.insert(0, f"{rows.rest[row, 1] - 1:.0f}")
            else:
                values = ["0", *values, f"{rows.rest[row, 0]:.6g}"]
            line = " ".join([*values, str(rows.ids[row])])
            texts.setdefault(int(rows.frames[row]), []).append(line)
        folder = out / sequence.name
        for old in (folder / "labels").glob(f"{sequence.name}_*.txt"):
            old.unlink()
        for frame, lines in texts.items():
            _write(folder / "labels" / f"{sequence.name}_{frame}.txt", lines)
        names = sequence.class_names if sequence.is_ground_truth else ("person",)
        _write(folder / "classes.txt", names)
        _write(folder / "seqinfo.ini", seqinfo_text(sequence).splitlines())
    return out


def _write(path: Path, lines: Sequence[str]) -> None:
    with atomic_write(path) as part:
        part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
