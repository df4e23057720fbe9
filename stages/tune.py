"""Stage `tune`: search the settings of a tracker that score highest on caches with ground truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mottool.association.registry import TRACKERS
from mottool.cli.jobs import Jobs
from mottool.cli.name_choice import NameChoice
from mottool.cli.options import (
    as_json,
    ground_truth_files_option,
    jobs_option,
    settings_options,
    work_option,
)
from mottool.cli.paths import FilePath
from mottool.engines.local import local_engine
from mottool.engines.threads import cores
from mottool.locks import locked_folder
from mottool.metrics.registry import headline
from mottool.motchallenge.rules import AUTO, RULES
from mottool.progress import progress as show_progress
from mottool.settings import Settings, parse_key_values, setting, to_json
from mottool.splits import splits_help
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.tuning.outcome import Outcome
    from mottool.tuning.search_space import Point
    from mottool.tuning.trials import Trial

__all__ = ["Config", "command", "run"]

TRIALS = 100  # of a method other than grid
BEST = "best.toml"  # of the folder of a search


@dataclass(frozen=True)
class Config(Settings):
    """The objective of a search, and its method."""

    objective: str = setting("HOTA", "The metric to maximise.", choices=headline())
    method: str = setting(
        "auto",
        "How points are chosen: at random, all points of a grid, or from the scores of earlier "
        "points (optuna, which pip install optuna installs). auto is optuna where it is "
        "installed, else random.",
        choices=("auto", "random", "grid", "optuna"),
    )
    trials: int | None = setting(
        None,
        "Number of points to try, the default settings included.  "
        f"[default: {TRIALS}; all points of a grid]",
        low=1,
    )
    seed: int = setting(0, "Random seed; the same seed draws the same points.")
    rules: str = setting(
        AUTO,
        "The benchmark whose rules score the tracks; auto detects it from the ground truth, as "
        "evaluate does.",
        choices=RULES,
    )


Progress = Callable[["Iterable[Trial]", int, int], "Iterable[Trial]"]


def run(
    caches: Iterable[Path],
    truth: Iterable[Path],
    out: Path,
    tracker: str = "fairmot",
    search: Iterable[str] = (),
    fixed: Mapping[str, str] | None = None,
    config: Config | None = None,
    jobs: int = 1,
    overwrite: bool = False,
    progress: Progress = lambda trials, *_: trials,
) -> Path:
    """Search the settings of `tracker` on `caches` and write the best to `out`/best.toml.

    `search` are texts as `parse_axes` reads them and `fixed` settings that all points have; `truth`
    are paths of ground truth, which every cache's sequence must have. The search starts at the
    settings that the tracker has by default on these caches. All trials are written to
    `out`/trials.csv, from which an interrupted search resumes, and plotted in `out`/trials.png.
    `progress` wraps the trials as they end; it also receives their total number and the number that
    an earlier run has done. Raises `SettingError` for invalid settings and for another search in
    `out`, `BusyError` if another process is writing to it, and `InputError` or `CacheError` for
    files that cannot be used.
    """
    _search(caches, truth, out, tracker, search, fixed, config, jobs, overwrite, progress)
    return out / BEST


def _search(
    caches: Iterable[Path],
    truth: Iterable[Path],
    out: Path,
    tracker: str,
    search: Iterable[str],
    fixed: Mapping[str, str] | None,
    config: Config | None,
    jobs: int,
    overwrite: bool,
    progress: Progress,
) -> tuple[Outcome, Point]:
    """Run or resume a search as `run`; return its outcome, and the settings in best.toml."""
    from mottool.drawing.tuning_plot import draw_search
    from mottool.tuning.inputs import (
        pair_with_ground_truth,
        parse_fixed,
        search_contents,
        space_around_defaults,
    )
    from mottool.tuning.objective import Objective
    from mottool.tuning.outcome import Outcome, write_best
    from mottool.tuning.run_trials import run_trials
    from mottool.tuning.samplers import chosen_method, make_sampler
    from mottool.tuning.trials import Trials, search_plan

    config = config or Config()
    method = chosen_method(config.method)
    fixed_point = parse_fixed(tracker, fixed or {})
    sequences, headers = pair_with_ground_truth(caches, truth)
    space = space_around_defaults(tracker, search, fixed_point, headers)
    count = config.trials or (len(space.grid()) if method == "grid" else TRIALS)
    sampler = make_sampler(method, space, count, config.seed)
    objective = Objective(tracker, fixed_point, sequences, config.rules)
    contents = search_contents(sequences, headers)
    plan = search_plan(tracker, space, fixed_point, to_json(config), method, contents)
    with locked_folder(out), local_engine(jobs) as engine:
        trials = Trials(out, plan, space, objective.names, config.objective, overwrite)
        done = sum(number < count for number in trials.done)
        running = run_trials(trials, space, sampler, objective, count, engine, jobs)
        for _ in progress(running, count, done):
            pass
        trials.sort()
        outcome, best = Outcome.of(trials), fixed_point | trials.best().point
        draw_search(list(trials.done.values()), space.axes, config.objective, out / "trials.png")
        write_best(out / BEST, tracker, best, outcome.comment(method))
    return outcome, best


@click.command("tune", epilog=splits_help())
@click.argument("caches", nargs=-1, metavar="[CACHE]...", type=FilePath())
@ground_truth_files_option
@click.option(
    "--tracker",
    type=NameChoice(TRACKERS, "tracker"),
    default="fairmot",
    show_default=True,
    help="The tracker whose settings are searched.",
)
@click.option(
    "--search",
    multiple=True,
    metavar="KEY=LOW:HIGH[:STEP]",
    help="A setting and its range, or KEY=A,B,C, or KEY alone for values around its default; may "
    "be repeated.  [default: the thresholds and times of the tracker, around their defaults]",
)
@click.option(
    "--set",
    "texts",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting that all points have; may be repeated.",
)
@click.option(
    "--camera-motion/--no-camera-motion",
    default=None,
    help="Whether the tracker compensates for camera motion: --set camera_motion=true or =false.",
)
@settings_options(Config)
@click.option(
    "--out",
    type=FilePath(file_okay=False),
    help="The folder of the search.  [default: WORK/tuning/PIPELINE.TRACKER]",
)
@click.option("--overwrite", is_flag=True, help="Remove another search from the folder.")
@jobs_option
@work_option
@as_json
def command(
    caches: tuple[Path, ...],
    truth: tuple[Path, ...],
    tracker: str,
    search: tuple[str, ...],
    texts: tuple[str, ...],
    camera_motion: bool | None,
    config: Config,
    out: Path | None,
    overwrite: bool,
    jobs: int | None,
    work: Path,
    as_json: bool,
) -> None:
    """Search the settings of a tracker that score highest on CACHEs with ground truth.

    Without any CACHE, all caches in the work folder are used. Besides the tracker's own settings,
    those that associate has for every tracker can be searched and set: min-score, fill-gaps,
    smooth and so on. Choices and switches are searched if --search names them.

    Trial 0 has the default settings: those that associate uses on these caches without --settings.
    The report compares the best settings with them on every sequence, and says what is worse. A
    trial is stopped after a sequence if perfect tracks of the others would not make it better than
    trial 0, or, with optuna, if it is worse than most trials; long sequences are run first.

    \b
        mottool tune --gt MOT17/train
        mottool tune --gt MOT17/train --search conf_thres=0.3:0.7 --search second=0.3:0.8
        mottool tune --gt MOT17/train --tracker botsort --no-camera-motion
        mottool tune --gt MOT17/train --tracker sort --method grid --objective IDF1 \\
            --search max_age=1,5,30 --search iou_threshold=0.1:0.5:0.1
        mottool associate --settings mottool-work/tuning/public.fairmot/best.toml

    The folder of the search gets best.toml, which associate --settings reads, trials.csv with
    every trial and its scores, and trials.png, a plot of them. The same command resumes an
    interrupted search; with more --trials it adds the missing ones.

    Settings that were chosen on some sequences score better on those than on any others: report
    scores on sequences that were not searched.
    """
    from mottool.metrics.chosen_caches import choose_caches, with_ground_truth
    from mottool.metrics.ground_truth_files import find_ground_truth

    report = Jobs(as_json)
    files = find_ground_truth(truth)
    paths = with_ground_truth(choose_caches(caches, work, report.note), files, report.note)

    def progress(trials: Iterable[Trial], total: int, done: int) -> Iterator[Trial]:
        return show_progress(trials, "tune", total, done, unit="trials")

    if camera_motion is not None:
        texts += (f"camera_motion={str(camera_motion).lower()}",)
    folder = out or WorkDir(work).tuning(_pipeline(paths[0]), tracker)
    outcome, settings = _search(
        paths,
        truth,
        folder,
        tracker,
        search,
        parse_key_values(texts),
        config,
        jobs or cores(),
        overwrite,
        progress,
    )
    _report(report, folder / BEST, outcome, settings)
    report.close()


def _pipeline(path: Path) -> str:
    from mottool.cache.reader import Cache

    with Cache(path) as cache:
        return cache.header.pipeline


def _report(jobs: Jobs, path: Path, outcome: Outcome, settings: Point) -> None:
    """Report the best settings, in `path`, compared with the default ones."""
    from mottool.metrics.tables import COMBINED, as_text

    jobs.report(
        COMBINED,
        path,
        outcome.summary,
        objective=outcome.objective,
        score=outcome.best.figures[outcome.objective],
        default=outcome.start.figures[outcome.objective],
        trials=outcome.count,
        stopped=outcome.stopped,
        settings=settings,
        worse=outcome.worse,
        by_sequence={
            name: {"default": figures, "best": outcome.best.by_sequence[name]}
            for name, figures in outcome.start.by_sequence.items()
        },
    )
    if not jobs.as_json:
        click.echo(as_text([outcome.table()]))
    if outcome.worse:
        jobs.note(f"worse than with the default settings: {'; '.join(outcome.worse)}")
