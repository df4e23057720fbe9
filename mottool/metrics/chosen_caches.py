"""Choose the caches of a command: those that it names, or all of its work folder."""

from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from mottool.cache.reader import Cache, read_header
from mottool.errors import CacheError, InputError, did_you_mean, ignore_warning
from mottool.metrics.ground_truth_files import has_ground_truth
from mottool.metrics.inputs import find_caches, replace_sequence_folders
from mottool.workdir import WorkDir

__all__ = ["choose_caches", "unfinished_caches", "with_embeddings", "with_ground_truth"]

PART = ".part"  # suffix of the folder of an unfinished cache


def choose_caches(
    sources: Sequence[Path], work: Path, warn: Callable[[str], None] = ignore_warning
) -> list[Path]:
    """Return the caches of `sources`, by default of the work folder.

    A source is a cache, a folder of caches or a work folder, or a part of one (`mottool.splits`).
    A sequence folder stands for the caches of that sequence in the work folder. Raises `InputError`
    if there is none. A source that is not a cache is returned, to be refused when it is opened.
    `warn` receives the names of unfinished caches in the folders, which are left out.
    """
    sources = [path.with_suffix(".h5") if path.suffix == PART else path for path in sources]
    if unfinished := unfinished_caches(sources or [work]):
        warn(unfinished)
    caches, others = find_caches(replace_sequence_folders(sources, "caches", work))
    empty = [folder for folder in others if folder.is_dir()]
    if empty:
        fix = "name caches, folders of them or work folders, or run mottool detect-embed first"
        raise InputError(f"there are no caches under {empty[0]}", fix)
    paths = caches + others or WorkDir(work).caches()
    if not paths:
        fix = "run mottool detect-embed first, or name the caches"
        raise InputError(f"there are no caches under {work / 'caches'}", fix)
    return paths


def unfinished_caches(folders: Iterable[Path]) -> str:
    """Return a message that names the unfinished caches in folders or work folders; "" if none."""
    parts = [
        part
        for folder in folders
        for part in (*folder.glob(f"*{PART}"), *folder.glob(f"caches/*/*{PART}"))
        if part.is_dir() and not part.name.startswith(".") and not part.with_suffix(".h5").exists()
    ]
    if not parts:
        return ""
    names = ", ".join(f"{part.parent.name}/{part.stem}" for part in sorted(set(parts)))
    return f"{names} left out: unfinished, the same detect-embed command resumes there"


def with_ground_truth(
    caches: Iterable[Path], files: Collection[str], warn: Callable[[str], None]
) -> list[Path]:
    """Return the caches of the sequences that have ground truth; name the others to `warn`, once.

    `files` are the names of the sequences with ground truth. Caches that cannot be read are
    returned, too. Raises `InputError` if all are of sequences without ground truth.
    """
    known, unknown = list[Path](), dict[str, None]()
    for path in caches:
        try:
            sequence = read_header(path)[0].sequence
        except CacheError:
            known.append(path)
            continue
        if has_ground_truth(sequence, files):
            known.append(path)
        else:
            unknown[sequence] = None
    if unknown and not known:
        name = next(iter(unknown))
        fix = f"{did_you_mean(name, files)}, or add its folder with --gt"
        raise InputError(f"there is no ground truth for {name!r}", fix)
    if unknown:
        warn(f"{', '.join(unknown)} left out: no ground truth is given")
    return known


def with_embeddings(caches: Sequence[Path], warn: Callable[[str], None]) -> list[Path]:
    """Return the caches that have embeddings; name the pipelines of the others to `warn`, once.

    Caches that cannot be read are returned, too. If none has embeddings, all are returned.
    """
    known, pipelines = list[Path](), dict[str, None]()
    for path in caches:
        try:
            with Cache(path) as cache:
                lacking = "" if cache.has_embeddings else cache.header.pipeline
        except CacheError:
            lacking = ""
        if lacking:
            pipelines[lacking] = None
        else:
            known.append(path)
    if known and pipelines:
        warn(f"{', '.join(pipelines)} left out: no embeddings")
    return known or list(caches)
