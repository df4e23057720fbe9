"""Stage `compare`: caches of several pipelines and ground truth in, one table and its plots out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mottool.association.registry import TRACKERS
from mottool.association.sequence_settings import SequenceSettings, kinds_of
from mottool.cli.jobs import Jobs
from mottool.cli.options import as_json, settings_options, truth_flag, work_option
from mottool.engines.local import executor
from mottool.errors import SettingError, did_you_mean
from mottool.progress import progress
from mottool.settings import Settings, setting
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mottool.comparison.comparison import Comparison
    from mottool.comparison.html_page import PageVideo
    from mottool.comparison.pipelines import ComparedPipeline
    from mottool.comparison.results import ComparisonRow

__all__ = ["Config", "command", "run"]

USUAL = ("fairmot", "sort")  # one that goes by looks and one that does not
FIGURES = ("MOTA", "IDF1", "HOTA", "IDSW", "AP", "TPR", "FPSD", "FPSE", "FPSA", "FPS")


@dataclass(frozen=True)
class Config(Settings):
    """How rows are scored and what the plots show."""

    rules: str = setting(
        "auto",
        "By which rules tracks are scored; auto goes by the ground truth, as evaluate does.",
        choices=("auto", "mot15", "mot16", "mot17", "mot20"),
    )
    x: str = setting("FPS", "The figure along the scatter plot.", choices=FIGURES)
    y: str = setting("MOTA", "The figure up the scatter plot, and of the bars.", choices=FIGURES)
    plot_format: str = setting(
        "png", "The kind of picture that --plots writes.", choices=("png", "svg", "pdf")
    )
    oracle: bool = setting(
        False,
        "Also track ground-truth boxes (detect-embed --boxes gt): what a perfect detector would "
        "give. These rows compete for no mark.",
    )
    published: bool = setting(
        False,
        "Use the settings that trackers' authors published, not those that fit the pipelines.",
    )
    embed_videos: float = setting(
        4.0, "Videos of up to so many megabytes are put into the page, not linked.", low=0
    )


def run(
    caches: Iterable[Path],
    truth: Iterable[Path],
    out: Path,
    trackers: Mapping[str, SequenceSettings] | None = None,
    config: Config | None = None,
) -> Path:
    """Compare pipelines and trackers, and write every figure to the CSV file `out`.

    `caches` are work folders, folders of caches or cache files of any number of pipelines,
    `truth` places of ground truth, `trackers` names with the settings of each sequence, by
    default fairmot and sort with those that fit the pipelines, else their published ones. Raises
    `InputError` and `CacheError` for files that are missing, malformed or do not belong together.
    """
    from mottool.comparison.comparison import Comparison
    from mottool.comparison.tables import write_csv

    config, usual = config or Config(), {name: SequenceSettings() for name in USUAL}
    lineup = Comparison(caches, truth, trackers or usual, *_how(config))
    return write_csv([lineup.measure(*pair) for pair in lineup.pairs], out)


@click.command("compare")
@click.argument("caches", nargs=-1, metavar="[CACHES]...", type=click.Path(path_type=Path))
@truth_flag
@click.option(
    "--tracker",
    "names",
    multiple=True,
    type=click.Choice(list(TRACKERS)),
    help="A tracker, with the settings that fit each pipeline, else its published ones; may be "
    "given several times.  "
    f"[default: {' and '.join(USUAL)}]",
)
@click.option(
    "--settings",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A TOML file with the settings of the tracker that it names, as tune writes it; may be "
    "given several times.",
)
@settings_options(Config)
@click.option("--csv", type=click.Path(path_type=Path), help="Write every figure to this file.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the table to this file.")
@click.option(
    "--latex", type=click.Path(path_type=Path), help="Write the table, for booktabs, to this file."
)
@click.option(
    "--plots",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write scatter, crowd and sequences (.png, or as --plot-format says) to this folder.",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    help="Write one page with the table, to be sorted, the plots and the videos to this file.",
)
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
    work: Path,
    as_json: bool,
) -> None:
    """Compare pipelines and trackers on the same sequences: how well, and how fast.

    CACHES are work folders, folders of caches or single caches, by default the work folder. Each
    pipeline in them is tracked by each tracker here and now; result files are not needed.
    Sequences that lack ground truth, or the cache of one pipeline, are left out.

    \b
        mottool compare --gt MOT17/train
        mottool compare --gt MOT17/train --tracker fairmot --tracker bytetrack --html report.html
        mottool compare mine/ theirs/ --gt MOT17/train --plots figures --plot-format pdf
        mottool compare --gt MOT17/train --settings mottool-work/tuning/public.sort/best.toml
        mottool compare --gt MOT17/train --x FPSA --y IDF1 --plots figures --latex table.tex

    \b
    MOTA IDF1 HOTA IDSW   as evaluate tells them
    AP                    of the detections of people, at an IoU of 0.5
    TPR                   of the embeddings at a false accept rate of 0.1, where the work folder
                          has them at ground-truth boxes too (detect-embed --boxes gt)
    FPSD FPSE FPSA FPS    frames a second of detection, of embedding, of association and of all
                          three; reading of frames and the first frame of a sequence, which waits
                          for libraries to load, do not count

    Kind says one-shot where one network does both, two-stage for DETECTOR+EMBEDDER, boxes only
    where nothing is embedded, true boxes for --oracle. The best figure of a column has a * and the
    second best a +.

    Detection and embedding are timed by detect-embed, association now: compare speeds of caches
    that one machine made, and let it do nothing else meanwhile.

    The plots are a scatter of --y against --x, frames a second against people in the frame, and
    --y on every sequence. The page finds the videos that render left in the work folders.
    """
    profiles = _profiles(names, files)
    if html and html.suffix.lower() not in {".html", ".htm"}:
        raise SettingError(f"{html} is no name for a page", "end it in .html")
    batch = Jobs(as_json)
    with executor(1):  # before numpy is loaded, for linear algebra on one thread
        from mottool.comparison.comparison import Comparison

        lineup = Comparison(caches or (work,), truth, profiles, *_how(config))
        standings = [
            made
            for pair in lineup.pairs
            if (made := batch.run(_name(*pair), partial(_measured, lineup, *pair)))
        ]
    notes = lineup.notes + _unused(profiles)
    if standings:
        from mottool.comparison.results import chance

        notes += chance(standings)
        _write(standings, csv, markdown, latex)
        if plots:
            _draw(standings, config, plots)
        if html:
            _page(standings, notes, _videos(lineup), config, html)
    if standings and not as_json:
        from mottool.comparison.tables import as_text

        click.echo(as_text(standings))
    for note in notes:
        batch.note(note)
    batch.done += _facts(standings)
    batch.close()


def _how(config: Config) -> tuple[str, bool, bool]:
    """Return the settings that decide what is compared."""
    return config.rules, config.oracle, config.published


def _profiles(names: Iterable[str], files: Iterable[Path]) -> dict[str, SequenceSettings]:
    """The trackers that are named, by themselves or by a file of their settings."""
    found = {name: SequenceSettings() for name in names}
    given: dict[str, Path] = {}
    for file in files:
        profiles = SequenceSettings(file)
        name = profiles.tracker
        if name is None:
            raise SettingError(f"{file} names no tracker", 'write tracker = "fairmot" at its top')
        if name not in TRACKERS:
            raise SettingError(f"{file} is for {name!r}", did_you_mean(name, TRACKERS))
        if name in given:
            fix = "compare them one after the other"
            raise SettingError(f"{given[name]} and {file} are both for {name}", fix)
        profiles.check(kinds_of(name))
        found[name], given[name] = profiles, file
    return found or {name: SequenceSettings() for name in USUAL}


def _unused(profiles: Mapping[str, SequenceSettings]) -> list[str]:
    return [
        f"the settings of {tracker} for [{name}] fit none of these sequences"
        for tracker, own in profiles.items()
        for name in own.unused
    ]


def _name(contender: ComparedPipeline, tracker: str) -> str:
    return f"{contender.name}.{tracker}"


def _measured(lineup: Comparison, contender: ComparedPipeline, tracker: str) -> ComparisonRow:
    def watch(sequences: Iterable[str]) -> Iterator[str]:
        total = len(lineup.sequences)
        return progress(sequences, _name(contender, tracker), total, unit="sequences")

    return lineup.measure(contender, tracker, watch)


def _write(
    standings: list[ComparisonRow], csv: Path | None, markdown: Path | None, latex: Path | None
) -> None:
    from mottool.comparison.tables import write_csv, write_latex, write_markdown

    for write, path in ((write_csv, csv), (write_markdown, markdown), (write_latex, latex)):
        if path:
            write(standings, path)


def _pictures(standings: list[ComparisonRow], config: Config) -> dict[str, tuple[str, Figure]]:
    """The plots by the names of their files, each with what it shows."""
    from mottool.drawing.comparison_plots import bars, crowd, scatter

    return {
        "scatter": (f"{config.y} against {config.x}", scatter(standings, config.x, config.y)),
        "crowd": ("Speed of the whole against people in the frame", crowd(standings)),
        "sequences": (f"{config.y} on every sequence", bars(standings, config.y)),
    }


def _draw(standings: list[ComparisonRow], config: Config, folder: Path) -> None:
    from mottool.drawing.style import save

    for name, (_, figure) in _pictures(standings, config).items():
        save(figure, folder / f"{name}.{config.plot_format}")


def _page(
    standings: list[ComparisonRow],
    notes: list[str],
    videos: list[PageVideo],
    config: Config,
    path: Path,
) -> None:
    from mottool.comparison.html_page import write_page
    from mottool.drawing.comparison_plots import as_svg

    pictures = {
        told: as_svg(figure, name) for name, (told, figure) in _pictures(standings, config).items()
    }
    write_page(standings, pictures, notes, videos, path, config.embed_videos)


def _videos(lineup: Comparison) -> list[PageVideo]:
    """What render made of the rows, in the work folders that the caches lie in."""
    from mottool.comparison.html_page import PageVideo

    found = []
    for contender, tracker in lineup.pairs:
        for sequence in lineup.sequences:
            folder = contender.caches[sequence].resolve().parents[2]
            path = WorkDir(folder).video(f"{contender.pipeline}.{tracker}", sequence)
            if path.is_file():
                found.append(PageVideo(_name(contender, tracker), sequence, path))
    return found


def _facts(standings: list[ComparisonRow]) -> list[dict[str, Any]]:
    """The rows as JSON holds them; `rank` has 1 for the best and 2 for the second best figures."""
    from mottool.comparison.results import ranks

    columns = {name: ranks(standings, name) for name in FIGURES if standings}
    return [
        {
            "sequence": each.name,
            "pipeline": each.pipeline,
            "kind": each.kind,
            "tracker": each.tracker,
            "figures": dict(each.figures),
            "rank": {name: column[place] for name, column in columns.items() if column[place]},
            "by_sequence": {name: dict(told) for name, told in each.by_sequence.items()},
        }
        for place, each in enumerate(standings)
    ]
