"""Stage `associate`: caches in, MOTChallenge result files out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from functools import partial
from itertools import repeat
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from mottool._version import __version__
from mottool.association.fitted_settings import CacheSettings, fitted_settings, fitted_tracker
from mottool.association.registry import TRACKERS, drop_comments, settings_by_tracker
from mottool.association.sequence_settings import (
    InputSettings,
    PostprocessSettings,
    SequenceSettings,
    settings_classes_of,
)
from mottool.cli.jobs import Jobs
from mottool.cli.options import (
    as_json,
    jobs_option,
    merged_options,
    published_option,
    select_shard,
    set_option,
    settings_file,
    shard_option,
    work_option,
)
from mottool.engines.local import cores, executor, result, run_jobs
from mottool.errors import InputError, MottoolError, SettingError, did_you_mean
from mottool.files import atomic_write, digest, safe_name
from mottool.progress import progress
from mottool.settings import Settings, build_settings, parse_key_values, to_json
from mottool.workdir import WorkDir, read_record, record_of

if TYPE_CHECKING:
    from mottool.cache.writer import Header
    from mottool.detections import Detections

__all__ = ["command", "chosen_tracker", "given_settings", "inputs_of", "run", "settings_of"]

Made = dict[str, Any]
DEFAULT_TRACKER = "fairmot"


def run(
    cache: Path,
    out: Path,
    tracker: str = "fairmot",
    settings: Settings | None = None,
    finishing: PostprocessSettings | None = None,
    watch: Callable[[Iterable[Detections]], Iterable[Detections]] = lambda frames: frames,
    seen: InputSettings | None = None,
    public: Path | None = None,
    warn: Callable[[str], None] = lambda told: None,
) -> Path:
    """Link the detections of `cache` into tracks and write them to `out`.

    `tracker` is a name in the registry and `settings` are its own, by default those that fit the
    cache's network (`association.fitted`), or else the published ones;
    `finishing` is what is done to the tracks afterwards, by default nothing. Rows are in the order
    of frames, which count from 1. All settings, and how many rows and identities they gave, are
    recorded in `record_of(out)`. `watch`, `seen`, `public` and `warn` are those of `run_tracker`.
    Raises `CacheError` if the cache cannot be read, or lacks what the tracker needs.
    """
    from mottool.association.postprocess import postprocess
    from mottool.association.run_tracker import run_tracker
    from mottool.cache.reader import Cache
    from mottool.motchallenge.rows import write_tracks

    finishing, seen = finishing or PostprocessSettings(), seen or InputSettings()
    record = record_of(out)
    with Cache(cache) as opened:
        if settings is None:
            fitted = fitted_settings(opened.header.settings, tracker)
            settings = build_settings(TRACKERS[tracker].settings, fitted, tracker)
        inputs = inputs_of(opened.header, tracker, settings, finishing, seen, public)
        rows = postprocess(
            run_tracker(opened, tracker, settings, watch, seen, public, warn), finishing
        )
        told = {"cache": str(cache), "rows": len(rows), "identities": len(set(rows.ids.tolist()))}
    with atomic_write(record) as part:  # it gets its name after the tracks have theirs
        part.write_text(json.dumps(inputs | told, indent=2) + "\n")
        # The unfinished file lies beside the record: the results' folder holds results only.
        scores = rows.rest[:, 0]
        write_tracks(out, rows.frames, rows.ids, rows.tlwh, scores, scratch=record.parent)
    return out


def inputs_of(
    header: Header,
    tracker: str,
    settings: Settings,
    finishing: PostprocessSettings,
    seen: InputSettings,
    public: Path | None = None,
) -> dict[str, Any]:
    """Return what decides a result file, as its record keeps it: the cache and all settings."""
    return {
        "tracker": tracker,
        "settings": to_json(settings),
        "input": to_json(seen) | {"public": str(public) if public else None},
        "finishing": to_json(finishing),
        "mottool": __version__,
        "cache_header": digest(dataclasses.asdict(header)),
    }


def settings_of(tracker: str, flags: Mapping[str, Any], texts: Iterable[str]) -> Settings:
    """The tracker's settings from flags that were given and `key=value` texts.

    A name that is no setting of this tracker, or one that is given twice with different values, is
    a `SettingError`.
    """
    kind = TRACKERS[tracker].settings
    return build_settings(kind, given_settings({tracker: kind}, flags, texts), tracker)


def given_settings(
    kinds: Mapping[str, type[Settings]], flags: Mapping[str, Any], texts: Iterable[str]
) -> dict[str, Any]:
    """Flags and `key=value` texts of these kinds of settings, the tracker's first, in one."""
    tracker, kind = next(iter(kinds.items()))
    listed = {key.replace("-", "_"): value for key, value in parse_key_values(texts).items()}
    listed = drop_comments(listed, kind)
    for key in flags.keys() & listed.keys():
        owner = next((each for each in kinds.values() if key in each.__dataclass_fields__), kind)
        one, other = (build_settings(owner, {key: told[key]}, tracker) for told in (flags, listed))
        if one != other:
            flag = "--" + key.replace("_", "-")
            problem = f"{flag} {flags[key]} and --set {key}={listed[key]} disagree"
            raise SettingError(problem, "give one of them")
    return {**flags, **listed}


