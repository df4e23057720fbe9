"""Stage `tune`: caches and ground truth in, the best settings of a tracker and every trial out."""

from __future__ import annotations

import csv
import dataclasses
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mottool.association.registry import TRACKERS, drop_comments
from mottool.association.sequence_settings import kinds_of
from mottool.cli.jobs import Jobs
from mottool.cli.options import as_json, jobs_flag, settings_options, truth_flag, work_option
from mottool.engines.local import cores, executor, result, submit
from mottool.errors import InputError, SettingError
from mottool.progress import progress
from mottool.settings import Settings, parse_key_values, setting
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.tuning.objective import Objective
    from mottool.tuning.samplers import Sampler
    from mottool.tuning.search_space import Axis, Point
    from mottool.tuning.trials import Trial, Trials

__all__ = ["Config", "command", "run"]

TRIALS = 100  # of a search that is no grid
COMBINED = "COMBINED"  # all sequences as one, as evaluate calls them


@dataclass(frozen=True)
class Config(Settings):
    """What is looked for, and how."""

    objective: str = setting(
        "HOTA", "The figure that is to be as high as can be.", choices=("HOTA", "IDF1", "MOTA")
    )
    method: str = setting(
        "random",
        "How points are chosen: by chance, all those of a grid, or by what was learnt from earlier "
        "ones (optuna, which pip install 'mottool[tune]' brings).",
        choices=("random", "grid", "optuna"),
    )
    trials: int | None = setting(
        None, f"How many points are tried.  [default: {TRIALS}; all of a grid]", low=1
    )
    seed: int = setting(0, "The same seed draws the same points.")
    rules: str = setting(
        "auto",
        "By which rules tracks are scored; auto goes by the ground truth, as evaluate does.",
        choices=("auto", "mot15", "mot16", "mot17", "mot20"),
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
    watch: Callable[[Iterable[Trial], int, int], Iterable[Trial]] = lambda each, total, done: each,
) -> Path:
    """Search settings of `tracker` on `caches` and write the best to `out`/best.toml.

    `search` are texts as `axes` reads them and `fixed` settings that all points have; `truth` are
    places of ground truth, which every cache's sequence must have. All trials are in
    `out`/trials.csv, where a search that was stopped goes on, and drawn in `out`/trials.png.
    `watch` may follow the trials as they are known; it is told how many there will be and how many
    an earlier run had done. Raises a `SettingError` for settings that mean nothing or another
    search in `out`, an `InputError` or `CacheError` for files that cannot be used.
    """
    from mottool.drawing.tuning_plot import draw
    from mottool.tuning.objective import Objective
    from mottool.tuning.samplers import proposer
    from mottool.tuning.search_space import axes, grid_size, read_value
    from mottool.tuning.trials import Trials, write_best

    config, kinds = config or Config(), kinds_of(tracker)
    space = axes(kinds, search)
    given = {key.replace("-", "_"): value for key, value in (fixed or {}).items()}
    given = drop_comments(given, TRACKERS[tracker].settings)
    held = {key: read_value(kinds, key, value) for key, value in given.items()}
    for axis in space:
        if axis.name in held:
            raise SettingError(f"{axis.name} is set and searched", "leave one of them out")
    count = config.trials or (grid_size(space) if config.method == "grid" else TRIALS)
    proposed = proposer(config.method, space, count, config.seed)
    sequences, headers = _sequences(caches, truth)
    plan = _plan(config, tracker, space, held, headers)
    trials = Trials(out, plan, space, kinds, overwrite)
    judge = Objective(tracker, held, sequences, config.rules)
    with executor(jobs) as engine:
        earlier = sum(number < count for number in trials.done)
        made = _tried(engine, judge, proposed, trials, count, jobs, config.objective)
        for _ in watch(made, count, earlier):
            pass
    trials.sort()
    best = trials.best(config.objective)
    draw(list(trials.done.values()), space, config.objective, out / "trials.png")
    remark = _remark(best, config, len(trials.done), [name for _, name, _ in sequences])
    return write_best(out / "best.toml", tracker, held | best.point, remark)


