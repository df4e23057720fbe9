"""Stage `benchmark`: pipelines in, milliseconds a frame by part, frames per second, memory out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from mottool.cli.jobs import Jobs
from mottool.cli.name_choice import NameChoice
from mottool.cli.options import as_json, settings_options, work_option
from mottool.cli.paths import FilePath
from mottool.errors import SettingError
from mottool.networks.registry import DEFAULT
from mottool.pipelines.options import Options, input_size
from mottool.runtimes.registry import AUTO, EAGER, RUNTIMES, measured_runtimes
from mottool.settings import Settings, setting
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.benchmarking.benchmark import Fail
    from mottool.benchmarking.case import Case, Result

__all__ = ["Config", "command", "run"]

FROM_FILES = ("public", "gt")
DEFAULT_PIPELINES = (DEFAULT, f"{DEFAULT}+osnet_x0_25")  # a one-shot and a two-stage one
DEFAULT_FRAMES = 64  # of the drawn video


def people_counts(text: str) -> tuple[int, ...]:
    """Parse numbers of people, separated by commas; "" for none."""
    words = [word.strip() for word in text.split(",")] if text.strip() else []
    if not all(word.isdecimal() for word in words):
        fix = "write whole numbers separated by commas, such as 0,50,100"
        raise SettingError(f"--people {text!r} is not a list of numbers", fix)
    return tuple(sorted({int(word) for word in words}))


@dataclass(frozen=True)
class Config(Settings):
    """What is measured, and how often. Settings without a default are those of `detect-embed`."""

    weights: Path | None = setting(
        None,
        "Checkpoint of the network or detector, if there is one --pipeline. By default the "
        "bundled or downloaded one, else random weights.",
    )
    embedder_weights: Path | None = setting(
        None, "Checkpoint of the embedder, if there is one --pipeline; otherwise as --weights."
    )
    input: tuple[int, int] | None = setting(
        None, "Input size of the networks in pixels, multiples of 32.", parse=input_size, form="WxH"
    )
    device: str | None = setting(None, "Device of networks, as for detect-embed.")
    precision: str | None = setting(
        None, "Precision of networks, as for detect-embed.", choices=("fp32", "fp16", "bf16")
    )
    batch: int | None = setting(None, "Frames per call of a network, as for detect-embed.", low=1)
    boxes: Path | None = setting(
        None,
        "A file of detections with the boxes that a second stage embeds, instead of those that its "
        "detector finds. By default those of the drawn people, if no SOURCE is given.",
    )
    frames: int | None = setting(
        None,
        "Frames of the video that are measured at each repeat. By default as many as take about 4 "
        "seconds, from 8 to 64.",
        low=1,
    )
    repeats: int = setting(5, "How often each pipeline with each runtime is measured.", low=1)
    people: tuple[int, ...] = setting(
        (0, 25, 50, 100),
        "Numbers of people in a frame for the plot of the cost, separated by commas; '' for no "
        "plot.",
        parse=people_counts,
        form="N,…",
    )

    @property
    def options(self) -> Options:
        """Return the settings of the pipelines' parts."""
        names = ("weights", "embedder_weights", "input", "device", "precision", "batch")
        given: dict[str, Any] = {name: getattr(self, name) for name in names}
        return replace(Options(), **{name: value for name, value in given.items() if value})


def run(
    out: Path,
    pipelines: Sequence[str] = DEFAULT_PIPELINES,
    runtimes: Sequence[str] = (),
    source: Path | None = None,
    config: Config | None = None,
) -> Path:
    """Measure pipelines with runtimes, and write tables and a plot to the folder `out`.

    Without `runtimes` every installed one is measured that `auto` considers on the device, and left
    out where it does not apply; a pipeline without runtimes is measured once, as `torch`. Without a
    `source` a video of walking people is drawn. Raises `SettingError` for unknown names and
    settings that do not apply, and `InputError` for a source that cannot be used.
    """

    def fail(case: Case, error: Exception) -> None:
        if runtimes or case.runtime == EAGER:
            raise error

    config = config or Config()
    names = runtimes or installed_runtimes(config.options.device)
    results = list(_measure(pipelines, names, source, config, fail))
    _write(results, out)
    return out


