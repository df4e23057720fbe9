"""Stage `tune`: search the settings of a tracker that score highest on caches with ground truth."""

from __future__ import annotations

import csv
import dataclasses
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mottool.association.registry import TRACKERS, drop_comments
from mottool.association.sequence_settings import settings_classes_of
from mottool.cli.jobs import Jobs
from mottool.cli.name_choice import NameChoice
from mottool.cli.options import (
    as_json,
    ground_truth_files_option,
    jobs_option,
    settings_options,
    work_option,
)
from mottool.engines.local import cores, executor
from mottool.errors import InputError, SettingError
from mottool.metrics.registry import headline
from mottool.motchallenge.rules import AUTO, RULES
from mottool.progress import progress as show_progress
from mottool.settings import Settings, parse_key_values, setting, to_json
from mottool.splits import splits_help
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.tuning.search_space import Axis, Point
    from mottool.tuning.trials import Trial

__all__ = ["Config", "command", "run"]

TRIALS = 100  # of a method other than grid
COMBINED = "COMBINED"  # the name that evaluate gives all sequences together


@dataclass(frozen=True)
class Config(Settings):
    """The objective of a search, and its method."""

    objective: str = setting("HOTA", "The metric to maximise.", choices=headline())
    method: str = setting(
        "random",
        "How points are chosen: at random, all points of a grid, or from the scores of earlier "
        "points (optuna, which pip install 'mottool[tune]' installs).",
        choices=("random", "grid", "optuna"),
    )
    trials: int | None = setting(
        None, f"Number of points to try.  [default: {TRIALS}; all points of a grid]", low=1
    )
    seed: int = setting(0, "Random seed; the same seed draws the same points.")
    rules: str = setting(
        AUTO,
        "The benchmark whose rules score the tracks; auto detects it from the ground truth, as "
        "evaluate does.",
        choices=RULES,
    )


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
    progress: Callable[[Iterable[Trial], int, int], Iterable[Trial]] = lambda trials, *_: trials,
) -> Path:
    """Search the settings of `tracker` on `caches` and write the best to `out`/best.toml.

    `search` are texts as `parse_axes` reads them and `fixed` settings that all points have; `truth`
    are paths of ground truth, which every cache's sequence must have. All trials are written to
    `out`/trials.csv, from which an interrupted search resumes, and plotted in `out`/trials.png.
    `progress` wraps the trials as they end; it also receives their total number and the number that
    an earlier run has done. Raises `SettingError` for invalid settings and for another search in
    `out`, `InputError` or `CacheError` for files that cannot be used.
    """
    from mottool.drawing.tuning_plot import draw_search
    from mottool.tuning.objective import Objective
    from mottool.tuning.samplers import make_sampler
    from mottool.tuning.search_space import grid_size, parse_axes
    from mottool.tuning.trials import Trials, describe_best, run_trials, search_plan, write_best

    config, settings_classes = config or Config(), settings_classes_of(tracker)
    method, objective = config.method, config.objective
    space = parse_axes(settings_classes, search)
    fixed_point = _parse_fixed(tracker, fixed or {}, space)
    count = config.trials or (grid_size(space) if method == "grid" else TRIALS)
    sampler = make_sampler(method, space, count, config.seed)
    sequences, headers = _sequences(caches, truth)
    plan = search_plan(tracker, space, fixed_point, to_json(config), headers)
    trials = Trials(out, plan, space, settings_classes, overwrite)
    score = Objective(tracker, fixed_point, sequences, config.rules)
    with executor(jobs) as engine:
        done = sum(number < count for number in trials.done)
        running = run_trials(trials, sampler, score, objective, count, engine, jobs)
        for _ in progress(running, count, done):
            pass
    trials.sort()
    best = trials.best(objective)
    draw_search(list(trials.done.values()), space, objective, out / "trials.png")
    names = [name for _, name, _ in sequences]
    comment = describe_best(best, objective, method, len(trials.done), names)
    return write_best(out / "best.toml", tracker, fixed_point | best.point, comment)