@click.command("associate")
@click.argument("caches", nargs=-1, metavar="[CACHE]...", type=click.Path(path_type=Path))
@click.option(
    "--tracker",
    type=click.Choice(list(TRACKERS)),
    help="What links the detections.  [default: the one that --settings names, or else the one "
    f"that suits the caches' network, or else {DEFAULT_TRACKER}]",
)
@settings_file
@published_option
@merged_options({"input": InputSettings}, "seen")
@merged_options(settings_by_tracker(), "flags")
@set_option
@click.option(
    "--public",
    type=click.Path(path_type=Path),
    help="Public detections for --track-type public_track: a file, or a folder or dataset that "
    "has each sequence's.",
)
@merged_options({"finishing": PostprocessSettings}, "finishing")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of the result files.  [default: WORK/tracks/PIPELINE.TRACKER]",
)
@jobs_option
@shard_option
@work_option
@as_json
def command(
    caches: tuple[Path, ...],
    tracker: str | None,
    file: Path | None,
    published: bool,
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

    The card of a network's weights may hold settings that fit the network, as that of mottool-s
    does. They are taken from the cache, reported in one line, and replaced by what flags and a
    settings file say; with --published they are left out.

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
    batch, profiles = Jobs(as_json), SequenceSettings(file)
    found = select_shard(list(caches) or WorkDir(work).caches(), shard)
    if not found and not shard:
        fix = "run mottool detect-embed first, or name the caches"
        raise InputError(f"there are no caches under {work / 'caches'}", fix)
    headers = _headers(batch, found)
    suiting = {fitted_tracker(each.header.settings) for each in headers.values()}
    suited = suiting.pop() if len(suiting) == 1 and not published else None
    tracker = chosen_tracker(tracker, profiles, suited)
    kinds = settings_classes_of(tracker)
    profiles.check(kinds)
    given = given_settings(kinds, flags | seen | finishing, texts)
    profiles.of("", kinds, given)  # what is wrong with the flags is wrong for every sequence
    fitting = CacheSettings(tracker, kinds, given, profiles, published)
    tasks = _tasks(batch, headers, out, WorkDir(work), tracker, fitting)
    for note in fitting.notes:
        batch.note(note)
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


def chosen_tracker(
    tracker: str | None, profiles: SequenceSettings, suited: str | None = None
) -> str:
    """Return the tracker that the flag or the settings file names, or else the one `suited`.

    Without any of them it is `DEFAULT_TRACKER`.
    """
    if profiles.tracker is None:
        return tracker or suited or DEFAULT_TRACKER
    if profiles.tracker not in TRACKERS:
        fix = did_you_mean(profiles.tracker, TRACKERS)
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


class Opened(NamedTuple):
    """What a cache says of itself: its header and its number of frames."""

    header: Header
    frames: int


def _headers(batch: Jobs, caches: Iterable[Path]) -> dict[Path, Opened]:
    """Read what each cache says of itself; one that cannot be read fails."""
    from mottool.cache.reader import Cache

    headers = {}
    for cache in caches:
        try:
            with Cache(cache) as opened:
                headers[cache] = Opened(opened.header, opened.frame_count)
        except MottoolError as error:
            batch.fail(cache.stem, error)
    return headers


class Task(NamedTuple):
    """A cache to link, its number of frames, the file for its tracks, and its settings."""

    sequence: str
    cache: Path
    out: Path
    frames: int
    settings: Settings
    seen: InputSettings
    finishing: PostprocessSettings


def _tasks(
    batch: Jobs,
    caches: Mapping[Path, Opened],
    out: Path | None,
    work: WorkDir,
    tracker: str,
    fitting: CacheSettings,
) -> list[Task]:
    """What to do for each cache; one that shares its result file with another fails."""
    tasks: dict[Path, Task] = {}
    for cache, (header, frames) in caches.items():
        try:
            folder = out or work.tracks(header.pipeline, tracker)
            path = folder / f"{safe_name(header.sequence)}.txt"
            if path in tasks:
                problem = f"{tasks[path].cache} and {cache} would both be written to {path}"
                raise InputError(problem, "associate them into different folders with --out")
            own: Any = fitting.of(header)
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
        for task, future in run_jobs(engine, job, tasks):
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
    record = read_record(task.out)
    return {
        "rows": record["rows"],
        "identities": record["identities"],
        "frames": task.frames,
        "frames_per_second": round(task.frames / max(seconds, 1e-9), 1),
        "notes": notes,
    }
