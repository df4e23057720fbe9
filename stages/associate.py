"""Stage `associate`: caches in, MOTChallenge result files out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from mottool import __version__
from mottool.association.settings import REGISTRY, SETTINGS, without_remarks
from mottool.batch import Batch
from mottool.cli import as_json, work_folder
from mottool.config import Settings, any_flags, build, pairs, recorded
from mottool.errors import CacheError, InputError, SettingError
from mottool.progress import progress
from mottool.work import Work, safe_name, whole_file

if TYPE_CHECKING:
    from mottool.association.tracks import Tracker, Tracks
    from mottool.cache import Cache, Header
    from mottool.detections import Detections

__all__ = ["command", "record_of", "run", "settings_of"]


def run(
    cache: Path,
    out: Path,
    tracker: str = "fairmot",
    settings: Settings | None = None,
    watch: Callable[[Iterable[Detections]], Iterable[Detections]] = lambda frames: frames,
) -> Path:
    """Link the detections of `cache` into tracks and write them to `out`.

    `tracker` is a name in the registry and `settings` are its own, by default its published ones.
    Rows are in the order of frames, which count from 1. All settings, and how many rows and
    identities they gave, are recorded in `record_of(out)`. `watch` may follow the frames as they
    pass. Raises `CacheError` if the cache cannot be read, or has no embeddings for a tracker that
    needs them.
    """
    from mottool.cache import Cache
    from mottool.motchallenge import write_tracks

    settings = settings or SETTINGS[tracker]()
    record = record_of(out)
    with Cache(cache) as opened:
        linker = _tracker(tracker, settings, opened)
        rows = _rows(linker.step(detections) for detections in watch(opened.frames()))
        told = {
            "tracker": tracker,
            "settings": recorded(settings),
            "mottool": __version__,
            "cache": str(cache),
            "cache_header": _digest(opened.header),
            "rows": len(rows[1]),
            "identities": len(set(rows[1].tolist())),
        }
    with whole_file(record) as part:
        part.write_text(json.dumps(told, indent=2) + "\n")
    # The unfinished file lies beside the record: the results' folder holds results only.
    return write_tracks(out, *rows, scratch=record.parent)


def record_of(out: Path) -> Path:
    """Where the settings of the result file `out` are: in the folder next to its own."""
    folder = out.resolve().parent
    return Path(f"{folder}.settings") / f"{out.stem}.json"


def _tracker(name: str, settings: Settings, cache: Cache) -> Tracker:
    from mottool.association.tracks import EMBED

    module, _, kind = REGISTRY[name].partition(":")
    found = getattr(import_module(module), kind)
    if found.needs_embeddings and cache.detection_count and not cache.has_embeddings:
        raise CacheError(f"{cache.path} has no embeddings, which {name} matches by", EMBED)
    tracker: Tracker = found(settings, cache.header.fps)
    return tracker


def _rows(frames: Iterable[Tracks]) -> tuple[Any, Any, Any, Any]:
    """Frame numbers, identities, left top width height, and scores of all tracks, n rows each."""
    import numpy as np

    from mottool.boxes import tlwh_from_xyxy

    tracks = list(frames)
    if not tracks:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0)
    numbers = np.repeat(np.arange(1, len(tracks) + 1), [len(frame) for frame in tracks])
    ids = np.concatenate([frame.ids for frame in tracks])
    tlwh = tlwh_from_xyxy(np.concatenate([frame.boxes for frame in tracks]))  # (n, 4)
    return numbers, ids, tlwh, np.concatenate([frame.scores for frame in tracks])


def _digest(header: Header) -> str:
    """The SHA-256 of what a cache was made from."""
    text = json.dumps(dataclasses.asdict(header), sort_keys=True, default=dict)
    return hashlib.sha256(text.encode()).hexdigest()


def settings_of(tracker: str, flags: Mapping[str, Any], texts: Iterable[str]) -> Settings:
    """The tracker's settings from flags that were given and `key=value` texts.

    A name that is no setting of this tracker, or one that is given twice with different values, is
    a `SettingError`.
    """
    kind = SETTINGS[tracker]
    given = {key.replace("-", "_"): value for key, value in pairs(texts).items()}
    given = without_remarks(given, kind)
    flagged, listed = build(kind, flags, tracker), build(kind, given, tracker)
    for key in flags.keys() & given.keys():
        if getattr(flagged, key) != getattr(listed, key):
            flag = "--" + key.replace("_", "-")
            problem = f"{flag} {flags[key]} and --set {key}={given[key]} disagree"
            raise SettingError(problem, "give one of them")
    return build(kind, {**flags, **given}, tracker)


@click.command("associate")
@click.argument("caches", nargs=-1, metavar="[CACHE]...", type=click.Path(path_type=Path))
@click.option(
    "--tracker",
    type=click.Choice(list(REGISTRY)),
    default="fairmot",
    show_default=True,
    help="What links the detections.",
)
@any_flags(SETTINGS, "flags")
@click.option(
    "--set",
    "texts",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting by its published name, as 'second=IoU 0.5'; may be repeated.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of the result files.  [default: WORK/tracks/PIPELINE.TRACKER]",
)
@work_folder
@as_json
def command(
    caches: tuple[Path, ...],
    tracker: str,
    flags: dict[str, Any],
    texts: tuple[str, ...],
    out: Path | None,
    work: Path,
    as_json: bool,
) -> None:
    """Link the detections of each CACHE into tracks, by default of every cache in the work folder.

    \b
        mottool associate
        mottool associate --tracker sort --max-age 5
        mottool associate mottool-work/caches/public/*.h5 --conf-thres 0.4 --out results

    Each cache gives a MOTChallenge result file, SEQUENCE.txt, with the rows
    frame,id,left,top,width,height,score,-1,-1,-1; identities count from 1 in each. The folder
    holds nothing else, so that it can be zipped and submitted; the settings of each result are
    in the folder beside it, SEQUENCE.json in FOLDER.settings.

    fairmot needs embeddings, sort only boxes. A flag that belongs to another tracker is refused.
    """
    settings = settings_of(tracker, flags, texts)
    batch = Batch(as_json)
    made: dict[Path, Path] = {}
    found = list(caches) or Work(work).caches()
    if not found:
        fix = "run mottool detect-embed first, or name the caches"
        raise InputError(f"there are no caches under {work / 'caches'}", fix)
    for cache in found:
        job = partial(_job, batch, cache, tracker, settings, out, Work(work), made)
        batch.run(cache.stem, job)
    batch.close()


def _job(
    batch: Batch,
    cache: Path,
    tracker: str,
    settings: Settings,
    out: Path | None,
    work: Work,
    made: dict[Path, Path],
) -> None:
    """Run one cache and report it; `made` knows which cache gave each result file."""
    from mottool.cache import Cache

    with Cache(cache) as opened:
        header, frames = opened.header, opened.frame_count
    folder = out or work.tracks(header.pipeline, tracker)
    path = folder / f"{safe_name(header.sequence)}.txt"
    if path in made:
        problem = f"{made[path]} and {cache} would both be written to {path}"
        raise InputError(problem, "associate them into different folders with --out")
    made[path] = cache
    seconds = 0.0

    def watch(each: Iterable[Detections]) -> Iterator[Detections]:
        nonlocal seconds
        begun = perf_counter()
        yield from progress(each, header.sequence, frames)
        seconds = perf_counter() - begun

    run(cache, path, tracker, settings, watch)
    rate = frames / max(seconds, 1e-9)
    record = json.loads(record_of(path).read_text())
    rows, identities = record["rows"], record["identities"]
    batch.report(
        header.sequence,
        path,
        f"{rows} rows, {identities} identities, {rate:.0f} frames/s",
        rows=rows,
        identities=identities,
        frames=frames,
        frames_per_second=round(rate, 1),
    )
