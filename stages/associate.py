"""Stage `associate`: caches in, MOTChallenge result files out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import click

from mottool.association.associate import associate as run
from mottool.association.associate import settings_record
from mottool.association.empty_result import describe_empty
from mottool.association.fitted_settings import CacheSettings, fitted_tracker
from mottool.association.job import Association, Summary, run_association
from mottool.association.registry import (
    DEFAULT_TRACKER,
    TRACKERS,
    profiles_by_tracker,
    settings_by_tracker,
)
from mottool.association.sequence_settings import (
    InputSettings,
    PostprocessSettings,
    SequenceSettings,
    check_public,
    choose_tracker,
    given_settings,
    settings_classes_of,
)
from mottool.cli.engine_options import EngineSettings, open_engine
from mottool.cli.jobs import Jobs
from mottool.cli.name_choice import NameChoice
from mottool.cli.options import (
    as_json,
    merged_options,
    profile_option,
    published_option,
    select_shard,
    set_option,
    settings_file,
    settings_options,
    shard_option,
    work_option,
)
from mottool.cli.paths import FilePath
from mottool.cli.tracker_flags import tracker_command
from mottool.engines.base import BaseEngine
from mottool.engines.task import Outcome, Task
from mottool.errors import InputError, MottoolError
from mottool.files import safe_name
from mottool.progress import counter
from mottool.records.tracker_settings import mixed_with_others, warn_of_replaced
from mottool.splits import splits_help
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.cache.writer import Header

__all__ = ["command", "run"]

KEEP_BOTH = "give --out, or --settings NAME.toml, whose results go to TRACKER@NAME"


@click.command("associate", cls=tracker_command(settings_by_tracker()), epilog=splits_help())
@click.argument("caches", nargs=-1, metavar="[CACHE]...", type=FilePath())
@click.option(
    "--tracker",
    type=NameChoice(TRACKERS, "tracker"),
    help="The tracker.  [default: the one that --settings names, or else the one "
    f"that suits the caches' network, or else {DEFAULT_TRACKER}]",
)
@settings_file
@published_option
@profile_option(profiles_by_tracker())
@merged_options({"input": InputSettings}, "seen")
@merged_options(settings_by_tracker(), "flags")
@set_option
@click.option(
    "--public",
    type=FilePath(),
    help="Public detections for --track-type public_track: a file, or a folder or dataset that "
    "has each sequence's.",
)
@merged_options({"finishing": PostprocessSettings}, "finishing")
@click.option(
    "--out",
    type=FilePath(file_okay=False),
    help="The folder of the result files.  [default: WORK/tracks/PIPELINE.TRACKER, or "
    "PIPELINE.TRACKER@NAME with --settings NAME.toml]",
)
@settings_options(EngineSettings, "engine")
@shard_option
@work_option
@as_json
def command(
    caches: tuple[Path, ...],
    tracker: str | None,
    file: Path | None,
    published: bool,
    profile: str | None,
    seen: dict[str, Any],
    flags: dict[str, Any],
    texts: tuple[str, ...],
    public: Path | None,
    finishing: dict[str, Any],
    out: Path | None,
    engine: EngineSettings,
    shard: tuple[int, int] | None,
    work: Path,
    as_json: bool,
) -> None:
    """Link the detections of each CACHE into tracks, by default of every cache in the work folder.

    A CACHE is a file, a folder of caches, a work folder, or a sequence folder. CACHE@second is the
    second half of its frames, which is tracked as if it were the whole video.

    \b
        mottool associate
        mottool associate --tracker sort --max-age 5
        mottool associate mottool-work/caches/public/*.h5 --conf-thres 0.4 --out results
        mottool associate --min-track-length 5 --fill-gaps 18 --smooth gaussian
        mottool associate --tracker bytetrack --settings thresholds.toml
        mottool associate mottool-work/caches/fairmot-dla34@second

    Each cache gives a MOTChallenge result file, SEQUENCE.txt, with the rows
    frame,id,left,top,width,height,score,-1,-1,-1; identities count from 1 in each. The folder
    holds nothing else, so that it can be zipped and submitted; the settings of each result are
    in the folder beside it, SEQUENCE.json in FOLDER.settings.

    The card of a network's weights may hold settings that fit the network, as that of mottool-s
    does. They are taken from the cache, reported in one line, and replaced by what flags and a
    settings file say; with --published or --profile they are left out.

    sort, bytetrack, ocsort and botsort need boxes only, otrack its network's offsets, the others
    embeddings. botsort, botsort-reid, strongsort and deepocsort compensate for camera motion, which
    mottool camera-motion estimates first. A flag that belongs to another tracker is refused.

    A settings file has tables for sequences, by name or by pattern; flags go before it. mottool
    tune writes such a file with the settings that score highest:

    \b
        tracker = "fairmot"
        [default]
        conf_thres = 0.5
        ["MOT17-05*"]
        conf_thres = 0.35

    With many caches, a worker that is killed is replaced and its cache tracked again. --engine dask
    spreads the caches over the machines of a Dask cluster, in a work folder that they share.

    --min-track-length, --fill-gaps and --smooth finish the tracks of any tracker after the
    sequence has ended, so their output is not online.
    """
    from mottool.metrics.chosen_caches import choose_caches

    reporter, sequence_settings = Jobs(as_json), SequenceSettings(file)
    selected = select_shard(choose_caches(caches, work, reporter.note), shard)
    headers = _headers(reporter, selected)
    fitted = {fitted_tracker(opened.header.settings) for opened in headers.values()}
    suited = fitted.pop() if len(fitted) == 1 and not (published or profile) else None
    tracker = choose_tracker(tracker, sequence_settings, suited)
    classes = settings_classes_of(tracker)
    sequence_settings.check(classes)
    given = given_settings(classes, flags | seen | finishing, texts)
    sequence_settings.of("", classes, given)  # errors in the flags concern every sequence
    fitting = CacheSettings(tracker, classes, given, sequence_settings, published, profile)
    tasks = _tasks(reporter, headers, out, WorkDir(work), tracker, fitting)
    for note in fitting.notes:
        reporter.note(note)
    check_public(public, [task.settings for task in tasks])
    made = {task.out: settings_record(tracker, *task[4:], public) for task in tasks}
    warn_of_replaced(made, reporter.note, KEEP_BOTH)
    job = partial(run_association, tracker=tracker, public=public)
    with open_engine(engine, len(tasks), warn=reporter.note) as opened:
        outcomes = _run_all(tasks, partial(job, bar=len(tasks) == 1), opened)
    notes = [f"{file} [{name}] fits none of these sequences" for name in sequence_settings.unused]
    empty = []
    for task in tasks:
        summary = reporter.run(task.sequence, outcomes[task.out].result)
        if summary:
            notes += summary.pop("notes")
            if (reason := summary.pop("empty")) is not None:
                empty.append(reason)
            text = f"{summary['rows']} rows, {summary['identities']} identities, "
            text += f"{summary['frames_per_second']:.0f} frames/s"
            reporter.report(task.sequence, task.out, text, **summary)
    for folder in dict.fromkeys(task.out.parent for task in tasks):
        notes += mixed_with_others(folder, made)
    for note in notes + describe_empty(empty):
        reporter.note(note)
    reporter.close()


class Opened(NamedTuple):
    """Header and number of frames of a cache."""

    header: Header
    frames: int


def _headers(reporter: Jobs, caches: Iterable[Path]) -> dict[Path, Opened]:
    """Read the header and frame count of each cache; report those that cannot be read."""
    from mottool.cache.reader import read_header

    headers = {}
    for cache in caches:
        try:
            headers[cache] = Opened(*read_header(cache))
        except MottoolError as error:
            reporter.fail(cache.stem, error)
    return headers


def _tasks(
    reporter: Jobs,
    caches: Mapping[Path, Opened],
    out: Path | None,
    work: WorkDir,
    tracker: str,
    fitting: CacheSettings,
) -> list[Association]:
    """Return a task for each cache; one that shares its result file with another fails."""
    tasks: dict[Path, Association] = {}
    for cache, (header, frames) in caches.items():
        try:
            folder = out or work.tracks(header.pipeline, fitting.variant)
            path = folder / f"{safe_name(header.sequence)}.txt"
            if path in tasks:
                problem = f"{tasks[path].cache} and {cache} would both be written to {path}"
                raise InputError(problem, "associate them into different folders with --out")
            settings, inputs, postprocessing = cast(Any, fitting.of(header))
            tasks[path] = Association(
                header.sequence, cache, path, frames, settings, inputs, postprocessing
            )
        except MottoolError as error:
            reporter.fail(cache.stem, error)
    return list(tasks.values())


def _run_all(
    tasks: list[Association], job: Callable[[Association], Summary], engine: BaseEngine
) -> dict[Path, Outcome]:
    """Run all tasks, with one progress bar that advances by complete sequences.

    Return the outcomes by result file.
    """
    outcomes = {}
    bar: AbstractContextManager[Callable[[int], object]] = nullcontext(lambda more: None)
    if len(tasks) > 1:
        bar = counter("associate", sum(task.frames for task in tasks))
    with bar as count:
        for outcome in engine.run([Task(str(task.out), job, (task,)) for task in tasks]):
            (task,) = outcome.task.arguments
            outcomes[task.out] = outcome
            count(task.frames)
    return outcomes
