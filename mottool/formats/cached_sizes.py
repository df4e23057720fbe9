"""Size, frame rate and length of the frames of results, from the caches that they are made of."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from mottool.errors import MottoolError
from mottool.files import digest, safe_name
from mottool.formats.sequence_rows import SequenceRows
from mottool.motchallenge.seqinfo import SeqInfo
from mottool.records.record import read_record

__all__ = ["add_cached_sizes"]

IMAGES = "img1"


def add_cached_sizes(
    sequences: Sequence[SequenceRows], warn: Callable[[str], None]
) -> list[SequenceRows]:
    """Return the sequences, with the metadata of their caches where the size is unknown.

    The cache of a result file is the one that its record names or, in a work folder, the one of the
    same pipeline; a cache that was made again since is not used. `warn` receives one message about
    the caches that are used.
    """
    completed, used = [], dict[Path, list[str]]()
    for sequence in sequences:
        file, known = sequence.path, sequence.info and sequence.info.width
        for cache in () if known or file is None else _caches(file):
            if file and (info := _info(cache, file, sequence.name)):
                used.setdefault(cache.parent, []).append(sequence.name)
                sequence = replace(sequence, info=info)
                break
        completed.append(sequence)
    for folder, names in used.items():
        warn(f"{', '.join(names)}: size, frame rate and length are those of the caches in {folder}")
    return completed


def _caches(result: Path) -> Iterator[Path]:
    """Yield where the cache of a result file may be."""
    if cache := read_record(result).get("cache"):
        yield Path(str(cache))
    folder = result.resolve().parent
    if folder.parent.name == "tracks":
        pipeline = folder.name.rpartition(".")[0]
        name = f"{safe_name(result.name.partition('.txt')[0])}.h5"
        yield folder.parent.parent / "caches" / pipeline / name


def _info(cache: Path, result: Path, name: str) -> SeqInfo | None:
    """Return the metadata of a cache if it is of the sequence and of its result's record."""
    from mottool.cache.reader import read_header

    try:
        header, frames = read_header(cache)
    except (MottoolError, OSError):
        return None
    recorded = read_record(result).get("cache_header")
    if safe_name(header.sequence) != name or recorded not in (None, digest(asdict(header))):
        return None
    last = header.first_frame + frames - 1
    return SeqInfo(name, IMAGES, header.fps, last, header.width, header.height)
