"""Find result files by tracker, caches, and ground truth by sequence."""

import glob
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mottool.errors import InputError, did_you_mean, ignore_warning
from mottool.files import safe_name, visible_files
from mottool.layouts.registry import find_labels, layout_of, name_of
from mottool.motchallenge.seqinfo import read_seqinfo
from mottool.motchallenge.zip_files import file_on_disk, is_archive, read_results
from mottool.records.record import holds_records
from mottool.splits import (
    HALVES,
    Span,
    Split,
    frames_of_half,
    name_of_half,
    parse_source,
    without_half,
)

__all__ = [
    "GroundTruthFile",
    "add_ground_truth",
    "covered_by_others",
    "find_caches",
    "find_result",
    "find_results",
    "replace_sequence_folders",
    "expand_work_folders",
    "find_tracker",
    "find_ground_truth",
    "get_ground_truth",
    "has_ground_truth",
    "part_of_cache",
]

ENDINGS = (".txt", ".txt.gz")
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
    return [*labels, *sorted(paths)] or _text_files(source)


def _can_be_text(path: Path) -> bool:
    """Return whether a file is compressed, or has no NUL at its start, as videos have."""
    with path.open("rb") as file:
        return path.suffix == ".gz" or b"\0" not in file.read(START)


def _ground_truth_file(path: Path) -> GroundTruthFile:
    if layout := layout_of(path):
        return GroundTruthFile(name_of(path), path, layout.length(path))
    folder = path.resolve().parent
    if _stem(path) != "gt":
        return GroundTruthFile(safe_name(_stem(path)), path, None)
    if folder.name == "gt":
        folder = folder.parent
    name, ini = safe_name(folder.name), folder / "seqinfo.ini"
    if not ini.is_file():
        return GroundTruthFile(name, path, None)
    info = read_seqinfo(ini)
    size = (info.width, info.height) if info.width and info.height else None
    return GroundTruthFile(name, path, info.length, size=size)


def find_results(
    sources: Iterable[Path], warn: Callable[[str], None] = ignore_warning
) -> dict[str, dict[str, Path]]:
    """Find result files by tracker and sequence.

    A tracker is a folder of `<sequence>.txt` (or .gz), or of `data/` with these files, as in
    TrackEval, or a zip file for MOTChallenge's server. A source is a tracker, a folder of such
    trackers, a work folder, or a file, which belongs to the tracker of its folder. `warn` receives
    a message for each text in a zip file that is no result. Raises `InputError` if a source has no
    result file, or two of a sequence.
    """
    folders: dict[Path, dict[str, Path]] = {}
    for source in expand_work_folders(sources, "tracks"):
        paths = _result_files(source, warn)
        if not paths:
            problem = "holds no SEQUENCE.txt" if source.is_dir() else "does not exist"
            raise InputError(f"{source} {problem}", "name result files or folders of them")
        for path in paths:
            files = folders.setdefault(path.resolve().parent, {})
            other = files.setdefault(_stem(path), path)
            if other.name != path.name:
                problem = f"{other} and {path} are both results of {_stem(path)}"
                raise InputError(problem, "keep one of them in the folder")
    if not folders:
        fix = "run `mottool associate` first, or name result files"
        raise InputError("there are no result files to score", fix)
    trackers = [_tracker_folder(folder) for folder in folders]
    if len(set(trackers)) < len(trackers):
        fix = "name either the folder or its data/, not both"
        raise InputError("a tracker has results in its folder and in data/ below it", fix)
    names = [tracker.name for tracker in trackers]
    return {
        tracker.name if names.count(tracker.name) == 1 else str(tracker): files
        for tracker, files in zip(trackers, folders.values(), strict=True)
    }


def find_tracker(source: Path) -> dict[str, Path]:
    """Find the result files of a folder or zip file of one tracker, by sequence.

    Raises `InputError` as `find_results` does, and if there are several trackers.
    """
    trackers = find_results([source])
    if len(trackers) > 1:
        problem = f"{source} holds the results of {len(trackers)} trackers"
        raise InputError(problem, f"name one of them, such as {source / next(iter(trackers))}")
    (results,) = trackers.values()
    return results


def find_result(source: Path, sequence: str) -> Path:
    """Return the result file of a sequence in a folder or zip file of one tracker.

    `source` may be the file itself, whatever its name is. Raises `InputError` without it.
    """
    if source.is_file() and not is_archive(source):
        return source
    results = find_tracker(source)
    if sequence not in results:
        fix = "run mottool associate on it, or name other results"
        raise InputError(f"there is no result file of {sequence} in {source}", fix)
    return results[sequence]


def _tracker_folder(folder: Path) -> Path:
    if is_archive(folder):
        return folder.with_suffix("")
    return folder.parent if folder.name == "data" else folder