def _parse_fixed(tracker: str, fixed: Mapping[str, str], space: tuple[Axis, ...]) -> Point:
    """Parse the settings that all points have; raise `SettingError` for one that is searched."""
    from mottool.tuning.search_space import parse_value

    texts = {key.replace("-", "_"): value for key, value in fixed.items()}
    texts = drop_comments(texts, TRACKERS[tracker].settings)
    settings_classes = settings_classes_of(tracker)
    point = {key: parse_value(settings_classes, key, value) for key, value in texts.items()}
    for axis in space:
        if axis.name in point:
            raise SettingError(f"{axis.name} is set and searched", "leave one of them out")
    return point


def _sequences(
    caches: Iterable[Path], truth: Iterable[Path]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the `sequences` of an `Objective`, and the header of each cache by sequence."""
    from mottool.cache.reader import Cache
    from mottool.metrics.inputs import find_ground_truth, get_ground_truth, part_of_cache

    ground_truth_files = find_ground_truth(truth)
    sequences, headers = [], dict[str, Any]()
    for path in caches:
        with Cache(path) as cache:
            sequence = cache.header.sequence
        file = get_ground_truth(sequence, ground_truth_files)
        path = part_of_cache(path, sequence, file)
        with Cache(path) as cache:
            header = cache.header
        if header.sequence in headers:
            fix = "name the caches of one pipeline only"
            raise InputError(f"two caches are of the sequence {header.sequence}", fix)
        headers[header.sequence] = dataclasses.asdict(header)
        sequences.append((path, header.sequence, file))
    return tuple(sequences), headers


@click.command("tune", epilog=splits_help())
@click.argument("caches", nargs=-1, metavar="[CACHE]...", type=click.Path(path_type=Path))
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
    help="A setting and its range, or KEY=A,B,C, or KEY alone for all its values; may be repeated."
    "  [default: every setting of the tracker that has a range or choices]",
)
@click.option(
    "--set",
    "texts",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting that all points have; may be repeated.",
)
@settings_options(Config)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
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
    smooth and so on.

    \b
        mottool tune --gt MOT17/train
        mottool tune --gt MOT17/train --search conf_thres=0.3:0.7 --search second=0.3:0.8
        mottool tune --gt MOT17/train --tracker sort --method grid --objective IDF1 \\
            --search max_age=1,5,30 --search iou_threshold=0.1:0.5:0.1
        mottool associate --settings mottool-work/tuning/public.fairmot/best.toml

    The folder of the search gets best.toml, which associate --settings reads, trials.csv with
    every trial and its scores, and trials.png, a plot of them. The same command resumes an
    interrupted search; with more --trials it adds the missing ones.

    Settings that were chosen on some sequences score better on those than on any others: report
    scores on sequences that were not searched.
    """
    paths = list(caches) or WorkDir(work).caches()
    if not paths:
        fix = "run mottool detect-embed first, or name the caches"
        raise InputError(f"there are no caches under {work / 'caches'}", fix)

    def progress(trials: Iterable[Trial], total: int, done: int) -> Iterator[Trial]:
        return show_progress(trials, "tune", total, done, unit="trials")

    best = run(
        paths,
        truth,
        out or WorkDir(work).tuning(_pipeline(paths[0]), tracker),
        tracker=tracker,
        search=search,
        fixed=parse_key_values(texts),
        config=config,
        jobs=jobs or cores(),
        overwrite=overwrite,
        progress=progress,
    )
    report = Jobs(as_json)
    _report(report, best, config.objective)
    report.close()


def _pipeline(path: Path) -> str:
    from mottool.cache.reader import Cache

    with Cache(path) as cache:
        return cache.header.pipeline


def _report(jobs: Jobs, path: Path, objective: str) -> None:
    """Report the best settings, in `path`, and their score."""
    with (path.parent / "trials.csv").open(newline="") as file:
        trials = list(csv.DictReader(file))
    best = max(trials, key=lambda trial: float(trial[objective]))
    settings = tomllib.loads(path.read_text())["default"]
    values = ", ".join(f"{name} {value}" for name, value in settings.items())
    jobs.report(
        COMBINED,
        path,
        f"{objective} {float(best[objective]):.4f}, the best of {len(trials)} trials: {values}",
        objective=objective,
        score=float(best[objective]),
        trials=len(trials),
        settings=settings,
    )
