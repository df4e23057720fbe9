"""Stage `compare`: compare pipelines and trackers on the same sequences, in a table and plots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mottool.association.registry import TRACKERS
from mottool.association.sequence_settings import (
    SequenceSettings,
    read_settings_by_tracker,
    unused_tables,
)
from mottool.cli.jobs import Jobs
from mottool.cli.name_choice import NameChoice
from mottool.cli.options import as_json, ground_truth_files_option, settings_options, work_option
from mottool.cli.paths import FilePath
from mottool.cli.terminal import all_columns_option, columns_note, terminal_width
from mottool.engines.threads import single_threads
from mottool.errors import SettingError, did_you_mean
from mottool.metrics.registry import columns
from mottool.motchallenge.rules import AUTO, RULES
from mottool.progress import progress as show_progress
from mottool.settings import Settings, setting
from mottool.splits import splits_help

if TYPE_CHECKING:
    from mottool.comparison.comparison import Comparison
    from mottool.comparison.pipelines import ComparedPipeline
    from mottool.comparison.results import ComparisonRow

__all__ = ["Config", "command", "run"]

DEFAULT_TRACKERS = ("fairmot", "sort")  # one that uses embeddings and one that does not
FIGURES = columns("compare")
MORE = tuple(name for name in columns("evaluate", "tracks") if name not in FIGURES)


def column_names(text: str) -> tuple[str, ...]:
    """Parse names of metrics, separated by commas."""
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in FIGURES + MORE:
            fix = did_you_mean(name, FIGURES + MORE)
            raise SettingError(f"--columns: there is no metric {name!r}", fix)
    return names


@dataclass(frozen=True)
class Config(Settings):
    """How the rows are scored, and what the plots show."""

    rules: str = setting(
        AUTO,
        "The benchmark whose rules score the tracks; auto detects it from the ground truth, as "
        "evaluate does.",
        choices=RULES,
    )
    x: str | None = setting(
        None,
        "The metric on the x axis of the scatter plot; by default FPS, or FPSA between trackers of "
        "one pipeline.",
        choices=FIGURES,
    )
    y: str = setting(
        "HOTA", "The metric on the y axis of the scatter plot, and of the bars.", choices=FIGURES
    )
    columns: tuple[str, ...] | None = setting(
        None,
        "The metrics in the table, separated by commas, such as MOTA,IDF1,MT%,ML%,Prcn,FAR,FPS: "
        "the default ones above and those of evaluate. --csv and --json hold all.",
        parse=column_names,
        form="NAME,…",
    )
    plot_format: str = setting(
        "png", "The file format of the plots.", choices=("png", "svg", "pdf")
    )
    oracle: bool = setting(
        False,
        "Also track ground-truth boxes (detect-embed --boxes gt), which shows the result of a "
        "perfect detector. These rows are not ranked.",
    )
    published: bool = setting(
        False,
        "Use the settings that trackers' authors published, not those that fit the pipelines.",
    )
    camera_motion: bool | None = setting(
        None,
        "Whether the trackers that compensate for camera motion do so. By default as their "
        "settings say.",
    )
    embed_videos: float = setting(
        4.0, "Embed videos of up to this many megabytes in the page; link larger ones.", low=0
    )


def run(
    caches: Iterable[Path],
    truth: Iterable[Path],
    out: Path,
    trackers: Mapping[str, SequenceSettings] | None = None,
    config: Config | None = None,
) -> Path:
    """Compare pipelines and trackers, and write all metrics to the CSV file `out`.

    `caches` are work folders, folders of caches or cache files of any number of pipelines, and
    `truth` paths of ground truth. `trackers` are names with their settings by sequence, by default
    fairmot and sort with those that fit the pipelines, else their published ones. Raises
    `InputError` and `CacheError` for files that are missing, malformed or do not belong together.
    """
    from mottool.comparison.results import sequence_table
    from mottool.metrics.tables import write_csv

    trackers = trackers or read_settings_by_tracker(DEFAULT_TRACKERS, ())
    comparison = _comparison(caches, truth, trackers, config or Config())
    rows = [comparison.measure(*pair) for pair in comparison.pairs]
    return write_csv(sequence_table(rows), out)


@click.command("compare", epilog=splits_help())
@click.argument("caches", nargs=-1, metavar="[CACHES]...", type=FilePath())
@ground_truth_files_option
@click.option(
    "--tracker",
    "names",
    multiple=True,
    type=NameChoice(TRACKERS, "tracker"),
    help="A tracker, with the settings that fit each pipeline, else its published ones; may be "
    f"repeated.  [default: {' and '.join(DEFAULT_TRACKERS)}]",
)
@click.option(
    "--settings",
    "files",
    multiple=True,
    type=FilePath(dir_okay=False),
    help="A TOML file that names a tracker and its settings, as tune writes it; may be repeated. "
    "Its row is named TRACKER@FILE, such as bytetrack@best for best.toml.",
)
@settings_options(Config)
@click.option("--csv", type=FilePath(), help="Write all metrics to this file.")
@click.option("--markdown", type=FilePath(), help="Write the table to this file.")
@click.option("--latex", type=FilePath(), help="Write the table, for booktabs, to this file.")
@click.option(
    "--plots",
    type=FilePath(file_okay=False),
    help="Write the plots scatter, parts, crowd and sequences to this folder.",
)
@click.option(
    "--html",
    type=FilePath(),
    help="Write a page with the table, which can be sorted, the plots and the videos to this file.",
)
@all_columns_option
@work_option
@as_json
def command(
    caches: tuple[Path, ...],
    truth: tuple[Path, ...],
    names: tuple[str, ...],
    files: tuple[Path, ...],
    config: Config,
    csv: Path | None,
    markdown: Path | None,
    latex: Path | None,
    plots: Path | None,
    html: Path | None,
    all_columns: bool,
    work: Path,
    as_json: bool,
) -> None:
    """Compare the accuracy and speed of pipelines and trackers on the same sequences.

    CACHES are work folders, folders of caches or single caches, by default the work folder. Each
    tracker runs on the caches of each pipeline; result files are not needed. Sequences without
    ground truth, or without a cache of every pipeline, are left out. With --gt PATH@second only
    the second half of each cache is tracked and scored.

    \b
        mottool compare --gt MOT17/train
        mottool compare --gt MOT17/train --tracker fairmot --tracker bytetrack --html report.html
        mottool compare mine/ theirs/ --gt MOT17/train --plots figures --plot-format pdf
        mottool compare --gt MOT17/train --settings mottool-work/tuning/public.sort/best.toml
        mottool compare --gt MOT17/train --x FPSA --y IDF1 --plots figures --latex table.tex

    \b
    MOTA IDF1 HOTA IDSW   as in evaluate
    AP                    of the detections of people, at an IoU of 0.5
    TPR                   of the embeddings at a false accept rate of 0.1, if the work folder also
                          has them at ground-truth boxes (detect-embed --boxes gt)
    FPSD FPSE FPSA FPS    frames per second of detection, of embedding, of association and of the
                          whole system: networks, decoding of their heads, and association, without
                          decoding of the video and the first frame of each sequence, during which
                          libraries are loaded

    Kind is one-shot for one network that does both, two-stage for DETECTOR+EMBEDDER, boxes only
    without embeddings, true boxes for --oracle. The best value of a column has a * and the second
    best a +.

    Detection and embedding are timed by detect-embed, association by this command. Compare speeds
    only of caches made on one machine, and run nothing else on it meanwhile.

    The plots are a scatter of --y against --x, AssA against DetA, frames per second against people
    per frame, and --y on every sequence. The page also has DetA, AssA, all settings, versions, the
    machine, and the videos that render has written to the work folders.
    """
    trackers = read_settings_by_tracker(names, files) or read_settings_by_tracker(
        DEFAULT_TRACKERS, ()
    )
    if html and html.suffix.lower() not in {".html", ".htm"}:
        raise SettingError(f"{html} is not a file name for a page", "end it in .html")
    jobs = Jobs(as_json)
    with single_threads():  # before numpy is loaded
        from mottool.metrics.inputs import replace_sequence_folders

        chosen = replace_sequence_folders(caches, "caches", work) or (work,)
        comparison = _comparison(chosen, truth, trackers, config)
        rows = [
            row
            for pair in comparison.pairs
            if (row := jobs.run(_name(*pair), partial(_measure, comparison, *pair)))
        ]
    notes = comparison.notes + unused_tables(trackers)
    if rows:
        from mottool.comparison.results import chance, comparison_table
        from mottool.metrics.tables import as_text, fit_to_width

        notes += chance(rows)
        _write_tables(rows, config, csv, markdown, latex)
        if plots:
            _write_plots(rows, config, plots)
        if html:
            _write_page(rows, notes, comparison, config, html)
        if not as_json:
            printed = comparison_table(rows, config.columns or FIGURES)
            width = None if all_columns or config.columns else terminal_width()
            shown, left_out = fit_to_width([printed], width)
            click.echo(as_text(shown))
            notes += [columns_note(left_out)] if left_out else []
    for note in notes:
        jobs.note(note)
    jobs.done += _json_rows(rows)
    jobs.close()


def _comparison(
    caches: Iterable[Path],
    truth: Iterable[Path],
    trackers: Mapping[str, SequenceSettings],
    config: Config,
) -> Comparison:
    from mottool.comparison.comparison import Comparison

    return Comparison(
        caches,
        truth,
        trackers,
        rules=config.rules,
        oracle=config.oracle,
        published=config.published,
        camera_motion=config.camera_motion,
    )


def _name(pipeline: ComparedPipeline, tracker: str) -> str:
    return f"{pipeline.name}.{tracker}"


def _measure(comparison: Comparison, pipeline: ComparedPipeline, tracker: str) -> ComparisonRow:
    """Measure a row with a progress bar."""

    def progress(sequences: Iterable[str]) -> Iterator[str]:
        total = len(comparison.sequences)
        return show_progress(sequences, _name(pipeline, tracker), total, unit="sequences")

    return comparison.measure(pipeline, tracker, progress)


def _write_tables(
    rows: list[ComparisonRow],
    config: Config,
    csv: Path | None,
    markdown: Path | None,
    latex: Path | None,
) -> None:
    from mottool.comparison.results import comparison_table, sequence_table
    from mottool.metrics.tables import write_csv, write_latex, write_markdown

    if csv:
        write_csv(sequence_table(rows), csv)
    if markdown:
        write_markdown([comparison_table(rows, config.columns or FIGURES)], markdown)
    if latex:
        write_latex(comparison_table(rows, config.columns or FIGURES), latex)


def _write_plots(rows: list[ComparisonRow], config: Config, folder: Path) -> None:
    from mottool.drawing.comparison_page import comparison_figures
    from mottool.drawing.style import save_figure

    for name, (_, figure) in comparison_figures(rows, config.x, config.y).items():
        save_figure(figure, folder / f"{name}.{config.plot_format}")


def _write_page(
    rows: list[ComparisonRow],
    notes: list[str],
    comparison: Comparison,
    config: Config,
    path: Path,
) -> None:
    from mottool.comparison.environment import describe_environment
    from mottool.comparison.html_page import find_videos, write_page
    from mottool.drawing.comparison_page import draw_page

    videos = find_videos(comparison, rows, notes.append)
    page = draw_page(rows, notes, config.x, config.y, config.columns)
    page = replace(
        page,
        videos=videos,
        facts=describe_environment(),
        pipelines=comparison.describe_pipelines(),
    )
    write_page(rows, page, path, config.embed_videos)


def _json_rows(rows: list[ComparisonRow]) -> list[dict[str, Any]]:
    """Return the rows for JSON; `rank` has 1 for the best and 2 for the second best metrics."""
    from mottool.comparison.results import ranks

    ranked = {name: ranks(rows, name) for name in FIGURES + MORE if rows}
    return [
        {
            "sequence": row.name,
            "pipeline": row.pipeline,
            "kind": row.kind,
            "tracker": row.tracker,
            "figures": dict(row.figures),
            "rank": {name: column[index] for name, column in ranked.items() if column[index]},
            "by_sequence": {name: dict(metrics) for name, metrics in row.by_sequence.items()},
        }
        for index, row in enumerate(rows)
    ]