def _result_files(source: Path, warn: Callable[[str], None]) -> list[Path]:
    if _is_sequence(source):  # its gt/ and det/ are no trackers
        return []
    if is_archive(source):
        return [source / f"{sequence}.txt" for sequence in read_results(source, warn)]
    if file_on_disk(source).is_file():
        return [source]
    if files := _files_of_tracker(source):
        return files
    trackers = sorted(folder for folder in source.glob("*/") if not holds_records(folder))
    zip_files = [path for path in visible_files(source, "*.zip") if is_archive(path)]
    zip_files = [path for path in zip_files if path.with_suffix("") not in trackers]
    return [
        *(path for folder in trackers for path in _files_of_tracker(folder)),
        *(path for file in zip_files for path in _result_files(file, warn)),
    ]


def _files_of_tracker(folder: Path) -> list[Path]:
    """Return the text files of a tracker; beside `data/`, TrackEval writes summaries as text."""
    texts, data = _text_files(folder), _text_files(folder / "data")
    return [*data, *filter(_begins_with_number, texts)] if data else texts


def _begins_with_number(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(START).lstrip()[:1] in b"+-.0123456789"


def expand_work_folders(sources: Iterable[Path], kind: str) -> list[Path]:
    """Replace each work folder among `sources` by its folders of `kind`, `caches` or `tracks`.

    A source may also be the folder of that name itself. `SOURCE@SPLIT` remains a part. Sources
    without such folders are returned as they are.
    """
    expanded = []
    for source in sources:
        folder, split = parse_source(source)
        pattern = "*/" if folder.resolve().name == kind else f"{kind}/*/"
        inner = [path for path in sorted(folder.glob(pattern)) if not holds_records(path)]
        parts = [Path(f"{path}@{split.name}") if split else path for path in inner]
        expanded += parts or [source]
    return expanded


def replace_sequence_folders(sources: Iterable[Path], kind: str, work: Path) -> list[Path]:
    """Replace each sequence folder among `sources` by the files of that sequence in a work folder.

    `kind` is `caches` or `tracks`; the files are those of all pipelines and trackers. Other sources
    are returned as they are, and `SEQUENCE@SPLIT` remains a part. Folders of records
    (`NAME.settings`), which a pattern such as `caches/*` also matches, are left out. Raises
    `InputError` if the work folder `work` has none.
    """
    replaced = []
    for source in sources:
        folder, split = parse_source(source)
        if holds_records(folder):
            continue
        if not _is_sequence(folder):
            replaced.append(source)
            continue
        name = safe_name(folder.resolve().name)
        suffix = ".h5" if kind == "caches" else ".txt"
        paths = visible_files(work, f"{kind}/*/{glob.escape(name)}{suffix}")
        if not paths:
            command = "detect-embed" if kind == "caches" else "associate"
            problem = f"{source} is a sequence of which {work} has no {kind}"
            raise InputError(problem, f"run mottool {command} first, or give --work")
        replaced += [Path(f"{path}@{split.name}") if split else path for path in paths]
    return replaced


def _is_sequence(folder: Path) -> bool:
    return (folder / "seqinfo.ini").is_file() or (folder / "img1").is_dir()


def find_caches(sources: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Return the caches among `sources`, in folders of them or work folders; and other sources.

    `SOURCE@SPLIT` is a part of the caches, see `mottool.splits`; a cache of which only a half is
    selected is returned as `CACHE@first` or `CACHE@second`. Raises `InputError` if a video of the
    split has no cache.
    """
    caches, others = [], []
    for source in expand_work_folders(sources, "caches"):
        folder, split = parse_source(source)
        paths = visible_files(folder, "*.h5")
        if folder.suffix == ".h5" and not folder.is_dir():
            paths = [folder]
        if paths and split:
            caches += _select_caches(paths, split, folder)
        elif paths:
            caches += paths
        else:
            others.append(source)
    return caches, others


def _select_caches(paths: list[Path], split: Split, source: Path) -> list[Path]:
    """Return the part `split` of caches, which are named after their sequences."""
    selected = set(split.select([path.stem for path in paths], source))
    halves = {path.stem for path in paths if without_half(path.stem)[1]}
    parts = []
    for path in paths:
        half = without_half(path.stem)[1]
        if path.stem not in selected or half not in {"", split.half}:
            continue
        if half == split.half:
            parts.append(path)
        elif name_of_half(path.stem, split.half) not in halves:
            parts.append(Path(f"{path}@{split.half}"))
    return parts


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


def _text_files(folder: Path) -> list[Path]:
    return sorted(path for end in ENDINGS for path in visible_files(folder, "*" + end))


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".txt")