def _sequences(
    caches: Iterable[Path], truth: Iterable[Path]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return each cache with its sequence and ground truth, as `Objective` takes them."""
    from mottool.cache.reader import Cache
    from mottool.metrics.inputs import find_truth, truth_of

    truths = find_truth(truth)
    found, headers = [], dict[str, Any]()
    for path in caches:
        with Cache(path) as cache:
            header = cache.header
        if header.sequence in headers:
            fix = "name the caches of one pipeline only"
            raise InputError(f"two caches are of the sequence {header.sequence}", fix)
        headers[header.sequence] = dataclasses.asdict(header)
        found.append((path, header.sequence, truth_of(header.sequence, truths)))
    return tuple(found), headers


def _plan(
    config: Config, tracker: str, space: tuple[Axis, ...], held: Point, headers: dict[str, Any]
) -> dict[str, Any]:
    """What makes a search this one: trials of another are of no use to it."""
    plan = {
        "tracker": tracker,
        "search": [str(axis) for axis in space],
        "set": held,
        "method": config.method,
        "seed": config.seed,
        "rules": config.rules,
        "caches": headers,
    }
    # Only a method that learns goes other ways for another objective.
    return plan | ({"objective": config.objective} if config.method == "optuna" else {})


def _tried(
    engine: Executor,
    judge: Objective,
    proposed: Sampler,
    trials: Trials,
    count: int,
    jobs: int,
    objective: str,
) -> Iterator[Trial]:
    """The trials up to `count` that are not done yet, as they end, `jobs` of them at once."""
    from mottool.tuning.trials import Trial

    for number, trial in sorted(trials.done.items()):
        proposed.learn(number, trial.point, trial.figures[objective])
    numbers = iter([number for number in range(count) if number not in trials.done])
    running: dict[Any, tuple[int, Point]] = {}
    while True:
        for number in numbers:
            point = proposed.propose(number)
            running[submit(engine, judge, point)] = number, point
            if len(running) == jobs:
                break
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            number, point = running.pop(future)
            trial = Trial(number, point, result(future))
            trials.add(trial)
            proposed.learn(number, point, trial.figures[objective])
            yield trial


def _remark(best: Trial, config: Config, count: int, sequences: list[str]) -> str:
    score = f"{config.objective} {best.figures[config.objective]:.4f}"
    return (
        f"{score}: the best of {count} trials ({config.method}), found by mottool tune on\n"
        f"{', '.join(sequences)}."
    )


@click.command("tune")
@click.argument("caches", nargs=-1, metavar="[CACHE]...", type=click.Path(path_type=Path))
@truth_flag
@click.option(
    "--tracker",
    type=click.Choice(list(TRACKERS)),
    default="fairmot",
    show_default=True,
    help="Whose settings are searched.",
)
@click.option(
    "--search",
    multiple=True,
    metavar="KEY=LOW:HIGH[:STEP]",
    help="A setting and its range, or KEY=A,B,C, or KEY alone for all it may be; may be repeated.  "
    "[default: every setting of the tracker that has a range of its own]",
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
@click.option("--overwrite", is_flag=True, help="Drop another search that the folder holds.")
@jobs_flag
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

    Without any CACHE, all in the work folder are taken. Besides the tracker's settings those of
    associate that hold for every tracker can be searched and set: min-score, fill-gaps, smooth
    and so on.

    \b
        mottool tune --gt MOT17/train
        mottool tune --gt MOT17/train --search conf_thres=0.3:0.7 --search second=0.3:0.8
        mottool tune --gt MOT17/train --tracker sort --method grid --objective IDF1 \\
            --search max_age=1,5,30 --search iou_threshold=0.1:0.5:0.1
        mottool associate --settings mottool-work/tuning/public.fairmot/best.toml

    The folder of the search gets best.toml, which associate --settings reads, trials.csv with
    every trial and its scores, and trials.png, which draws them. A search that was stopped goes on
    when the same command is given again, and one with more --trials adds the missing ones.

    Settings that were chosen on some sequences score better on those than on any others: report
    figures of sequences that took no part.
    """
    found = list(caches) or WorkDir(work).caches()
    if not found:
        fix = "run mottool detect-embed first, or name the caches"
        raise InputError(f"there are no caches under {work / 'caches'}", fix)
    folder = out or WorkDir(work).tuning(_pipeline(found[0]), tracker)

    def watch(made: Iterable[Trial], total: int, done: int) -> Iterator[Trial]:
        return progress(made, "tune", total, done, unit="trials")

    fixed = parse_key_values(texts)
    own = tracker, search, fixed, config, jobs or cores(), overwrite, watch
    path = run(found, truth, folder, *own)
    batch = Jobs(as_json)
    _report(batch, path, config.objective)
    batch.close()


def _pipeline(cache: Path) -> str:
    from mottool.cache.reader import Cache

    with Cache(cache) as opened:
        return opened.header.pipeline


def _report(batch: Jobs, path: Path, objective: str) -> None:
    """Tell the best settings and what they scored."""
    with (path.parent / "trials.csv").open(newline="") as file:
        trials = list(csv.DictReader(file))
    best = max(trials, key=lambda trial: float(trial[objective]))
    settings = tomllib.loads(path.read_text())["default"]
    told = ", ".join(f"{name} {value}" for name, value in settings.items())
    batch.report(
        COMBINED,
        path,
        f"{objective} {float(best[objective]):.4f}, the best of {len(trials)} trials: {told}",
        objective=objective,
        score=float(best[objective]),
        trials=len(trials),
        settings=settings,
    )
