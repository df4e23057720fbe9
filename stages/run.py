"""Stage `run`: make what is missing or stale of a recipe's results, and compare them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from mottool.association.empty_result import EmptyResult, describe_empty
from mottool.cli.engine_options import EngineSettings, open_engine
from mottool.cli.jobs import Jobs
from mottool.cli.options import as_json, settings_options, work_option
from mottool.cli.paths import FilePath
from mottool.cli.terminal import all_columns_option, columns_note, terminal_width
from mottool.errors import MottoolError, ignore_warning, printable
from mottool.progress import progress
from mottool.recipes.page import read_table
from mottool.recipes.recipe import Recipe, SegmentSettings, StoreSettings, read_recipe
from mottool.recipes.run import run_recipe
from mottool.recipes.segments import SEGMENTS
from mottool.records.tracker_settings import mixed_with_others, warn_of_replaced
from mottool.splits import splits_help
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.engines.task import Engine, Outcome
    from mottool.recipes.plan import Cost, Plan

__all__ = ["command", "run"]

MINUTE, HOUR = 60, 3600
KEEP_BOTH = "give the tracker another name in the recipe, or another --work"


def run(
    recipe: Path,
    work: Path | None = None,
    jobs: int = 1,
    fail_fast: bool = False,
    segment_frames: int | None = None,
    store: str | None = None,
) -> Path:
    """Make what is missing or stale of a recipe's results, and return the path of its page.

    There is no page if the recipe produces no comparison or no scores. `work` is the folder of all
    results, by default that of the recipe, or else `mottool-work`; `jobs` processes run at the same
    time. `segment_frames` is as in `SegmentSettings` and `store` as in `StoreSettings`. Raises
    `SettingError` and `InputError` for a recipe that cannot be used, or a store that does not
    answer, and the error of the first task that failed, after the others.
    """
    content = _with_flags(read_recipe(recipe), segment_frames, store)
    folder = WorkDir(work or content.work or Path("mottool-work"))
    report, engine = _Errors(), partial(_engine, EngineSettings(jobs=jobs), ignore_warning)
    page = run_recipe(content, folder, engine, report, fail_fast)
    if report.errors:
        raise report.errors[0]
    return page


@click.command("run", epilog=splits_help())
@click.argument("recipe", type=FilePath(dir_okay=False))
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print the plan and about what it costs, and make nothing; results that are in the store "
    "only are fetched.",
)
@click.option(
    "--keep-going/--fail-fast",
    default=True,
    show_default=True,
    help="Make the other results after a failure, or stop at the first one.",
)
@settings_options(SegmentSettings, "segments")
@settings_options(StoreSettings, "store")
@settings_options(EngineSettings, "engine")
@all_columns_option
@work_option
@as_json
@click.pass_context
def command(
    context: click.Context,
    recipe: Path,
    dry_run: bool,
    keep_going: bool,
    segments: SegmentSettings,
    store: StoreSettings,
    engine: EngineSettings,
    all_columns: bool,
    work: Path,
    as_json: bool,
) -> None:
    """Run every pipeline and tracker of a RECIPE on its datasets; make only what is stale.

    \b
        mottool run comparison.toml --dry-run
        mottool run comparison.toml

    A recipe is a TOML file. Its paths are relative to its own folder:

    \b
        [[dataset]]
        path = "MOT17/train@second"      # what detect-embed takes, or a list of such
        gt = "MOT17/train@second"        # by default the ground truth at path
        [[pipeline]]
        pipeline = "mottool-s"           # and the flags of detect-embed:
        input = "864x480"
        pixel_range = "0-4095"           # of images of more than 8 bits
        name = "mottool-s-large"         # the name in results, by default the pipeline's
        [[pipeline]]
        caches = "other-work/caches/jde-1088x608"    # or caches that exist
        [[tracker]]
        tracker = "sort"
        [[tracker]]
        tracker = "bytetrack"
        settings = { track_buffer = 60 } # or a file, as for associate --settings
        sweep = { track_thresh = [0.4, 0.5], match_thresh = [0.7, 0.8] }
        name = "long"                    # bytetrack@long+track_thresh=0.4+match_thresh=0.7 …
        [produce]
        videos = true                    # also: tracks, scores, comparison (by default true)
        rules = "mot17"                  # of the scores, by default auto

    Above all tables, work = "FOLDER" names the work folder, unless --work does; segment_frames and
    store are as the flags of these names. A tracker can also have published = true or profile =
    "NAME", which are flags of associate. A tracker that needs embeddings is left out for pipelines
    without them.

    \b
    Results are where the commands of single steps put them:
        WORK/caches/PIPELINE/SEQUENCE.h5
        WORK/camera-motion/SEQUENCE.h5 (if a tracker compensates for camera motion)
        WORK/tracks/PIPELINE.TRACKER/SEQUENCE.txt
        WORK/scores/PIPELINE.TRACKER/SEQUENCE.json
        WORK/videos/PIPELINE.TRACKER/SEQUENCE.mp4
        WORK/comparison/RECIPE.html

    Beside each folder of results, FOLDER.settings has records of what they were made from: content
    of the source, weights, settings, versions. A result is stale if it is missing, or if one of
    these has changed; a stale result is replaced. Results of the other commands are used if they
    were made from the same inputs. Caches that were interrupted are resumed.

    Networks run one after the other (--network-jobs) while trackers and scores of other sequences
    use the other processes. Speeds in the table are measured meanwhile; with --jobs 1 nothing else
    runs. A killed worker is replaced and its task run again. With --engine dask the workers are
    those of a Dask cluster, in a work folder that all machines share; workers that may run networks
    are started with dask worker ADDRESS --resources network=1.

    With --store s3://bucket/folder results are also in an object store, under the same names: those
    that are missing in the work folder are fetched, and finished ones published, each with its
    record after it. Other machines with the same recipe and store find them fresh. Workers of a
    Dask cluster fetch and publish themselves; each may have a work folder of its own.

    With --segment-frames N several processes (--network-jobs) or machines detect and embed a long
    sequence, each a part of its frames; the cache has the bytes that one process would write. A
    killed worker loses only its segment, and the next run resumes it. A note names sequences that
    one process reads: those of recurrent networks, of --batch auto, and videos that are damaged or
    whose frames are not the same when they are decoded from the middle.

    The plan names the stale results of each folder and why they are stale. A result that fails
    stops no others; those that failed are named at the end, and the exit code is 1. A second run
    of a recipe in the same work folder waits until the first one has ended.
    """
    content = _with_flags(read_recipe(recipe), segments.segment_frames, store.store)
    by_default = context.get_parameter_source("work") == ParameterSource.DEFAULT
    folder = WorkDir(content.work if content.work and by_default else work)
    reporter = Jobs(as_json)
    run_recipe(
        content,
        folder,
        partial(_engine, engine, reporter.note),
        _Printed(reporter, dry_run, all_columns),
        fail_fast=not keep_going,
        dry_run=dry_run,
    )
    reporter.close()


def _with_flags(recipe: Recipe, frames: int | None, store: str | None) -> Recipe:
    """Return a recipe with the frames of segments and the store that are given."""
    frames, store = frames or recipe.segment_frames, store or recipe.store
    return replace(recipe, segment_frames=frames, store=store)


def _engine(
    settings: EngineSettings, warn: Callable[[str], None], plan: Plan
) -> AbstractContextManager[Engine]:
    """Return the engine for the tasks of a plan."""
    networks = any(task.needs == "network" for task in plan.tasks)
    return open_engine(settings, len(plan.tasks), networks, warn)


@dataclass
class _Errors:
    """A report that keeps the errors only."""

    errors: list[MottoolError] = field(default_factory=list)

    def failed(self, name: str, error: MottoolError) -> None:
        self.errors.append(error)

    def note(self, message: str) -> None: ...

    def planned(self, plan: Plan) -> None: ...

    def results(self, plan: Plan, outcomes: Iterator[Outcome]) -> None:
        self.errors += [outcome.error for outcome in outcomes if outcome.error]

    def compared(self, page: Path) -> None: ...


@dataclass
class _Printed:
    """A report that prints the plan, the results with one progress bar, and the table."""

    reporter: Jobs
    dry_run: bool
    all_columns: bool

    def failed(self, name: str, error: MottoolError) -> None:
        """Record and print a failure."""
        self.reporter.fail(name, error)

    def note(self, message: str) -> None:
        """Print a message, once."""
        self.reporter.note(message)

    def planned(self, plan: Plan) -> None:
        """Print the state of each folder of results, and what is to be made."""
        for note in plan.notes:
            self.note(note)
        tracks = {each.path: each.inputs for each in plan.stale if each.kind == "tracks"}
        known = {path: inputs for path, inputs in tracks.items() if inputs is not None}
        warn_of_replaced(known, self.note, KEEP_BOTH)
        if self.dry_run:
            self.reporter.done += [
                {"result": each.name, "path": str(each.path), "stale": list(each.reasons)}
                for each in plan.results
            ]
        if not self.reporter.as_json:
            _print_plan(plan)

    def results(self, plan: Plan, outcomes: Iterator[Outcome]) -> None:
        """Record the results and print failures, with one progress bar; then print messages."""
        counts, notes, empty = Counter[str](), dict[str, None](), list[EmptyResult]()
        for outcome in progress(outcomes, "run", len(plan.tasks), unit="results"):
            self._record(outcome)
            kind, _, name = outcome.task.name.partition("/")
            if outcome.error is None:
                counts[kind] += 1
                notes |= dict.fromkeys(getattr(outcome.value, "notes", ()))
                if reason := getattr(outcome.value, "empty", None):
                    empty.append(reason._replace(sequence=name))
        for note in [*notes, *describe_empty(empty)]:
            self.note(note)
        counts.pop(SEGMENTS, None)
        if counts and not self.reporter.as_json:
            click.echo("made: " + ", ".join(f"{kind} ({count})" for kind, count in counts.items()))
        for note in _mixed_notes(plan):
            self.note(note)

    def compared(self, page: Path) -> None:
        """Record the page of the comparison, and print its table as far as it fits."""
        self.reporter.done.append({"result": "comparison", "path": str(page)})
        if self.reporter.as_json:
            return
        from mottool.metrics.tables import as_text, fit_to_width

        table, width = read_table(page), None if self.all_columns else terminal_width()
        shown, left_out = fit_to_width([table] if table else [], width)
        click.echo(as_text(shown))
        if left_out:
            self.note(columns_note(left_out))
        click.echo(printable(f"{page}  comparison of all results"))

    def _record(self, outcome: Outcome) -> None:
        """Record a result or a failure; of skipped ones, only the failure before counts."""
        if outcome.error is None and not outcome.task.name.startswith(f"{SEGMENTS}/"):
            path = str(getattr(outcome.value, "path", ""))
            seconds = round(outcome.seconds, 3)
            self.reporter.done.append(
                {"result": outcome.task.name, "path": path, "seconds": seconds}
            )
        elif outcome.error is not None and not outcome.skipped:
            self.failed(outcome.task.name, outcome.error)


def _print_plan(plan: Plan) -> None:
    for line in plan.lines():
        click.echo(printable(line))
    fresh = len(plan.results) - len(plan.stale)
    text = f"{fresh} results are fresh"
    if plan.stale:
        text += f", {len(plan.stale)} to make: {_cost_text(plan.costs())}"
    click.echo(text)


def _cost_text(costs: dict[str, Cost]) -> str:
    """Describe what stale results cost, such as `about 3 min (caches 2 min, tracks 8 s)`."""
    known = {kind: cost.seconds for kind, cost in costs.items() if cost.seconds}
    unknown = {kind: cost.unknown for kind, cost in costs.items() if cost.unknown}
    parts = []
    if known:
        each = ", ".join(f"{kind} {_time(seconds)}" for kind, seconds in known.items())
        parts.append(f"about {_time(sum(known.values()))} of one process ({each})")
    if unknown:
        each = ", ".join(f"{kind} ({count})" for kind, count in unknown.items())
        parts.append(f"no earlier times for {each}")
    return "; ".join(parts)


def _time(seconds: float) -> str:
    if seconds < MINUTE:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < HOUR else f"{seconds / HOUR:.1f} h"


def _mixed_notes(plan: Plan) -> list[str]:
    """Return notes on folders to which a plan wrote tracks beside others of other settings."""
    tracks = [result for result in plan.results if result.kind == "tracks"]
    paths = [result.path for result in tracks]
    folders = dict.fromkeys(result.path.parent for result in tracks if result.reasons)
    return [note for folder in folders for note in mixed_with_others(folder, paths)]
