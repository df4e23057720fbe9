"""Find result files by tracker, and caches."""

import glob
from collections.abc import Callable, Iterable
from pathlib import Path

from mottool.errors import InputError, ignore_warning
from mottool.files import safe_name, visible_files
from mottool.motchallenge.text_files import stem_of, text_files
from mottool.motchallenge.zip_files import archives_in, file_on_disk, is_archive, read_results
from mottool.records.record import holds_records
from mottool.splits import Split, name_of_half, parse_source, without_half

__all__ = [
    "find_caches",
    "find_result",
    "find_results",
    "replace_sequence_folders",
    "expand_work_folders",
    "find_tracker",
]

START = 4096  # bytes of a file by which rows are known


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
            other = files.setdefault(stem_of(path), path)
            if other.name != path.name:
                problem = f"{other} and {path} are both results of {stem_of(path)}"
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
    zip_files = [path for path in archives_in(source) if path.with_suffix("") not in trackers]
    return [
        *(path for folder in trackers for path in _files_of_tracker(folder)),
        *(path for file in zip_files for path in _result_files(file, warn)),
    ]


def _files_of_tracker(folder: Path) -> list[Path]:
    """Return the text files of a tracker; beside `data/`, TrackEval writes summaries as text."""
    texts, data = text_files(folder), text_files(folder / "data")
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
