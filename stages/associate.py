"""Stage `associate`: caches in, MOTChallenge result files out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from functools import partial
from importlib import import_module
from itertools import repeat
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from mottool import __version__
from mottool.association.finish import Finishing, finish
from mottool.association.settings import REGISTRY, SETTINGS, without_remarks
from mottool.batch import Batch, jobs_flag, shard_flag, shard_of
from mottool.cli import as_json, work_folder
from mottool.config import Settings, any_flags, build, flags, pairs, recorded
from mottool.engines.local import cores, executor, finished, result
from mottool.errors import CacheError, InputError, MottoolError, SettingError
from mottool.progress import progress
from mottool.work import Work, safe_name, whole_file

if TYPE_CHECKING:
    from mottool.association.tracks import Tracker
    from mottool.cache import Cache, Header
    from mottool.detections import Detections
    from mottool.motchallenge import Rows

__all__ = ["command", "link", "record_of", "run", "settings_of"]

Made = dict[str, Any]


def run(
    cache: Path,
    out: Path,
    tracker: str = "fairmot",
    settings: Settings | None = None,
    finishing: Finishing | None = None,
    watch: Callable[[Iterable[Detections]], Iterable[Detections]] = lambda frames: frames,
) -> Path:
    """Link the detections of `cache` into tracks and write them to `out`.

    `tracker` is a name in the registry and `settings` are its own, by default its published ones;
    `finishing` is what is done to the tracks afterwards, by default nothing. Rows are in the order
    of frames, which count from 1. All settings, and how many rows and identities they gave, are
    recorded in `record_of(out)`. `watch` may follow the frames as they pass. Raises `CacheError`
    if the cache cannot be read, or has no embeddings for a tracker that needs them.
    """
    from mottool.cache import Cache
    from mottool.motchallenge import write_tracks

    settings, finishing = settings or SETTINGS[tracker](), finishing or Finishing()
    record = record_of(out)
    with Cache(cache) as opened:
        rows = finish(link(opened, tracker, settings, watch), finishing)
        told = {
            "tracker": tracker,
            "settings": recorded(settings),
            "finishing": recorded(finishing),
            "mottool": __version__,
            "cache": str(cache),
            "cache_header": _digest(opened.header),
            "rows": len(rows),
            "identities": len(set(rows.ids.tolist())),
        }
    with whole_file(record) as part:
        part.write_text(json.dumps(told, indent=2) + "\n")
    # The unfinished file lies beside the record: the results' folder holds results only.
    scores = rows.rest[:, 0]
    return write_tracks(out, rows.frames, rows.ids, rows.tlwh, scores, scratch=record.parent)


def link(
    cache: Cache,
    tracker: str,
    settings: Settings,
    watch: Callable[[Iterable[Detections]], Iterable[Detections]] = lambda frames: frames,
) -> Rows:
    """The tracks of an open cache, frame by frame, as the tracker gives them; `rest` is the score.

    Raises `CacheError` as `run` does.
    """
    import numpy as np

    from mottool.boxes import tlwh_from_xyxy
    from mottool.motchallenge import Rows

    linker = _tracker(tracker, settings, cache)
    tracks = [linker.step(detections) for detections in watch(cache.frames())]
    if not tracks:
        none = np.zeros(0, np.int64)
        return Rows(none, none, np.zeros((0, 4)), np.zeros((0, 1)))
    numbers = np.repeat(np.arange(1, len(tracks) + 1), [len(frame) for frame in tracks])
    ids = np.concatenate([frame.ids for frame in tracks])  # (n,)
    boxes = np.concatenate([frame.boxes for frame in tracks])  # (n, 4)
    scores = np.concatenate([frame.scores for frame in tracks])  # (n,)
    return Rows(numbers, ids, np.asarray(tlwh_from_xyxy(boxes), np.float64), scores[:, None])


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
@any_flags(SETTINGS, "given")
@click.option(
    "--set",
    "texts",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting by its published name, as 'second=IoU 0.5'; may be repeated.",
)
@flags(Finishing, "finishing")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of the result files.  [default: WORK/tracks/PIPELINE.TRACKER]",
)
@jobs_flag
@shard_flag
@work_folder
@as_json
def command(
    caches: tuple[Path, ...],
    tracker: str,
    given: dict[str, Any],
    texts: tuple[str, ...],
    finishing: Finishing,
    out: Path | None,
    jobs: int | None,
    shard: tuple[int, int] | None,
    work: Path,
    as_json: bool,
) -> None:
    """Link the detections of each CACHE into tracks, by default of every cache in the work folder.

    \b
        mottool associate
        mottool associate --tracker sort --max-age 5
        mottool associate mottool-work/caches/public/*.h5 --conf-thres 0.4 --out results
        mottool associate --min-track-length 5 --fill-gaps 18 --smooth gaussian

    Each cache gives a MOTChallenge result file, SEQUENCE.txt, with the rows
    frame,id,left,top,width,height,score,-1,-1,-1; identities count from 1 in each. The folder
    holds nothing else, so that it can be zipped and submitted; the settings of each result are
    in the folder beside it, SEQUENCE.json in FOLDER.settings.

    fairmot needs embeddings, sort only boxes. A flag that belongs to another tracker is refused.
    --min-track-length, --fill-gaps and --smooth finish the tracks of any tracker once the sequence
    has ended: what they write could not have been said while it ran.
    """
    settings = settings_of(tracker, given, texts)
    batch = Batch(as_json)
    found = shard_of(list(caches) or Work(work).caches(), shard)
    if not found and not shard:
        fix = "run mottool detect-embed first, or name the caches"
        raise InputError(f"there are no caches under {work / 'caches'}", fix)
    tasks = _tasks(batch, found, out, Work(work), tracker)
    job = partial(_linked, tracker=tracker, settings=settings, finishing=finishing)
    done = _all_done(tasks, partial(job, bar=len(tasks) == 1), jobs or cores())
    for task in tasks:
        made = batch.run(task.sequence, partial(result, done[task]))
        if made:
            told = f"{made['rows']} rows, {made['identities']} identities, "
            told += f"{made['frames_per_second']:.0f} frames/s"
            batch.report(task.sequence, task.out, told, **made)
    batch.close()


class Task(NamedTuple):
    """A cache to link, its number of frames, and the file that its tracks are written to."""

    sequence: str
    cache: Path
    out: Path
    frames: int


def _tasks(
    batch: Batch, caches: Iterable[Path], out: Path | None, work: Work, tracker: str
) -> list[Task]:
    """What to do for each cache; one that cannot be read, or shares a result file, fails."""
    from mottool.cache import Cache

    tasks: dict[Path, Task] = {}
    for cache in caches:
        try:
            with Cache(cache) as opened:
                header, frames = opened.header, opened.frame_count
            folder = out or work.tracks(header.pipeline, tracker)
            path = folder / f"{safe_name(header.sequence)}.txt"
            if path in tasks:
                problem = f"{tasks[path].cache} and {cache} would both be written to {path}"
                raise InputError(problem, "associate them into different folders with --out")
            tasks[path] = Task(header.sequence, cache, path, frames)
        except MottoolError as error:
            batch.fail(cache.stem, error)
    return list(tasks.values())


def _all_done(
    tasks: list[Task], job: Callable[[Task], Made], jobs: int
) -> dict[Task, Future[Made]]:
    """Do every task, with one bar for all, which goes on by whole sequences."""
    done = {}

    def frames(engine: Executor) -> Iterator[None]:
        for task, future in finished(engine, job, tasks):
            done[task] = future
            yield from repeat(None, task.frames)

    with executor(max(1, min(jobs, len(tasks)))) as engine:
        ticks = frames(engine)
        if len(tasks) > 1:
            ticks = progress(ticks, "associate", sum(task.frames for task in tasks))
        for _ in ticks:
            pass
    return done


def _linked(task: Task, tracker: str, settings: Settings, finishing: Finishing, bar: bool) -> Made:
    """Link one cache, in whatever process, and tell what came of it; `bar` follows its frames."""
    seconds = 0.0

    def watch(frames: Iterable[Detections]) -> Iterator[Detections]:
        nonlocal seconds
        begun = perf_counter()
        yield from progress(frames, task.sequence, task.frames) if bar else frames
        seconds = perf_counter() - begun

    run(task.cache, task.out, tracker, settings, finishing, watch)
    record = json.loads(record_of(task.out).read_text())
    return {
        "rows": record["rows"],
        "identities": record["identities"],
        "frames": task.frames,
        "frames_per_second": round(task.frames / max(seconds, 1e-9), 1),
    }
