"""Stage `evaluate`: results, caches and ground truth in, tables of scores out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mottool.cli.jobs import Jobs
from mottool.cli.options import as_json, settings_options, truth_flag, work_option
from mottool.errors import SettingError
from mottool.motchallenge.rules import AUTO, RULES
from mottool.settings import Settings, setting
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.metrics.inputs import GroundTruthFile
    from mottool.metrics.tables import TableRow

__all__ = ["Config", "command", "run"]


@dataclass(frozen=True)
class Config(Settings):
    """The rules by which results and caches are scored, and additional metrics."""

    rules: str = setting(
        AUTO,
        "Which ground truth is scored, and which is ignored with the results on it. auto chooses "
        "by the ground truth's columns and the sequence's name.",
        choices=RULES,
    )
    by_size: bool = setting(
        False,
        "Also count identity switches of small, medium and large people (IDSW_S, _M, _L).",
    )
    per_class: bool = setting(
        False,
        "Score each class of the ground truth separately. Results give their class in column 8, "
        "as ground truth does. Of classes other than pedestrians, all rows are scored whose flag "
        "is not 0.",
    )
    small: float = setting(
        7000.0, "A person with a smaller box, in square pixels, is small.", low=0
    )
    large: float = setting(
        15000.0, "A person with a larger box, in square pixels, is large.", low=0
    )
    min_score: float = setting(
        0.5,
        "Lowest score of a cache's detections that count in Rcll and Prcn; AP ranks all.",
        low=0,
        high=1,
    )
    bootstrap: int = setting(
        0,
        "Draw the sequences this many times with replacement, such as 1000, and show the 95 % "
        "confidence interval of the COMBINED metrics.",
        low=0,
    )
    seed: int = setting(0, "Random seed of --bootstrap.", low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.small > self.large:
            problem = f"small people below {self.small:g} and large ones above {self.large:g}"
            raise SettingError(f"{problem} overlap", "let --small be no more than --large")

    @property
    def size_limits(self) -> tuple[float, float]:
        """Return the limits between small, medium and large, in square pixels."""
        return self.small, self.large


def run(
    tracks: Iterable[Path], truth: Iterable[Path], out: Path, config: Config | None = None
) -> Path:
    """Score result files, caches, or folders of them and write all metrics to the CSV file `out`.

    One row per tracker or pipeline and sequence, and a COMBINED row of each. `truth` are dataset
    roots, sequence folders, or folders of `<sequence>.txt`. Raises `InputError` for files that are
    missing, malformed, or do not belong together, `CacheError` for caches that cannot be read.
    """
    from mottool.metrics.inputs import find_caches, find_results, find_truth
    from mottool.metrics.tables import write_evaluation_csv

    sources, files = list(tracks), find_truth(truth)
    caches, others = find_caches(sources)
    results = find_results(others) if others or not caches else {}
    rows = _evaluate(results, caches, files, config or Config())
    return write_evaluation_csv(rows, out)


def _evaluate(
    results: Mapping[str, Mapping[str, Path]],
    caches: Iterable[Path],
    files: Mapping[str, GroundTruthFile],
    config: Config,
    motmetrics: bool = False,
    skip_without_ground_truth: bool = False,
    **handlers: Any,
) -> list[TableRow]:
    """Return the rows of results, then of caches; `handlers` are `attempt` and `warn`."""
    from mottool.metrics.evaluate import evaluate_caches, evaluate_results

    shared = {"rules": config.rules, "draws": config.bootstrap, "seed": config.seed, **handlers}
    rows = evaluate_results(
        results,
        files,
        size_limits=config.size_limits if config.by_size else None,
        per_class=config.per_class,
        motmetrics=motmetrics,
        **shared,
    )
    return rows + evaluate_caches(
        caches,
        files,
        min_score=config.min_score,
        size_limits=config.size_limits,
        skip_without_ground_truth=skip_without_ground_truth,
        **shared,
    )


@click.command("evaluate")
@click.argument("tracks", nargs=-1, type=click.Path(path_type=Path))
@truth_flag
@click.option("--caches", is_flag=True, help="Score the caches under the work folder.")
@settings_options(Config)
@click.option(
    "--second-opinion",
    is_flag=True,
    help="Also print the metrics of the package motmetrics. It counts IDSW, Frag and MT slightly "
    "differently and has no HOTA; the official metrics are the first ones.",
)
@click.option("--csv", type=click.Path(path_type=Path), help="Write all metrics to this file.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the table to this file.")
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
    as_json: bool,
    work: Path,
) -> None:
    """Score result files and caches against ground truth, as TrackEval and PASCAL do.

    TRACKS are folders of SEQUENCE.txt (one folder is one tracker), TrackEval's folders
    TRACKER/data, or single files, plain or gzipped. Without any, all results with ground truth in
    the work folder are scored. A result file is scored against the ground truth of the sequence
    of the same name; a single result file and a single ground-truth file belong together
    whatever their names.

    \b
        mottool evaluate --gt MOT17/train
        mottool evaluate my-tracker/ --gt MOT17/train --csv scores.csv --bootstrap 1000
        mottool evaluate tracks.txt --gt gt.txt --rules mot15 --by-size
        mottool evaluate --caches --gt MOT17/train

    The screen shows percentages in MOTChallenge's order of columns, each sequence with the rules
    it was scored by. --csv and --json hold fractions and all metrics, --json also the curves
    whose means are HOTA and its parts, for the thresholds 0.05, 0.10 to 0.95. COMBINED joins the
    sequences as TrackEval does. Sequences with ground truth but no result file are listed and
    not in COMBINED: the official benchmarks demand all of them.

    Caches, files *.h5 or folders of them, show how good a network is before any tracker. AP is the
    average precision of its detections at an IoU of 0.5, AP_S, AP_M and AP_L that of small, medium
    and large people. The embeddings are scored of a cache that detect-embed --boxes gt made: TPR
    is the share of pairs of one person above the similarity that one in ten pairs of different
    people reaches; Rank1 and mAP are of a search with the first half of every track for people in
    the second halves of the same sequence.
    """
    from mottool.metrics.evaluate import drop_without_ground_truth
    from mottool.metrics.inputs import find_caches, find_results, find_truth
    from mottool.metrics.tables import (
        COMBINED,
        as_text,
        evaluation_tables,
        write_evaluation_csv,
        write_markdown,
    )

    batch, folder = Jobs(as_json), WorkDir(work)
    cache_paths, sources = find_caches(tracks)
    from_work = caches and not cache_paths
    cache_paths += folder.caches() if from_work else []
    sources = sources or ([] if tracks or caches else folder.results())
    files = find_truth(truth)
    results: Mapping[str, Mapping[str, Path]] = {}
    if sources or not cache_paths:
        results = find_results(sources)
    if len(sources) == len(truth) == 1 and sources[0].is_file() and truth[0].is_file():
        (only,) = files.values()
        files = {sequence: only for paths in results.values() for sequence in paths}
    if not tracks:
        results = drop_without_ground_truth(results, files, batch.note)
    rows = _evaluate(
        results,
        cache_paths,
        files,
        config,
        motmetrics=second_opinion,
        skip_without_ground_truth=from_work,
        attempt=batch.run,
        warn=batch.note,
    )
    if rows and not as_json:
        click.echo(as_text(evaluation_tables(rows, by_tracker=True)))
    if rows and csv:
        write_evaluation_csv(rows, csv)
    if rows and markdown:
        write_markdown(evaluation_tables(rows), markdown)
    batch.done += [row.to_json() for row in rows if as_json or row.sequence != COMBINED]
    batch.close()
