"""Stage `associate`: caches in, MOTChallenge result files out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from functools import partial
from itertools import repeat
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from mottool import __version__
from mottool.association.finish import Finishing, finish
from mottool.association.linking import InputSettings, link
from mottool.association.profiles import Profiles, kinds_of
from mottool.association.settings import REGISTRY, SETTINGS, without_remarks
from mottool.batch import Batch
from mottool.config import Settings, any_flags, build, pairs, recorded
from mottool.engines.local import cores, executor, finished, result
from mottool.errors import InputError, MottoolError, SettingError, did_you_mean
from mottool.flags import as_json, jobs_flag, shard_flag, shard_of, work_folder
from mottool.progress import progress
from mottool.work import Work, safe_name, whole_file

if TYPE_CHECKING:
    from mottool.cache import Header
    from mottool.detections import Detections

__all__ = ["command", "link", "record_of", "run", "settings_of"]

Made = dict[str, Any]


def run(
    cache: Path,
    out: Path,
    tracker: str = "fairmot",
    settings: Settings | None = None,
    finishing: Finishing | None = None,
    watch: Callable[[Iterable[Detections]], Iterable[Detections]] = lambda frames: frames,
    seen: InputSettings | None = None,
    public: Path | None = None,
    warn: Callable[[str], None] = lambda told: None,
) -> Path:
    """Link the detections of `cache` into tracks and write them to `out`.

    `tracker` is a name in the registry and `settings` are its own, by default its published ones;
    `finishing` is what is done to the tracks afterwards, by default nothing. Rows are in the order
    of frames, which count from 1. All settings, and how many rows and identities they gave, are
    recorded in `record_of(out)`. `watch`, `seen`, `public` and `warn` are those of `link`. Raises
    `CacheError` if the cache cannot be read, or lacks what the tracker needs.
    """
    from mottool.cache import Cache
    from mottool.motchallenge import write_tracks

    settings, finishing = settings or SETTINGS[tracker](), finishing or Finishing()
    seen = seen or InputSettings()
    record = record_of(out)
    with Cache(cache) as opened:
        rows = finish(link(opened, tracker, settings, watch, seen, public, warn), finishing)
        told = {
            "tracker": tracker,
            "settings": recorded(settings),
            "input": recorded(seen) | {"public": str(public) if public else None},
            "finishing": recorded(finishing),
            "mottool": __version__,
            "cache": str(cache),
            "cache_header": _digest(opened.header),
            "rows": len(rows),
            "identities": len(set(rows.ids.tolist())),
        }
    with whole_file(record) as part:  # it gets its name after the tracks have theirs
        part.write_text(json.dumps(told, indent=2) + "\n")
        # The unfinished file lies beside the record: the results' folder holds results only.
        scores = rows.rest[:, 0]
        write_tracks(out, rows.frames, rows.ids, rows.tlwh, scores, scratch=record.parent)
    return out


def record_of(out: Path) -> Path:
    """Where the settings of the result file `out` are: in the folder next to its own."""
    folder = out.resolve().parent
    return Path(f"{folder}.settings") / f"{out.stem}.json"


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
    return build(kind, _given({tracker: kind}, flags, texts), tracker)


def _given(
    kinds: Mapping[str, type[Settings]], flags: Mapping[str, Any], texts: Iterable[str]
) -> dict[str, Any]:
    """Flags and `key=value` texts of these kinds of settings, the tracker's first, in one."""
    tracker, kind = next(iter(kinds.items()))
    listed = {key.replace("-", "_"): value for key, value in pairs(texts).items()}
    listed = without_remarks(listed, kind)
    for key in flags.keys() & listed.keys():
        owner = next((each for each in kinds.values() if key in each.__dataclass_fields__), kind)
        one, other = (build(owner, {key: told[key]}, tracker) for told in (flags, listed))
        if one != other:
            flag = "--" + key.replace("_", "-")
            problem = f"{flag} {flags[key]} and --set {key}={listed[key]} disagree"
            raise SettingError(problem, "give one of them")
    return {**flags, **listed}


