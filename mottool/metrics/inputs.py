"""Which files are scored: results by tracker, caches, ground truth by sequence."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mottool.errors import InputError, did_you_mean
from mottool.files import safe_name
from mottool.motchallenge.seqinfo import read_seqinfo

__all__ = ["GroundTruthFile", "find_caches", "find_results", "find_truth", "truth_of"]

ENDINGS = (".txt", ".txt.gz")
DEPTHS = ("", "*/", "*/*/")  # a sequence, a root of sequences, a root with train/ and test/


@dataclass(frozen=True)
class GroundTruthFile:
    """The ground truth of one sequence; `length` in frames is None without a `seqinfo.ini`."""

    sequence: str
    path: Path
    length: int | None


def find_truth(places: Iterable[Path]) -> dict[str, GroundTruthFile]:
    """Ground truth by sequence, named as `mottool` names the sequence's folder.

    A place is a dataset root, a sequence folder (`gt/gt.txt` or `gt.txt`), a folder of
    `<sequence>.txt`, or one such file; all may be gzipped. An `InputError` if a place holds none
    or two places hold different ones for a sequence.
    """
    found: dict[str, GroundTruthFile] = {}
    for place in places:
        paths = _truth_files(place)
        if not paths:
            fix = (
                "give a dataset root, a sequence folder with gt/gt.txt, or a folder of SEQUENCE.txt"
            )
            raise InputError(f"there is no ground truth in {place}", fix)
        for path in paths:
            truth = _truth(path)
            other = found.setdefault(truth.sequence, truth)
            if other.path.parent.resolve() != path.parent.resolve():
                problem = f"{other.path} and {path} are both ground truth of {truth.sequence}"
                raise InputError(problem, "name only one of their folders with --gt")
    return found


def _truth_files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    for name in ("gt/gt", "gt"):
        found = [
            path for depth in DEPTHS for end in ENDINGS for path in place.glob(depth + name + end)
        ]
        if found:
            return sorted(found)
    return _texts(place)


def _truth(path: Path) -> GroundTruthFile:
    folder = path.resolve().parent
    if _stem(path) != "gt":
        return GroundTruthFile(safe_name(_stem(path)), path, None)
    if folder.name == "gt":
        folder = folder.parent
    info = folder / "seqinfo.ini"
    length = read_seqinfo(info).length if info.is_file() else None
    return GroundTruthFile(safe_name(folder.name), path, length)


def find_results(places: Iterable[Path]) -> dict[str, dict[str, Path]]:
    """Result files by tracker and sequence; a tracker is a folder of `<sequence>.txt` (or .gz).

    It may hold them in `data/`, as TrackEval has it, and a place may be a folder of such trackers.
    A file named by itself belongs to the tracker of its folder. An `InputError` if a place holds
    no result file, or two for a sequence.
    """
    folders: dict[Path, dict[str, Path]] = {}
    for place in places:
        paths = [place] if place.is_file() else _results(place)
        if not paths:
            what = "holds no SEQUENCE.txt" if place.is_dir() else "does not exist"
            raise InputError(f"{place} {what}", "name result files or folders of them")
        for path in paths:
            files = folders.setdefault(path.resolve().parent, {})
            other = files.setdefault(_stem(path), path)
            if other.name != path.name:
                problem = f"{other} and {path} are both results of {_stem(path)}"
                raise InputError(problem, "keep one of them in the folder")
    if not folders:
        fix = "run `mottool associate` first, or name result files"
        raise InputError("there are no result files to score", fix)
    homes = {folder.parent if folder.name == "data" else folder for folder in folders}
    if len(homes) < len(folders):
        fix = "name either the folder or its data/, not both"
        raise InputError("a tracker has results in its folder and in data/ below it", fix)
    names = [home.name for home in homes]
    told = {}
    for folder, files in folders.items():
        home = folder.parent if folder.name == "data" else folder
        told[home.name if names.count(home.name) == 1 else str(home)] = files
    return told


def _results(place: Path) -> list[Path]:
    below = sorted(folder for folder in place.glob("*/data") if folder.is_dir())
    return (
        _texts(place)
        or _texts(place / "data")
        or [path for folder in below for path in _texts(folder)]
    )


def find_caches(places: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """The caches among `places`, themselves or in folders of them, and the places that are none."""
    caches, others = [], []
    for place in places:
        found = sorted(place.glob("*.h5"))
        if place.suffix == ".h5" and not place.is_dir():
            caches.append(place)
        elif found:
            caches += found
        else:
            others.append(place)
    return caches, others


def truth_of(sequence: str, truths: dict[str, GroundTruthFile]) -> GroundTruthFile:
    """The ground truth of a result file's sequence; an `InputError` naming the near miss."""
    if sequence not in truths:
        problem = f"there is no ground truth for {sequence!r}"
        raise InputError(problem, f"{did_you_mean(sequence, truths)}, or add its folder with --gt")
    return truths[sequence]


def _texts(folder: Path) -> list[Path]:
    return sorted(path for end in ENDINGS for path in folder.glob("*" + end))


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".txt")
