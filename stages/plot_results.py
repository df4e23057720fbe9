"""Kinds of `mottool plot` that read result files and comparisons.

Each kind of plot is a function of `mottool.drawing.plots`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path

import click

from mottool.cli.jobs import Jobs
from mottool.cli.name_choice import NameChoice
from mottool.cli.options import ground_truth_option, plot_options, results_argument
from mottool.cli.paths import ExistingPath
from mottool.drawing.plots import hota_curves, plot_hota, plot_timelines
from mottool.drawing.plotted_caches import check_output
from mottool.errors import InputError, SettingError
from mottool.motchallenge.rules import AUTO, RULES
from mottool.settings import parse_key_values
from mottool.workdir import WorkDir

__all__ = ["bars", "hota", "timelines", "trade_off"]

rules_option = click.option(
    "--rules",
    type=NameChoice(RULES, "benchmark"),
    default=AUTO,
    show_default=True,
    help="Benchmark rules for the ground truth, as in mottool evaluate.",
)


@click.command("bars", short_help="Bars of metrics, by model.")
@click.argument("files", nargs=-1, required=True, metavar="[NAME=]CSV...")
@click.option(
    "--metrics",
    default="AP,MOTA,IDF1",
    show_default=True,
    metavar="METRIC,...",
    help="Metrics of evaluate to draw, a group of bars for each.",
)
@plot_options
def bars(files: tuple[str, ...], metrics: str, form: str, work: Path, as_json: bool) -> None:
    """Draw metrics of several models as bars, as TDT's Fig. 5 and 6.

    \b
        mottool plot bars BaseTrainSet=base.csv "+ CrowdHuman"=more.csv

    CSV is a file of evaluate --csv, of tracks and caches; NAME is by default the file's. The plot
    is WORK/plots/bars.png.
    """
    from mottool.drawing.bar_plot import draw_bars, read_metrics

    jobs, out = Jobs(as_json), WorkDir(work).root / "plots" / f"bars.{form}"
    paths: dict[str, Path] = {}
    for text in files:
        name, path = _named(text)
        if name in paths:
            problem = f"{paths[name]} and {path} are both named {name}"
            raise SettingError(problem, "name each, such as large=runs/large/scores.csv")
        paths[name] = path

    def job() -> None:
        for path in paths.values():
            if not path.is_file():
                raise InputError(f"there is no file {path}", "write it with evaluate --csv")
        models = {name: read_metrics(path, metrics.split(",")) for name, path in paths.items()}
        jobs.report("bars", draw_bars(models, out), f"drawn, {len(models)} models")

    jobs.run("bars", job)
    jobs.close()


def _named(text: str) -> tuple[str, Path]:
    """Split `NAME=CSV`; the name of `CSV` alone is the file's. A file may have = in its name."""
    places = [-1, *(place for place, sign in enumerate(text) if sign == "=")]
    files = (place for place in places if Path(text[place + 1 :]).is_file())
    place = next(files, places[-1])
    path = Path(text[place + 1 :])
    return (text[:place] if place >= 0 else path.stem), path


@click.command("hota", short_help="HOTA over the localisation threshold, by tracker.")
@results_argument
@ground_truth_option(required=True)
@rules_option
@plot_options
def hota(
    tracks: tuple[Path, ...],
    ground_truth: tuple[Path, ...],
    rules: str,
    form: str,
    work: Path,
    as_json: bool,
) -> None:
    """Draw HOTA, DetA and AssA over the localisation threshold alpha, a line for each tracker.

    \b
        mottool plot hota --gt MOT17/train
        mottool plot hota results/mine results/theirs --gt MOT17/train --format pdf

    The numbers in brackets are the means, which evaluate prints. Only sequences for which every
    tracker has results are scored, combined as in TrackEval. A tracker without results of any
    sequence with ground truth is left out. The plot is WORK/plots/hota.png.
    """
    from mottool.metrics.ground_truth_files import find_ground_truth

    jobs = Jobs(as_json)
    truth_files = find_ground_truth(ground_truth)
    results = _with_ground_truth(_results(tracks, work), truth_files, jobs.note)
    names = [name for name in truth_files if all(name in files for files in results.values())]
    if not names:
        held = "; ".join(f"{tracker} has {', '.join(files)}" for tracker, files in results.items())
        fix = "name results of the same sequences, and their ground truth with --gt"
        raise InputError(f"no sequence has ground truth and results of every tracker: {held}", fix)
    for reason, left_out in _left_out(names, results, truth_files).items():
        jobs.note(f"{', '.join(left_out)} left out: {reason}")
    sequences, out = ", ".join(names), WorkDir(work).root / "plots" / f"hota.{form}"

    scored = [truth_files[name] for name in names]
    curves = {}
    for tracker, files in results.items():
        job = partial(hota_curves, tracker, files, scored, rules, jobs.note)
        if made := jobs.run(tracker, job):
            curves[tracker] = made

    def draw() -> None:
        plot_hota(curves, names, out)
        jobs.report(sequences, out, f"{len(curves)} trackers, {sequences}")

    if curves:
        jobs.run(sequences, draw)
    jobs.close()