@click.command("benchmark")
@click.argument("source", required=False, type=FilePath())
@click.option(
    "--pipeline",
    "pipelines",
    multiple=True,
    metavar="TEXT",
    help="A pipeline, as for detect-embed; may be repeated.  "
    f"[default: {' and '.join(DEFAULT_PIPELINES)}]",
)
@click.option(
    "--runtime",
    "runtimes",
    multiple=True,
    type=NameChoice((AUTO, *RUNTIMES), "runtime"),
    help="What computes networks from PyTorch checkpoints, as for detect-embed; may be repeated.  "
    "[default: every installed one that auto measures]",
)
@settings_options(Config)
@click.option(
    "--out",
    type=FilePath(file_okay=False),
    help="Folder of the tables and the plot.  [default: WORK/benchmark]",
)
@work_option
@as_json
def command(
    source: Path | None,
    pipelines: tuple[str, ...],
    runtimes: tuple[str, ...],
    config: Config,
    out: Path | None,
    work: Path,
    as_json: bool,
) -> None:
    """Measure how fast pipelines are on this machine, by part, and how much memory they need.

    SOURCE is a video or a folder of images, by default a drawn video of 1920x1080 pixels with 20
    people. Each pipeline runs with each runtime in a process of its own. They take turns after a
    warm-up, so run nothing else on the machine meanwhile.

    \b
        mottool benchmark
        mottool benchmark video.mp4 --pipeline mottool-s --pipeline tdt-r34
        mottool benchmark --pipeline fairmot-dla34 --weights fairmot_dla34.pth --input 864x480
        mottool benchmark --pipeline jde-576x320 --frames 10 --repeats 3 --people 0,150

    \b
    people        mean number of detections in a frame
    decode        milliseconds to decode a frame of the video, after it was opened
    resize        to make it the network's input (torchvision's detectors do so in network)
    network       to run the network
    heads         to turn the network's output into boxes and embeddings
    embed         to embed the boxes in a second stage
    write         to write the cache
    sum           of these parts, one after the other
    whole         of detect-embed, in which they overlap; frames/s is its rate
    CPU           of all cores together for the whole
    MB            highest resident memory of the process

    The table has the least of all repeats, benchmark.csv the median too. The plot shows the cost of
    a frame against the number of people in it, which a second stage sees one by one. For it the
    score threshold of a one-shot network is set so that it detects about as many people.

    A network without weights gets random ones: its speed does not depend on their values. The
    number of detections does, so the threshold is set as for the plot, and a second stage embeds
    the boxes of the drawn people, or those of --boxes.
    """
    jobs = Jobs(as_json)

    def fail(case: Case, error: Any) -> None:
        name = f"{case.pipeline} with {case.runtime}"
        if not isinstance(error, SettingError):
            jobs.fail(name, error)
        elif runtimes or case.runtime == EAGER:
            raise error
        else:
            jobs.note(f"{name} is left out: {error.problem}")

    folder = out or WorkDir(work).benchmark()
    names = pipelines or DEFAULT_PIPELINES
    chosen = runtimes or installed_runtimes(config.options.device)
    results = list(_measure(names, chosen, source, config, fail))
    if results:
        _report(jobs, results, _write(results, folder))
    jobs.close()


def installed_runtimes(device: str) -> tuple[str, ...]:
    """Return the installed runtimes that `auto` measures on a device."""
    from mottool.models.device import Compute

    names = measured_runtimes(Compute.named(device).device.type)
    return tuple(name for name in names if not RUNTIMES[name].missing())


