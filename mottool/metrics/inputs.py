"""Find result files by tracker, caches, and ground truth by sequence."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mottool.errors import InputError, did_you_mean
from mottool.files import safe_name
from mottool.motchallenge.seqinfo import read_seqinfo

__all__ = [
    "GroundTruthFile",
    "find_caches",
    "find_results",
    "find_ground_truth",
    "get_ground_truth",
]

ENDINGS = (".txt", ".txt.gz")
DEPTHS = ("", "*/", "*/*/")  # a sequence, a root of sequences, a root with train/ and test/


@dataclass(frozen=True)
class GroundTruthFile:
    """The ground truth of one sequence; `length` in frames is None without a `seqinfo.ini`."""

    sequence: str
    path: Path
    length: int | None


def find_ground_truth(sources: Iterable[Path]) -> dict[str, GroundTruthFile]:
    """Find ground truth by sequence; a sequence has the name of its folder.

    A source is a dataset root, a sequence folder (`gt/gt.txt` or `gt.txt`), a folder of
    `<sequence>.txt`, or one such file; all may be gzipped. Raises `InputError` if a source has no
    ground truth, or if two sources have different ground truth of a sequence.
    """
    files: dict[str, GroundTruthFile] = {}
    for source in sources:
        paths = _truth_files(source)
        if not paths:
            fix = (
                "give a dataset root, a sequence folder with gt/gt.txt, or a folder of SEQUENCE.txt"
            )
            raise InputError(f"there is no ground truth in {source}", fix)
        for path in paths:
            file = _ground_truth_file(path)
            other = files.setdefault(file.sequence, file)
            if other.path.parent.resolve() != path.parent.resolve():
                problem = f"{other.path} and {path} are both ground truth of {file.sequence}"
                raise InputError(problem, "name only one of their folders with --gt")
    return files


def _truth_files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    for name in ("gt/gt", "gt"):
        paths = [
            path for depth in DEPTHS for end in ENDINGS for path in source.glob(depth + name + end)
        ]
        if paths:
            return sorted(paths)
    return _text_files(source)


def _ground_truth_file(path: Path) -> GroundTruthFile:
    folder = path.resolve().parent
    if _stem(path) != "gt":
        return GroundTruthFile(safe_name(_stem(path)), path, None)
    if folder.name == "gt":
        folder = folder.parent
    info = folder / "seqinfo.ini"
    length = read_seqinfo(info).length if info.is_file() else None
    return GroundTruthFile(safe_name(folder.name), path, length)


def find_results(sources: Iterable[Path]) -> dict[str, dict[str, Path]]:
    """Find result files by tracker and sequence.

    A tracker is a folder of `<sequence>.txt` (or .gz), or of `data/` with these files, as in
    TrackEval. A source is a tracker, a folder of such trackers, or a file, which belongs to the
    tracker of its folder. Raises `InputError` if a source has no result file, or two of a sequence.
    """
    folders: dict[Path, dict[str, Path]] = {}
    for source in sources:
        paths = [source] if source.is_file() else _result_files(source)
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


def _tracker_folder(folder: Path) -> Path:
    return folder.parent if folder.name == "data" else folder


def _result_files(source: Path) -> list[Path]:
    data_folders = sorted(folder for folder in source.glob("*/data") if folder.is_dir())
    return (
        _text_files(source)
        or _text_files(source / "data")
        or [path for folder in data_folders for path in _text_files(folder)]
    )


def find_caches(sources: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Return the caches among `sources` or in folders of them, and the remaining sources."""
    caches, others = [], []
    for source in sources:
        paths = sorted(source.glob("*.h5"))
        if source.suffix == ".h5" and not source.is_dir():
            caches.append(source)
        elif paths:
            caches += paths
        else:
            others.append(source)
    return caches, others


def get_ground_truth(sequence: str, files: Mapping[str, GroundTruthFile]) -> GroundTruthFile:
    """Return the ground truth of a sequence; raise `InputError` with the near miss without one."""
    if sequence not in files:
        problem = f"there is no ground truth for {sequence!r}"
        raise InputError(problem, f"{did_you_mean(sequence, files)}, or add its folder with --gt")
    return files[sequence]


def _text_files(folder: Path) -> list[Path]:
    return sorted(path for end in ENDINGS for path in folder.glob("*" + end))


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".txt")
