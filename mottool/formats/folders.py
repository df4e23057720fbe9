"""MOTChallenge's and TrackEval's folders of text files, and the zip file that the server takes.

TrackEval (Luiten & Hoffhues, github.com/JonathonLuiten/TrackEval) reads `TRACKER/data/SEQ.txt`
and `SEQ/gt/gt.txt` beside `SEQ/seqinfo.ini`; MOTChallenge's server takes `SEQ.txt` in a zip file.
"""

from collections.abc import Sequence
from pathlib import Path

from mottool.errors import InputError
from mottool.files import atomic_write
from mottool.formats.sequence_rows import Sheet, results_sheet, truth_sheet
from mottool.formats.zip_files import write_archive
from mottool.metrics.inputs import find_results, find_truth
from mottool.motchallenge.rows import Rows, parse_rows, read_rows
from mottool.motchallenge.seqinfo import SeqInfo, read_seqinfo

__all__ = [
    "read",
    "read_server",
    "text_of",
    "write_motchallenge",
    "write_server",
    "write_trackeval",
]

TRUTH_COLUMNS = 3  # flag, class, visibility; results have four: score and three that are unused


def read(place: Path) -> list[Sheet]:
    """The sheets of a folder or file of rows.

    `gt/gt.txt` is ground truth, and `SEQ.txt` is too if it has nine columns; with others it is a
    result. An `InputError` if there is nothing, or rows are broken.
    """
    try:
        truths = list(find_truth([place]).values())
    except InputError:
        truths = []
    if any(truth.path.name.startswith("gt.") for truth in truths):
        return [
            truth_sheet(truth.sequence, read_rows(truth.path, "ground truth"), _info(truth.path))
            for truth in truths
        ]
    trackers = find_results([place])
    if len(trackers) > 1:
        problem = f"{place} holds the results of {len(trackers)} trackers"
        raise InputError(problem, f"name one of them, such as {place / next(iter(trackers))}")
    (files,) = trackers.values()
    return [_plain(name, read_rows(path, "result")) for name, path in files.items()]


def read_server(path: Path, texts: dict[str, str]) -> list[Sheet]:
    """The sheets of the result files `texts` in a zip file `path`."""
    named = {Path(name).stem: (name, text) for name, text in texts.items()}
    return [
        _plain(stem, parse_rows(text, path / name)) for stem, (name, text) in sorted(named.items())
    ]


def _plain(name: str, rows: Rows) -> Sheet:
    is_truth = rows.rest.shape[1] == TRUTH_COLUMNS
    return truth_sheet(name, rows) if is_truth else results_sheet(name, rows)


def _info(path: Path) -> SeqInfo | None:
    folder = path.resolve().parent
    file = (folder.parent if folder.name == "gt" else folder) / "seqinfo.ini"
    return read_seqinfo(file) if file.is_file() else None


def write_motchallenge(sheets: Sequence[Sheet], out: Path) -> Path:
    """Results as `SEQ.txt` in the folder `out`, ground truth as `SEQ/gt/gt.txt` and seqinfo.ini."""
    for sheet in sheets:
        if not sheet.truth:
            _write(text_of(sheet), out / f"{sheet.name}.txt")
            continue
        _write(text_of(sheet), out / sheet.name / "gt" / "gt.txt")
        _write(_seqinfo(sheet), out / sheet.name / "seqinfo.ini")
    return out


def write_trackeval(sheets: Sequence[Sheet], out: Path) -> Path:
    """As `write_motchallenge`, but results go into `data/` in the tracker's folder `out`."""
    results = bool(sheets) and not sheets[0].truth
    write_motchallenge(sheets, out / "data" if results else out)
    return out


def write_server(sheets: Sequence[Sheet], out: Path) -> Path:
    """Results as `SEQ.txt` in the zip file `out`; an `InputError` for ground truth."""
    if any(sheet.truth for sheet in sheets):
        problem = f"{sheets[0].name} is ground truth, which no server takes"
        raise InputError(problem, "give results, or choose another form")
    return write_archive({f"{sheet.name}.txt": text_of(sheet) for sheet in sheets}, out)


def text_of(sheet: Sheet) -> str:
    """The rows as text, by frame and identity, in MOTChallenge's nine or ten columns."""
    rows = sheet.rows
    columns = zip(rows.frames, rows.ids, rows.tlwh.tolist(), rows.rest.tolist(), strict=True)
    lines = []
    for frame, identity, box, rest in sorted(columns, key=lambda row: row[:2]):
        if sheet.truth:
            tail = f"{rest[0]:.0f},{rest[1]:.0f},{rest[2]:.6g}"
        else:
            tail = f"{rest[0]:.6g},-1,-1,-1"
        sides = ",".join(f"{side:.10g}" for side in box)
        lines.append(f"{frame},{identity},{sides},{tail}\n")
    return "".join(lines)


def _seqinfo(sheet: Sheet) -> str:
    info = sheet.info
    known = {
        "name": sheet.name,
        "imDir": info.image_dir if info else "img1",
        "frameRate": info.frame_rate if info else None,
        "seqLength": sheet.length or None,
        "imWidth": info.width if info else None,
        "imHeight": info.height if info else None,
        "imExt": ".jpg",
    }
    told = [
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in known.items()
        if value is not None
    ]
    return "\n".join(["[Sequence]", *told]) + "\n"


def _write(text: str, path: Path) -> None:
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