def _measure(
    pipelines: Sequence[str],
    runtimes: Sequence[str],
    source: Path | None,
    config: Config,
    fail: Fail,
) -> Iterator[Result]:
    """Measure each pipeline with all runtimes in turns."""
    from mottool.benchmarking.benchmark import measure
    from mottool.progress import counter

    pipelines = list(dict.fromkeys(pipelines))
    if len(pipelines) > 1 and (config.weights or config.embedder_weights):
        fix = "measure one pipeline at a time, or omit the weights"
        raise SettingError("--weights are given for several pipelines", fix)
    _check_names(pipelines)
    runtimes_of = {name: _applicable(runtimes, name) for name in pipelines}
    total = sum(map(len, runtimes_of.values())) * config.repeats
    with _inputs(source, config) as make, counter("benchmark", total, unit="runs") as count:
        for name in pipelines:
            cases = [make(name, runtime) for runtime in runtimes_of[name]]
            yield from measure(cases, config.repeats, fail, lambda: count(1))


def _check_names(pipelines: Sequence[str]) -> None:
    """Raise `SettingError` for an unknown pipeline, or for one that runs no network."""
    from mottool.pipelines.build import check_name

    for name in pipelines:
        check_name(name)
        if name.partition("+")[0] in FROM_FILES:
            fix = "name a network or a detector, and give the boxes of a second stage with --boxes"
            raise SettingError(f"{name} reads boxes from files, which has no speed", fix)


def _applicable(runtimes: Sequence[str], pipeline: str) -> Sequence[str]:
    """Return the runtimes that a pipeline can have: only `torch` if no part has any.

    Raises `SettingError` for such a pipeline if others are to be measured but not `torch`.
    """
    from mottool.pipelines.build import accepted_options

    if "runtime" in accepted_options(pipeline):
        return list(dict.fromkeys(runtimes))
    if EAGER not in runtimes:
        fix = f"measure {pipeline} alone, without --runtime"
        raise SettingError(f"--runtime does not apply to {pipeline}", fix)
    return [EAGER]


@contextmanager
def _inputs(source: Path | None, config: Config) -> Iterator[Callable[[str, str], Case]]:
    """Give a function that makes the case of a pipeline and a runtime; draw a video if needed."""
    from mottool.benchmarking.case import PEOPLE, Case
    from mottool.benchmarking.scene import draw_scene

    with TemporaryDirectory() as scratch:
        folder, boxes = Path(scratch), config.boxes
        if source is None:
            source, drawn = draw_scene(folder, config.frames or DEFAULT_FRAMES, PEOPLE)
            boxes = boxes or drawn
        else:
            _check_source(source)

        def make(pipeline: str, runtime: str) -> Case:
            options, frames, people = config.options, config.frames, config.people
            return Case(pipeline, runtime, options, source, boxes, frames, people, folder)

        yield make


def _check_source(source: Path) -> None:
    """Raise `SettingError` unless the source is one sequence, `InputError` without frames."""
    from mottool.benchmarking.first_frames import FirstFrames
    from mottool.sources.discovery import find_sequences

    sequences = find_sequences([source])
    if len(sequences) != 1:
        fix = f"name one of them, such as {sequences[0].path}"
        raise SettingError(f"{source} has {len(sequences)} sequences", fix)
    FirstFrames.take(sequences[0], 1).read(1)


def _write(results: Sequence[Result], folder: Path) -> list[Path]:
    """Write the tables and the plot of the cost; return the files."""
    from mottool.benchmarking.report import cost_curves, write_report
    from mottool.drawing.cost_plot import plot_cost
    from mottool.drawing.style import save_figure

    files = write_report(results, folder)
    curves, two_stage = cost_curves(results)
    if curves:
        files.append(save_figure(plot_cost(curves, two_stage), folder / "cost.png"))
    return files


def _report(jobs: Jobs, results: Sequence[Result], files: Sequence[Path]) -> None:
    """Print the tables and the messages."""
    from mottool.benchmarking.report import cost_table, result_to_json, speed_table
    from mottool.metrics.tables import as_text

    tables = [speed_table(results)]
    if costs := cost_table(results):
        tables.append(costs)
    if not jobs.as_json:
        click.echo(as_text(tables))
    for result in results:
        for note in result.usage.notes:
            jobs.note(f"{result.case.pipeline} with {result.case.runtime}: {note}")
    jobs.done += [result_to_json(result) for result in results]
    if not jobs.as_json:
        click.echo(f"{files[0].parent}  {', '.join(path.name for path in files)}")