def _with_ground_truth(
    results: Mapping[str, Mapping[str, Path]],
    truth_files: Collection[str],
    note: Callable[[str], None],
) -> Mapping[str, Mapping[str, Path]]:
    """Return the trackers with results of a sequence with ground truth; note the others.

    If there is no such tracker, all are returned.
    """
    known = {tracker: files for tracker, files in results.items() if {*files} & {*truth_files}}
    for tracker in results if known else ():
        if tracker not in known:
            names = ", ".join(results[tracker])
            note(f"{tracker} left out: none of its results ({names}) has ground truth")
    return known or results


def _results(tracks: Iterable[Path], work: Path) -> dict[str, dict[str, Path]]:
    """Find the result files that are named, by default all of the work folder."""
    from mottool.metrics.inputs import find_results, replace_sequence_folders

    return find_results(replace_sequence_folders(tracks, "tracks", work) or WorkDir(work).results())


def _left_out(
    scored: Collection[str],
    results: Mapping[str, Mapping[str, Path]],
    truth_files: Collection[str],
) -> dict[str, list[str]]:
    """Return the sequences that are not `scored`, by what they lack."""
    reasons = dict[str, list[str]]()
    for name in sorted({*truth_files, *(name for files in results.values() for name in files)}):
        without = [tracker for tracker, files in results.items() if name not in files]
        reason = f"no results of {', '.join(without)}"
        if len(without) == len(results):
            reason = "no tracker has results"
        if name not in truth_files:
            reason = "no ground truth is given"
        if name not in scored:
            reasons.setdefault(reason, []).append(name)
    return reasons


@click.command("timelines", short_help="Identities over time.")
@results_argument
@ground_truth_option()
@rules_option
@plot_options
def timelines(
    tracks: tuple[Path, ...],
    ground_truth: tuple[Path, ...],
    rules: str,
    form: str,
    work: Path,
    as_json: bool,
) -> None:
    """Draw each identity of result files as a bar over time.

    \b
        mottool plot timelines results/mine
        mottool plot timelines --gt MOT17/train

    With --gt each lane is a person of the ground truth, and the colours and numbers are the
    identities that match this person: a perfect tracker shows one colour in each lane. Thin grey
    is a missed person, a black tick an identity switch.
    """
    from mottool.metrics.ground_truth_files import find_ground_truth, get_ground_truth
    from mottool.metrics.unscored import drop_without_ground_truth

    jobs = Jobs(as_json)
    truth_files = find_ground_truth(ground_truth)

    drawn: dict[Path, Path] = {}

    def job(tracker: str, name: str, path: Path) -> None:
        truth = get_ground_truth(name, truth_files) if truth_files else None
        out = WorkDir(work).plot(Path(tracker).name, name, "timelines", form)
        check_output(drawn, out, path)
        jobs.report(name, plot_timelines(path, out, truth, rules, name), "drawn")

    results: Mapping[str, Mapping[str, Path]] = _results(tracks, work)
    if truth_files:
        results = drop_without_ground_truth(results, truth_files, jobs.note)
    for tracker, files in results.items():
        for name, path in files.items():
            jobs.run(name, partial(job, tracker, name, path))
    jobs.close()


@click.command("trade-off", short_help="Accuracy against speed, by detector and embedding.")
@click.argument(
    "comparisons",
    nargs=-1,
    required=True,
    metavar="COMPARISON...",
    type=ExistingPath(dir_okay=False),
)
@click.option("--tracker", help="The tracker to draw, if a COMPARISON has several.")
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="PIPELINE=DETECTOR+EMBEDDING",
    help="Name the parts of a pipeline of a COMPARISON; can be repeated.",
)
@plot_options
def trade_off(
    comparisons: tuple[Path, ...],
    tracker: str | None,
    names: tuple[str, ...],
    form: str,
    work: Path,
    as_json: bool,
) -> None:
    """Draw MOTA and IDF1 over frames per second for detectors and embeddings, as JDE's Fig. 3.

    \b
        mottool compare jde/ r50-ide/ r50-pcb/ --gt MOT15/train --tracker jde --csv low.csv
        mottool plot trade-off low.csv high.csv \\
            --name r50-ide/caches/onnx+reid="Faster R-CNN R50+IDE"

    COMPARISON is a CSV file of compare; each gets a column, such as one of videos with few people
    and one with many. The colour of a point is its embedding, the shape its detector. A network
    that detects and embeds in one pass is large, with a dark edge, and its embedding has its name.
    All pipelines must be timed on one machine. The plot is WORK/plots/trade-off.png.
    """
    from mottool.drawing.trade_off_plot import draw_trade_off, read_combinations

    jobs, renamed = Jobs(as_json), parse_key_values(names, "--name")
    out = WorkDir(work).root / "plots" / f"trade-off.{form}"
    stems = [path.stem for path in comparisons]
    labels = stems if len(set(stems)) == len(stems) else [str(path) for path in comparisons]

    def job() -> None:
        panels = {
            label: read_combinations(path, tracker, renamed)
            for label, path in zip(labels, comparisons, strict=True)
        }
        count = sum(map(len, panels.values()))
        jobs.report("trade-off", draw_trade_off(panels, out), f"drawn, {count} points")

    jobs.run("trade-off", job)
    jobs.close()
