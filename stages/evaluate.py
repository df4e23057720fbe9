"""Stage `evaluate`: results, caches and ground truth in, tables of scores out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mottool.cli.jobs import Jobs
from mottool.cli.options import as_json, ground_truth_files_option, settings_options, work_option
from mottool.cli.paths import FilePath
from mottool.cli.terminal import all_columns_option, columns_note, terminal_width
from mottool.errors import SettingError
from mottool.metrics.settings import EvaluationSettings
from mottool.splits import splits_help
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.metrics.ground_truth_files import GroundTruthFile

__all__ = ["Config", "command", "run"]

Config = EvaluationSettings


def run(
    tracks: Iterable[Path], truth: Iterable[Path], out: Path, config: Config | None = None
) -> Path:
    """Score result files, caches, or folders of them and write all metrics to the CSV file `out`.

    One row per tracker or pipeline and sequence, and a COMBINED row of each. `truth` are dataset
    roots, sequence folders, or folders of `<sequence>.txt`. Raises `InputError` for files that are
    missing, malformed, or do not belong together, `CacheError` for caches that cannot be read, and
    `SettingError` for settings that do not apply to caches.
    """
    from mottool.metrics import evaluate, inputs, tables

    config = config or Config()
    caches, others = inputs.find_caches(tracks)
    files = _ground_truth(truth, config, caches)
    results = inputs.find_results(others) if others or not caches else {}
    rows = evaluate.evaluate_results(results, files, config)
    rows += evaluate.evaluate_caches(caches, files, config)
    return tables.write_evaluation_csv(rows, out)


def _ground_truth(
    truth: Iterable[Path], config: Config, caches: Collection[Path]
) -> dict[str, GroundTruthFile]:
    """Find the ground truth of the classes and frames to score, by sequence.

    Raises `InputError` as `find_ground_truth` and `within`, and `SettingError` for settings that do
    not apply to `caches`.
    """
    from mottool.metrics.ground_truth_files import find_ground_truth

    files = find_ground_truth(truth, config.classes)
    if config.classes and caches:
        fix = "leave --classes out, or name result files"
        raise SettingError("--classes does not apply to caches, of which people are scored", fix)
    if not config.frames:
        return files
    if caches:
        fix = "give --gt PATH@first or PATH@second with caches of that half"
        raise SettingError("--frames does not apply to caches", fix)
    return {name: file.within(config.frames) for name, file in files.items()}


@click.command("evaluate", epilog=splits_help())
@click.argument("tracks", nargs=-1, type=FilePath())
@ground_truth_files_option
@click.option("--caches", is_flag=True, help="Score the caches under the work folder.")
@settings_options(Config)
@click.option(
    "--second-opinion",
    is_flag=True,
    help="Also print the metrics of the package motmetrics. It counts IDSW, Frag and MT slightly "
    "differently and has no HOTA; the official metrics are the first ones.",
)
@click.option("--csv", type=FilePath(), help="Write all metrics to this file.")
@click.option("--markdown", type=FilePath(), help="Write the table to this file.")
@all_columns_option
@as_json
@work_option
def command(
    tracks: tuple[Path, ...],
    truth: tuple[Path, ...],
    caches: bool,
    config: Config,
    second_opinion: bool,
    csv: Path | None,
    markdown: Path | None,
    all_columns: bool,
    as_json: bool,
    work: Path,
) -> None:
    """Score result files and caches against ground truth, as TrackEval and PASCAL do.

    TRACKS are folders of SEQUENCE.txt (one folder is one tracker), folders of those, work folders,
    TrackEval's folders TRACKER/data, zip files for MOTChallenge's server, or single files, plain or
    gzipped. A sequence folder stands for the results of that sequence in the work folder. Without
    any, all results in the work folder are scored. A result file is scored against
    the ground truth of the sequence of the same name; a single result file and the ground truth of
    a single sequence belong together whatever their names. Sequences without ground truth are left
    out and named.

    \b
        mottool evaluate --gt MOT17/train
        mottool evaluate my-tracker/ --gt MOT17/train --csv scores.csv --bootstrap 1000
        mottool evaluate tracks.txt --gt gt.txt --rules mot15 --by-size
        mottool evaluate --caches --gt MOT17/train
        mottool evaluate my-tracker/ --gt MOT17/train@second
        mottool evaluate cars/ --gt KITTI/training --classes car

    The screen shows percentages in MOTChallenge's order of columns, each sequence with the rules
    it was scored by; a terminal shows as many columns as fit, or --all-columns. --csv and --json
    hold fractions and all metrics, --json also the curves whose means are HOTA and its parts, for
    the thresholds 0.05, 0.10 to 0.95. COMBINED joins the sequences as TrackEval does. Sequences
    with ground truth but no result file are listed and not in COMBINED: the official benchmarks
    demand all of them.

    --frames 300-600 scores these frames of every sequence, as if the files were cut to them. With
    --gt PATH@second only the second half of each sequence is scored: results of whole sequences,
    or SEQUENCE@second.txt of a tracker that has seen that half only.

    Of KITTI tracking, VisDrone-MOT, BDD100K MOT, and labels of Ultralytics and CVAT, people are
    scored, or the --classes that you name. Results without a match in a region without labels
    (DontCare, ignored regions, crowds) are not scored; KITTI and BDD100K score as TrackEval does.

    Caches, files *.h5 or folders of them, show how good a network is before any tracker. AP is the
    average precision of its detections at an IoU of 0.5, AP_S, AP_M and AP_L that of small, medium
    and large people. The embeddings are scored of a cache that detect-embed --boxes gt made: TPR
    is the share of pairs of one person above the similarity that one in ten pairs of different
    people reaches; Rank1 and mAP are of a search with the first half of every track for people in
    the second halves of the same sequence. With --gallery pooled --min-visibility 0.7 --ap-sum
    trapezoid they are those of OUTrack's Table 7.
    """
    from mottool.metrics import evaluate, inputs, tables, unscored

    batch, folder = Jobs(as_json), WorkDir(work)
    tracks = tuple(inputs.replace_sequence_folders(tracks, "caches" if caches else "tracks", work))
    if not caches:
        tracks = tuple(inputs.expand_work_folders(tracks, "tracks"))
    cache_paths, sources = inputs.find_caches(tracks)
    cache_paths += folder.caches() if caches and not cache_paths else []
    sources = sources or ([] if tracks or caches else folder.results())
    files = _ground_truth(truth, config, cache_paths)
    results: Mapping[str, Mapping[str, Path]] = {}
    if sources or not cache_paths:
        results = inputs.find_results(sources, batch.note)
    names = [name for paths in results.values() for name in paths]
    if len(names) == len(files) == 1 and sources[0].is_file():
        files = dict(zip(names, files.values(), strict=True))
    if cache_paths:
        from mottool.metrics.chosen_caches import with_ground_truth

        cache_paths = with_ground_truth(cache_paths, files, batch.note)
    results = unscored.drop_without_ground_truth(results, files, batch.note)
    rows = evaluate.evaluate_results(
        results, files, config, motmetrics=second_opinion, attempt=batch.run, warn=batch.note
    )
    if cache_paths:
        attempt, warn = batch.run, batch.note
        rows += evaluate.evaluate_caches(cache_paths, files, config, attempt=attempt, warn=warn)
    if rows and not as_json:
        printed = tables.evaluation_tables(rows, by_tracker=True)
        width = None if all_columns else terminal_width()
        shown, left_out = tables.fit_to_width(printed, width)
        click.echo(tables.as_text(shown))
        if left_out:
            batch.note(columns_note(left_out))
    if rows and csv:
        tables.write_evaluation_csv(rows, csv)
    if rows and markdown:
        tables.write_markdown(tables.evaluation_tables(rows), markdown)
    listed = [row for row in rows if as_json or row.sequence != tables.COMBINED]
    batch.done += [row.to_json() for row in listed]
    batch.close()
