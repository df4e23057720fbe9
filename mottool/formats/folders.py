"""The text files of MOTChallenge and TrackEval, and the zip file for MOTChallenge's server.

TrackEval (Luiten & Hoffhues, github.com/JonathonLuiten/TrackEval) reads `TRACKER/data/SEQ.txt`,
`SEQ/gt/gt.txt` and `SEQ/seqinfo.ini`; MOTChallenge's server accepts `SEQ.txt` in a zip file.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mottool.errors import InputError
from mottool.files import atomic_write, safe_name
from mottool.formats.sequence_rows import (
    SequenceRows,
    ground_truth_rows,
    result_rows,
    warn_of_classes,
)
from mottool.metrics.ground_truth_files import find_ground_truth
from mottool.metrics.inputs import find_tracker
from mottool.motchallenge.class_names import class_column, read_named_rows
from mottool.motchallenge.rows import Rows, parse_rows, read_rows
from mottool.motchallenge.seqinfo import SeqInfo, read_seqinfo
from mottool.motchallenge.zip_files import is_archive_name, read_results, write_archive

__all__ = [
    "read",
    "read_server",
    "rows_as_text",
    "seqinfo_text",
    "write_motchallenge",
    "write_server",
    "write_trackeval",
]

GROUND_TRUTH_COLUMNS = 3  # flag, class, visibility; results have four: score and three unused


def read(path: Path, warn: Callable[[str], None]) -> list[SequenceRows]:
    """Read the sequences of a folder or text file.

    `gt/gt.txt` is ground truth, and so is a `SEQ.txt` with nine columns; with any other number of
    columns it is a result. Raises `InputError` if there is nothing, or if rows are malformed.
    """
    try:
        files = list(find_ground_truth([path]).values())
    except InputError:
        files = []
    if any(file.path.name.startswith("gt.") for file in files):
        sequences = []
        for file in files:
            rows, extra = read_named_rows(file.path)
            sequence = ground_truth_rows(file.sequence, rows, _info(file.path))
            sequences.append(replace(sequence, extra_classes=extra))
        return sequences
    paths = {safe_name(name): file for name, file in find_tracker(path).items()}
    read = {name: read_rows(file, "result") for name, file in paths.items()}
    return [replace(rows, path=paths[rows.name]) for rows in _by_columns(read, warn)]


def read_server(path: Path, warn: Callable[[str], None]) -> list[SequenceRows] | None:
    """Read the sequences of the text files in a zip file; return None for other files.

    Raises `InputError` if there are no text files, or if rows are malformed.
    """
    if not is_archive_name(path):
        return None
    texts = read_results(path, warn)
    rows = {name: parse_rows(text, path / f"{name}.txt") for name, text in texts.items()}
    return _by_columns(rows, warn)


def _by_columns(files: Mapping[str, Rows], warn: Callable[[str], None]) -> list[SequenceRows]:
    """Return ground truth or results, according to the number of columns.

    `warn` receives a message for results with classes in column 8 that are not all 0 or all 1.
    """
    sequences = []
    for name, rows in files.items():
        if rows.rest.shape[1] == GROUND_TRUTH_COLUMNS:
            sequences.append(replace(ground_truth_rows(name, rows), guessed=True))
            continue
        warn_of_classes(name, (f"{number:.0f}" for number in class_column(rows)), warn)
        sequences.append(result_rows(name, rows))
    return sequences


def _info(path: Path) -> SeqInfo | None:
    """Read the seqinfo.ini of a ground-truth file, if there is one."""
    folder = path.resolve().parent
    file = (folder.parent if folder.name == "gt" else folder) / "seqinfo.ini"
    return read_seqinfo(file) if file.is_file() else None


def write_motchallenge(sequences: Sequence[SequenceRows], out: Path) -> Path:
    """Write results as `SEQ.txt` in the folder `out`, ground truth as `SEQ/gt/gt.txt`.

    Ground truth also gets a `SEQ/seqinfo.ini`, and a `SEQ/gt/labels.txt` if it has classes that
    MOTChallenge does not have.
    """
    for sequence in sequences:
        if not sequence.is_ground_truth:
            _write(rows_as_text(sequence), out / f"{sequence.name}.txt")
            continue
        _write(rows_as_text(sequence), out / sequence.name / "gt" / "gt.txt")
        _write(seqinfo_text(sequence), out / sequence.name / "seqinfo.ini")
        if sequence.extra_classes:
            names = "".join(f"{name}\n" for name in sequence.class_names)
            _write(names, out / sequence.name / "gt" / "labels.txt")
    return out


def write_trackeval(sequences: Sequence[SequenceRows], out: Path) -> Path:
    """Write as `write_motchallenge`, but results into `data/` in the tracker's folder `out`."""
    are_results = bool(sequences) and not sequences[0].is_ground_truth
    write_motchallenge(sequences, out / "data" if are_results else out)
    return out


def write_server(sequences: Sequence[SequenceRows], out: Path) -> Path:
    """Write results as `SEQ.txt` in the zip file `out`; raise `InputError` for ground truth."""
    if any(sequence.is_ground_truth for sequence in sequences):
        problem = f"{sequences[0].name} is ground truth, which the server does not accept"
        raise InputError(problem, "choose another format; for results add --kind results")
    texts = {f"{sequence.name}.txt": rows_as_text(sequence) for sequence in sequences}
    return write_archive(texts, out)


def rows_as_text(sequence: SequenceRows) -> str:
    """Return rows in MOTChallenge's text format, by frame and identity.

    Ground truth has nine columns, results have ten.
    """
    rows = sequence.rows
    columns = zip(rows.frames, rows.ids, rows.tlwh.tolist(), rows.rest.tolist(), strict=True)
    lines = []
    for frame, identity, box, rest in sorted(columns, key=lambda row: row[:2]):
        if sequence.is_ground_truth:
            tail = f"{rest[0]:.0f},{rest[1]:.0f},{rest[2]:.6g}"
        else:
            tail = f"{rest[0]:.6g},-1,-1,-1"
        sides = ",".join(f"{side:.10g}" for side in box)
        lines.append(f"{frame},{identity},{sides},{tail}\n")
    return "".join(lines)


def seqinfo_text(sequence: SequenceRows) -> str:
    """Return the content of a seqinfo.ini, without keys whose value is unknown."""
    info = sequence.info
    values = {
        "name": sequence.name,
        "imDir": info.image_dir if info else "img1",
        "frameRate": info.frame_rate if info else None,
        "seqLength": sequence.length or None,
        "imWidth": info.width if info else None,
        "imHeight": info.height if info else None,
        "imExt": ".jpg",
    }
    lines = [
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in values.items()
        if value is not None
    ]
    return "\n".join(["[Sequence]", *lines]) + "\n"


def _write(text: str, path: Path) -> None:
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
