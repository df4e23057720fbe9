"""Find ground truth by sequence, and choose that of a result or cache."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mottool.errors import InputError, did_you_mean
from mottool.files import safe_name
from mottool.layouts.registry import find_labels, layout_of, name_of
from mottool.motchallenge.seqinfo import read_seqinfo
from mottool.motchallenge.text_files import ENDINGS, stem_of, text_files
from mottool.motchallenge.zip_files import is_archive
from mottool.splits import HALVES, Span, frames_of_half, name_of_half, parse_source, without_half

__all__ = [
    "GroundTruthFile",
    "add_ground_truth",
    "covered_by_others",
    "find_ground_truth",
    "get_ground_truth",
    "has_ground_truth",
    "part_of_cache",
]

START = 4096  # bytes of a file by which text is known
NAMES = ("gt/gt", "gt")  # of ground truth in the folder of its sequence, without the ending
# A sequence, a root of sequences, a root with train/ and test/, and SportsMOT's above dataset/.
DEPTHS = ("", "*/", "*/*/", "*/*/*/")


@dataclass(frozen=True)
class GroundTruthFile:
    """The ground truth of one sequence; `length` in frames is None without a `seqinfo.ini`.

    `size` are the width and height of its frames in pixels, None if no `seqinfo.ini` has them.
    `span` are the first and the last frame that are scored, None for all; of a half of the
    sequence, `sequence` is `SEQUENCE@first` or `SEQUENCE@second`. `classes` are the names of the
    classes that are scored; () means people.
    """

    sequence: str
    path: Path
    length: int | None
    span: tuple[int, int] | None = None
    classes: tuple[str, ...] = ()
    size: tuple[int, int] | None = None

    def within(self, frames: Span) -> "GroundTruthFile":
        """Return the ground truth of the frames from the first to the last, None for the end.

        It keeps the name of the sequence, and its half. Raises `InputError` if none of the frames
        is in it.
        """
        start, end = self.span or (1, self.length or sys.maxsize)
        first, last = max(frames[0], start), min(frames[1] or end, end)
        if first > last:
            problem = f"{self.sequence} has the frames {start} to {end}, so none from {first} on"
            if last < start:
                problem = f"{self.sequence} has the frames {start} to {end}, so none up to {last}"
            raise InputError(problem, "choose --frames inside the sequence")
        return replace(self, span=(first, last))

    def half(self, which: str) -> "GroundTruthFile":
        """Return the `first` or `second` half; raise `InputError` if the length is unknown."""
        if self.length is None:
            problem = f"no seqinfo.ini states how many frames {self.sequence} has"
            fix = "write seqLength in the seqinfo.ini beside its gt folder"
            raise InputError(f"{problem}, so {self.path} cannot be halved", fix)
        span = frames_of_half(self.length, which, self.sequence)
        half = replace(self, sequence=name_of_half(self.sequence, which), span=span)
        return half.within(self.span) if self.span else half


def find_ground_truth(
    sources: Iterable[Path], classes: tuple[str, ...] = ()
) -> dict[str, GroundTruthFile]:
    """Find ground truth by sequence; a sequence has the name of its folder.

    A source is a dataset root, a sequence folder (`gt/gt.txt` or `gt.txt`), a folder of
    `<sequence>.txt`, or one such file; all may be gzipped. Or it is a file or folder of a benchmark
    in `layouts.registry`. `SOURCE@SPLIT` is a part of it, see `mottool.splits`. `classes` are
    those of `GroundTruthFile`. Raises `InputError` if a source has no ground truth, if two sources
    have different ground truth of a sequence, or if a sequence to halve has no `seqinfo.ini`.
    """
    files: dict[str, GroundTruthFile] = {}
    for source in sources:
        folder, split = parse_source(source)
        paths = _truth_files(folder)
        if not paths:
            fix = (
                "give a dataset root, a sequence folder with gt/gt.txt, or a folder of SEQUENCE.txt"
            )
            fix = "run mottool convert on it, and give its output" if is_archive(folder) else fix
            raise InputError(f"there is no ground truth in {folder}", fix)
        found = {path: replace(_ground_truth_file(path), classes=classes) for path in paths}
        names = {file.sequence for file in found.values()}
        selected = set(split.select(names, folder) if split else names)
        for file in found.values():
            if file.sequence not in selected:
                continue
            file = file.half(split.half) if split and split.half else file
            add_ground_truth(files, file)
    return files


def add_ground_truth(files: dict[str, GroundTruthFile], file: GroundTruthFile) -> None:
    """Add ground truth to `files`, by its sequence; raise `InputError` if another file is there."""
    other = files.setdefault(file.sequence, file)
    if other.path.resolve() != file.path.resolve():
        problem = f"{other.path} and {file.path} are both ground truth of {file.sequence}"
        raise InputError(problem, "name only one of them, or remove the other")


def _truth_files(source: Path) -> list[Path]:
    labels = find_labels(source)
    if source.is_file():
        return labels or ([source] if _can_be_text(source) else [])
    names = [depth + name + end for name in NAMES for depth in DEPTHS for end in ENDINGS]
    paths = {path for name in names for path in source.glob(name)}
    return [*labels, *sorted(paths)] or text_files(source)


def _can_be_text(path: Path) -> bool:
    """Return whether a file is compressed, or has no NUL at its start, as videos have."""
    with path.open("rb") as file:
        return path.suffix == ".gz" or b"\0" not in file.read(START)


def _ground_truth_file(path: Path) -> GroundTruthFile:
    if layout := layout_of(path):
        return GroundTruthFile(name_of(path), path, layout.length(path))
    folder = path.resolve().parent
    if stem_of(path) != "gt":
        return GroundTruthFile(safe_name(stem_of(path)), path, None)
    if folder.name == "gt":
        folder = folder.parent
    name, ini = safe_name(folder.name), folder / "seqinfo.ini"
    if not ini.is_file():
        return GroundTruthFile(name, path, None)
    info = read_seqinfo(ini)
    size = (info.width, info.height) if info.width and info.height else None
    return GroundTruthFile(name, path, info.length, size=size)


def get_ground_truth(sequence: str, files: Mapping[str, GroundTruthFile]) -> GroundTruthFile:
    """Return the ground truth that a result or cache of a sequence is scored against.

    A half of a sequence is scored against that half of the ground truth. If only a half of the
    ground truth is given, a whole sequence is scored against that. Raises `InputError` with the
    near miss if there is none, and if both halves are given for a whole sequence.
    """
    whole, half = without_half(sequence)
    halves = [name for name in _halves_of(sequence) if name in files]
    if sequence in files:
        return files[sequence]
    if half and whole in files:
        return files[whole].half(half)
    if not half and len(halves) > 1:
        problem = f"{sequence} is one result, but both halves of its ground truth are given"
        raise InputError(problem, "give one of them with --gt, or all of it")
    if not halves:
        problem = f"there is no ground truth for {sequence!r}"
        raise InputError(problem, f"{did_you_mean(sequence, files)}, or add its folder with --gt")
    return files[halves[0]]


def has_ground_truth(sequence: str, files: Iterable[str]) -> bool:
    """Return whether `get_ground_truth` has ground truth of a sequence among these `files`."""
    whole, half = without_half(sequence)
    names = set(files)
    return bool(names & {sequence, *([whole] if half else _halves_of(sequence))})


def covered_by_others(names: Iterable[str], files: Iterable[str]) -> list[str]:
    """Return which sequences and halves are left out because ground truth fits another of them.

    If there are results of a sequence and of a half of it, those with the name of a ground-truth
    file are scored, so that no frame counts twice.
    """
    names, known = list(names), set(files)
    exact = {without_half(name)[0] for name in names if name in known}
    return [name for name in names if name not in known and without_half(name)[0] in exact]


def part_of_cache(path: Path, sequence: str, file: GroundTruthFile) -> Path:
    """Return the part of a sequence's cache to score: `path@HALF` if only a half has truth."""
    half = without_half(file.sequence)[1]
    return Path(f"{path}@{half}") if half and half != without_half(sequence)[1] else path


def _halves_of(sequence: str) -> list[str]:
    return [name_of_half(sequence, half) for half in HALVES]