@click.command("associate")
@click.argument("caches", nargs=-1, metavar="[CACHE]...", type=click.Path(path_type=Path))
@click.option(
    "--tracker",
    type=click.Choice(list(REGISTRY)),
    help="What links the detections.  [default: the one that --settings names, else fairmot]",
)
@click.option(
    "--settings",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A TOML file of settings for all sequences and for single ones.",
)
@any_flags({"input": InputSettings}, "seen")
@any_flags(SETTINGS, "flags")
@click.option(
    "--set",
    "texts",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting by its published name, as 'second=IoU 0.5'; may be repeated.",
)
@click.option(
    "--public",
    type=click.Path(path_type=Path),
    help="Public detections for --track-type public_track: a file, or a folder or dataset that "
    "has each sequence's.",
)
@any_flags({"finishing": Finishing}, "finishing")
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
    tracker: str | None,
    file: Path | None,
    seen: dict[str, Any],
    flags: dict[str, Any],
    texts: tuple[str, ...],
    public: Path | None,
    finishing: dict[str, Any],
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
        mottool associate --tracker bytetrack --settings thresholds.toml

    Each cache gives a MOTChallenge result file, SEQUENCE.txt, with the rows
    frame,id,left,top,width,height,score,-1,-1,-1; identities count from 1 in each. The folder
    holds nothing else, so that it can be zipped and submitted; the settings of each result are
    in the folder beside it, SEQUENCE.json in FOLDER.settings.

    sort and bytetrack need boxes only, otrack the offsets that its own network makes, the others
    embeddings. A flag that belongs to another tracker is refused.

    A settings file has tables for sequences, by name or by pattern; flags go before it. mottool
    tune writes such a file with the settings that score highest:

    \b
        tracker = "fairmot"
        [default]
        conf_thres = 0.5
        ["MOT17-05*"]
        conf_thres = 0.35

    --min-track-length, --fill-gaps and --smooth finish the tracks of any tracker once the sequence
    has ended: what they write could not have been said while it ran.
    """
    profiles = Profiles(file)
    tracker = _chosen(tracker, profiles)
    kinds = kinds_of(tracker)
    profiles.check(kinds)
    given = _given(kinds, flags | seen | finishing, texts)
    setup = partial(profiles.of, kinds=kinds, given=given)
    setup("")  # what is wrong with the flags is wrong for every sequence
    batch = Batch(as_json)
    found = shard_of(list(caches) or Work(work).caches(), shard)
    if not found and not shard:
        fix = "run mottool detect-embed first, or name the caches"
        raise InputError(f"there are no caches under {work / 'caches'}", fix)
    tasks = _tasks(batch, found, out, Work(work), tracker, setup)
    _check_public(public, tasks)
    job = partial(_linked, tracker=tracker, public=public)
    done = _all_done(tasks, partial(job, bar=len(tasks) == 1), jobs or cores())
    notes = [f"{file} [{name}] fits none of these sequences" for name in profiles.unused]
    for task in tasks:
        made = batch.run(task.sequence, partial(result, done[task]))
        if made:
            notes += made.pop("notes")
            told = f"{made['rows']} rows, {made['identities']} identities, "
            told += f"{made['frames_per_second']:.0f} frames/s"
            batch.report(task.sequence, task.out, told, **made)
    for note in dict.fromkeys(notes):  # what holds for one cache mostly holds for the others
        batch.note(note)
    batch.close()


def _chosen(tracker: str | None, profiles: Profiles) -> str:
    """The tracker that the flag or the settings file names."""
    if profiles.tracker is None:
        return tracker or "fairmot"
    if profiles.tracker not in REGISTRY:
        fix = did_you_mean(profiles.tracker, REGISTRY)
        raise SettingError(f"the settings are for {profiles.tracker!r}, which is no tracker", fix)
    if tracker not in {None, profiles.tracker}:
        problem = f"--tracker is {tracker}, but the settings are for {profiles.tracker}"
        raise SettingError(problem, "leave --tracker out, or give that tracker's settings")
    return profiles.tracker


def _check_public(public: Path | None, tasks: list[Task]) -> None:
    """Refuse public detections that nothing asks for, or one file of them for many sequences."""
    asking = [task for task in tasks if getattr(task.settings, "track_type", "") == "public_track"]
    if public and tasks and not asking:
        fix = "add --track-type public_track, which outrack and otrack have, or leave it out"
        raise SettingError("--public is given, but any detection may begin a track", fix)
    if public and len(asking) > 1 and public.is_file():
        fix = "give a folder or dataset that has each sequence's"
        raise SettingError(f"{public} is one file for {len(asking)} sequences", fix)


class Task(NamedTuple):
    """A cache to link, its number of frames, the file for its tracks, and its settings."""

    sequence: str
    cache: Path
    out: Path
    frames: int
    settings: Settings
    seen: InputSettings
    finishing: Finishing


def _tasks(
    batch: Batch,
    caches: Iterable[Path],
    out: Path | None,
    work: Work,
    tracker: str,
    setup: Callable[[str], list[Settings]],
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
            own: Any = setup(header.sequence)
            tasks[path] = Task(header.sequence, cache, path, frames, *own)
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


def _linked(task: Task, tracker: str, public: Path | None, bar: bool) -> Made:
    """Link one cache, in whatever process, and tell what came of it; `bar` follows its frames."""
    seconds, notes = 0.0, list[str]()

    def watch(frames: Iterable[Detections]) -> Iterator[Detections]:
        nonlocal seconds
        begun = perf_counter()
        yield from progress(frames, task.sequence, task.frames) if bar else frames
        seconds = perf_counter() - begun

    own = task.settings, task.finishing, watch, task.seen, public, notes.append
    run(task.cache, task.out, tracker, *own)
    record = json.loads(record_of(task.out).read_text())
    return {
        "rows": record["rows"],
        "identities": record["identities"],
        "frames": task.frames,
        "frames_per_second": round(task.frames / max(seconds, 1e-9), 1),
        "notes": notes,
    }
