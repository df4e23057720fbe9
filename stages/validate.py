"""Stage `validate`: annotated images in, detection and embedding metrics of a network out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mottool.cli.jobs import Jobs
from mottool.cli.options import as_json, pixel_range_option, settings_options, work_option
from mottool.cli.paths import FilePath
from mottool.data.formats import format_names
from mottool.errors import InputError, SettingError, ignore_warning
from mottool.metrics.settings import MIN_SCORE, RetrievalSettings
from mottool.networks.registry import DEFAULT
from mottool.pipelines.options import Options
from mottool.settings import Settings, setting
from mottool.splits import splits_help

if TYPE_CHECKING:
    from mottool.data.dataset import Dataset
    from mottool.metrics.matches import CacheMatches
    from mottool.metrics.tables import Table
    from mottool.pipelines.interfaces import Pipeline
    from mottool.pixel_range import PixelRange

__all__ = ["Config", "command", "run"]

LOWEST_SCORE = 0.05  # of detections, for a complete precision-recall curve
DETECTIONS, EMBEDDINGS = "detections", "embeddings"
FROM_FILES = ("public", "gt")
COMBINED = "COMBINED"
OF_EMBEDDINGS = {"TPR", "TPR_S", "TPR_M", "TPR_L", "Rank1", "mAP"}


@dataclass(frozen=True)
class ValidationChoice(Settings):
    """The choice of a pipeline, and of the metrics to compute."""

    pipeline: str = setting(
        DEFAULT,
        "What makes detections and embeddings: a network, a detector, or DETECTOR+EMBEDDER, as in "
        "detect-embed. gt+EMBEDDER scores the embedder only.",
    )
    only: str | None = setting(
        None,
        "Compute only the metrics of detections, or of embeddings. By default both, if the "
        "pipeline and the dataset have both.",
        choices=(DETECTIONS, EMBEDDINGS),
    )


@dataclass(frozen=True)
class Config(RetrievalSettings, Options, ValidationChoice):
    """The pipeline, the settings of its parts, and the protocol of retrieval metrics."""

    @property
    def options(self) -> Options:
        """Return the settings of the pipeline's parts."""
        names = Options.__dataclass_fields__
        return Options(**{name: getattr(self, name) for name in names})


def run(
    sources: Iterable[str | Path],
    out: Path,
    config: Config | None = None,
    root: Path | None = None,
    pixel_range: PixelRange | None = None,
    warn: Callable[[str], None] = ignore_warning,
) -> Path:
    """Score a pipeline on datasets, and write all metrics to the CSV file `out`.

    There is one row per dataset, and a `COMBINED` one if there are several. `root` is the folder of
    the images that lists refer to, `pixel_range` as in `open_datasets`. Raises
    `SettingError` for settings that do not apply, and `InputError` for datasets that are damaged or
    lack what is to be scored.
    """
    from mottool.data.formats import open_datasets
    from mottool.metrics.tables import write_csv

    config = config or Config()
    datasets = open_datasets(list(sources), warn, root, pixel_range)
    pipeline = _build(config, warn)
    matches = [_match(pipeline, dataset, config, warn) for dataset in datasets]
    return write_csv(_table(pipeline.name, datasets, matches, config), out)


@click.command("validate", epilog=f"DATASET formats: {format_names()}.\n\n{splits_help()}")
@click.argument("sources", nargs=-1, required=True, metavar="DATASET...")
@click.option(
    "--root",
    type=FilePath(),
    help="Folder of the images that lists, .json and .odgt files refer to.  [default: searched "
    "in the folders around the file]",
)
@pixel_range_option
@settings_options(Config)
@click.option("--csv", type=FilePath(), help="Write all metrics to this file.")
@click.option("--markdown", type=FilePath(), help="Write the table to this file.")
@as_json
@work_option
def command(
    sources: tuple[str, ...],
    root: Path | None,
    pixel_range: PixelRange | None,
    config: Config,
    csv: Path | None,
    markdown: Path | None,
    as_json: bool,
    work: Path,
) -> None:
    """Score the detections and embeddings of a network on annotated images, without tracking.

    A DATASET is what train reads: still images or videos. Nothing is cached; evaluate scores the
    caches and the tracks of videos.

    \b
        mottool validate PennFudanPed
        mottool validate caltech.val --pipeline jde-1088x608 --weights jde.pt
        mottool validate caltech.val cuhksysu.val prw.val --only embeddings \\
            --pipeline jde-1088x608 --weights jde.pt
        mottool validate MOT17/train@second --pipeline fairmot-dla34 --weights best.safetensors
        mottool validate market/bounding_box_test --pipeline gt+osnet_x1_0 --weights osnet.pth

    AP is the average precision of the detections at an IoU of 0.5. Regions to ignore, such as
    crowds, are neither true nor false positives. Detections count from a score of 0.05 on, or
    --min-score; Rcll and Prcn are of those that score 0.5 or more. The embeddings are read at the
    ground-truth boxes that have an identity: TPR is the share of pairs of one person above the
    similarity that one in ten pairs of different people reaches (a false accept rate of 0.1).
    Rank1 and mAP are of a search with the first half of every person's boxes for the others, in
    the same video or, with --gallery pooled, in all of them; still images count as one video.
    COMBINED joins the datasets and keeps their identities apart.
    """
    from mottool.data.formats import open_datasets
    from mottool.metrics.tables import as_text, write_csv, write_markdown

    jobs = Jobs(as_json)
    datasets = open_datasets(sources, jobs.note, root, pixel_range)
    pipeline = _build(config, jobs.note)
    scored, matches = [], []
    for dataset in datasets:
        match = jobs.run(dataset.name, partial(_match, pipeline, dataset, config, jobs.note))
        if match:
            scored.append(dataset)
            matches.append(match)
    if scored:
        table = _table(pipeline.name, scored, matches, config)
        if not as_json:
            click.echo(as_text([table]))
        if csv:
            write_csv(table, csv)
        if markdown:
            write_markdown([table], markdown)
        for (_, name, _), metrics in table.rows:
            if not metrics:
                jobs.note(f"{name}: no identity has two boxes, so there is nothing to compare")
        for (_, name, images), metrics in table.rows:
            row = {"sequence": name, "pipeline": pipeline.name, "images": int(images)}
            jobs.done += [{**row, "figures": metrics}] if as_json or name != COMBINED else []
    jobs.close()


