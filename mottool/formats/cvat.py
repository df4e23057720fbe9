"""CVAT's "MOT 1.1": a zip file with `gt/gt.txt` and the names of classes in `gt/labels.txt`.

docs.cvat.ai, "Formats, MOT". The rows are MOTChallenge's ground truth (frame, identity, left, top,
width, height, flag, class, visibility). The class is a line of `labels.txt`, counted from 1;
without that file it is MOTChallenge's own number. A `seqinfo.ini` beside `gt/` is read too. Results
are written as boxes to be corrected.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from mottool.errors import InputError
from mottool.files import safe_name
from mottool.formats.folders import rows_as_text
from mottool.formats.sequence_rows import CLASSES, SequenceRows, ground_truth_rows
from mottool.motchallenge.class_names import with_class_numbers
from mottool.motchallenge.rows import Rows, parse_rows
from mottool.motchallenge.seqinfo import parse_seqinfo
from mottool.motchallenge.zip_files import is_archive_name, read_archive, write_archive

__all__ = ["read", "write"]


def read(path: Path, warn: Callable[[str], None]) -> list[SequenceRows] | None:
    """Read the ground truth in a zip file; return None for other files.

    A zip file of one task is the sequence of the file's name. Of several tasks in folders, each is
    the sequence of its folder. Raises `InputError` for malformed rows and a class without a name.
    """
    texts = read_archive(path) if is_archive_name(path) else {}
    tasks = {_task(name): name for name in texts if name.name == "gt.txt"}
    several = len(tasks) > 1
    sequences = []
    for folder, name in sorted(tasks.items()):
        title = safe_name(folder.name) if several and folder.name else safe_name(path.stem)
        source = path / folder if several else path
        info = texts.get(folder / "seqinfo.ini")
        sequence = ground_truth_rows(
            title,
            parse_rows(texts[name], source),
            parse_seqinfo(info, path / folder / "seqinfo.ini") if info else None,
        )
        labels = texts.get(name.with_name("labels.txt"), "\n".join(CLASSES))
        rows, extra = with_class_numbers(sequence.rows, labels, source)
        sequences.append(replace(sequence, rows=rows, extra_classes=extra))
    return sequences or None


def _task(name: PurePosixPath) -> PurePosixPath:
    """Return the folder of a task: that of `gt/gt.txt`, or of a bare `gt.txt`."""
    return name.parent.parent if name.parent.name == "gt" else name.parent


def write(sequences: Sequence[SequenceRows], out: Path) -> Path:
    """Write one sequence as the zip file `out`, or several as `SEQ.zip` in the folder `out`."""
    if is_archive_name(out) and len(sequences) > 1:
        problem = f"{out} is one zip file, but there are {len(sequences)} sequences"
        raise InputError(problem, "name a folder with --out: CVAT reads one zip file per task")
    for sequence in sequences:
        path = out if is_archive_name(out) else out / f"{sequence.name}.zip"
        if not sequence.is_ground_truth:
            rows = sequence.rows
            without_score = Rows(rows.frames, rows.ids, rows.tlwh, rows.rest[:, :0])
            sequence = ground_truth_rows(sequence.name, without_score)
        labels = "".join(f"{name}\n" for name in sequence.class_names)
        write_archive({"gt/gt.txt": rows_as_text(sequence), "gt/labels.txt": labels}, path)
    return out