def _build(config: Config, warn: Callable[[str], None]) -> Pipeline:
    """Build the pipeline that the settings name."""
    from mottool.networks.registry import NETWORKS
    from mottool.pipelines.build import build_pipeline

    detector = config.pipeline.partition("+")[0]
    if detector in FROM_FILES and (detector != "gt" or "+" not in config.pipeline):
        fix = "name a network or a detector, or gt+EMBEDDER"
        raise SettingError(f"{config.pipeline} detects nothing in images", fix)
    options = config.options
    if detector in NETWORKS and options.min_score is None:
        options = replace(options, min_score=LOWEST_SCORE)
    if config.occlusion_maps:
        raise SettingError("--occlusion-maps does not apply to validate", "omit it")
    return build_pipeline(config.pipeline, options, warn)


def _match(
    pipeline: Pipeline, dataset: Dataset, config: Config, warn: Callable[[str], None]
) -> CacheMatches:
    """Run the parts of the pipeline that are to be scored on a dataset."""
    from mottool.pipelines.match_images import embedder_of, match_images

    detects = config.only != EMBEDDINGS and not pipeline.name.startswith("gt+")
    if detects and dataset.is_crop().all():
        if config.only:
            problem = f"{dataset.name} consists of crops of people, where nothing is to be detected"
            raise InputError(problem, "omit --only detections")
        detects = False
    embedder = embedder_of(pipeline) if config.only != DETECTIONS else None
    if embedder and not dataset.identity_count:
        if config.only or not detects:
            problem = f"{dataset.name} has no identities, which metrics of embeddings need"
            raise InputError(problem, "omit --only embeddings, or give a dataset with identities")
        warn(f"{dataset.name} has no identities: no metrics of embeddings")
        embedder = None
    if config.only == EMBEDDINGS and not embedder:
        raise SettingError(f"{pipeline.name} makes no embeddings", "omit --only embeddings")
    if embedder and config.min_visibility and (dataset.visibility == 1).all():
        warn(f"{dataset.name}: no visibility is annotated, so all boxes count as visible")
    detector = pipeline if detects else None
    if not detector and not embedder:
        problem = f"{pipeline.name} makes no embeddings, and {dataset.name} consists of crops"
        raise InputError(problem, "name a pipeline with an embedder, such as gt+osnet_x1_0")
    return match_images(dataset, _without_embedder(detector), embedder, config, batch=config.batch)


def _without_embedder(detector: Pipeline | None) -> Pipeline | None:
    """Return the detector of a two-stage pipeline: its embedder runs at other boxes."""
    from mottool.pipelines.two_stage import TwoStage

    return detector.detector if isinstance(detector, TwoStage) else detector


def _table(
    pipeline: str, datasets: Sequence[Dataset], matches: Sequence[CacheMatches], config: Config
) -> Table:
    """Arrange the metrics of all datasets, and those of all combined if there are several."""
    from mottool.metrics.cache_metrics import cache_metrics
    from mottool.metrics.registry import columns
    from mottool.metrics.tables import Table

    groups = [
        (dataset.name, len(dataset), [match])
        for dataset, match in zip(datasets, matches, strict=True)
    ]
    if len(groups) > 1:
        groups.append((COMBINED, sum(map(len, datasets)), list(matches)))
    rows = []
    for name, images, group in groups:
        metrics = cache_metrics(group, MIN_SCORE, retrieval=config)
        if not any(match.ground_truth_counts.any() for match in group):  # nothing was detected in
            metrics = {key: value for key, value in metrics.items() if key in OF_EMBEDDINGS}
        rows.append(((pipeline, name, str(images)), metrics))
    names = [name for name in columns("evaluate", "cache") if any(name in row for _, row in rows)]
    return Table(["Pipeline", "Dataset", "Images"], names, rows)
