"""Stage `train`: train a network on annotated images."""

import os
from pathlib import Path
from typing import Any

import click

from mottool.cli.jobs import Jobs
from mottool.cli.options import (
    as_json,
    merged_options,
    pixel_range_option,
    settings_options,
    work_option,
)
from mottool.cli.paths import ExistingPath, FilePath
from mottool.data.formats import format_names
from mottool.errors import ignore_warning
from mottool.metrics.settings import RetrievalSettings
from mottool.networks.registry import NETWORKS, learning_settings, names_help, trainable
from mottool.pixel_range import PixelRange
from mottool.settings import build_settings, parse_key_values
from mottool.splits import splits_help
from mottool.training.setup import TrainSettings as Config
from mottool.training.setup import train as run
from mottool.workdir import WorkDir

__all__ = ["Config", "command", "run"]

TRAINABLE = [entry for entry in NETWORKS.values() if entry.family.learner]
EPILOG = f"\b\nPIPELINE is one of:\n{names_help(TRAINABLE)}\n\nDATASET formats: {format_names()}."
EPILOG += f"\n\n{splits_help()}"


@click.command("train", epilog=EPILOG)
@click.argument("pipeline")
@click.option(
    "--data",
    multiple=True,
    required=True,
    metavar="DATASET",
    help="Training data; can be repeated. People of different datasets are different identities.",
)
@click.option(
    "--root",
    type=FilePath(),
    help="Folder of the images that lists, .json and .odgt files refer to.  [default: searched "
    "in the folders around the file]",
)
@pixel_range_option
@click.option(
    "--validate",
    multiple=True,
    metavar="DATASET",
    help="Data that is held out to score the network; can be repeated. MOTChallenge sequences are "
    "also tracked.",
)
@click.option(
    "--tracker-set",
    "tracking",
    multiple=True,
    metavar="KEY=VALUE",
    help="Setting of the tracker that validation uses, as in associate --set. conf_thres=0.3 "
    "tracks a network whose scores are still low. Can be repeated.",
)
@click.option(
    "--out",
    type=FilePath(file_okay=False),
    help="Folder of all outputs.  [default: WORK/training/PIPELINE]",
)
@click.option(
    "--labels",
    multiple=True,
    type=ExistingPath(),
    help="File of distill-labels for a DATASET; one for each. For TDT and mottool-s.",
)
@click.option(
    "--data-licence",
    "licences",
    multiple=True,
    metavar="[NAME=]TEXT",
    help="Licence of the training data for the card: of all data, or of the dataset NAME. Can be "
    "repeated.  [default: not stated]",
)
@settings_options(Config)
@merged_options({"validation": RetrievalSettings}, "protocol")
@merged_options(learning_settings(), "given")
@click.option("--overwrite", is_flag=True, help="Replace an existing training.")
@work_option
@as_json
def command(
    pipeline: str,
    data: tuple[str, ...],
    root: Path | None,
    pixel_range: PixelRange | None,
    validate: tuple[str, ...],
    tracking: tuple[str, ...],
    out: Path | None,
    labels: tuple[Path, ...],
    licences: tuple[str, ...],
    config: Config,
    protocol: dict[str, Any],
    given: dict[str, Any],
    overwrite: bool,
    work: Path,
    as_json: bool,
) -> None:
    """Train PIPELINE on annotated images, as its paper does.

    DATASET@SPLIT is a part of the videos of a DATASET, such as the first half of each. A validation
    computes AP and TPR as mottool validate does, and MOTA and IDF1 on MOTChallenge sequences. With
    --gallery, --min-visibility or --ap-sum it computes Rank1 and mAP, too.

    \b
        mottool train fairmot-dla34 --data MOT17/train@first --validate MOT17/train@second
        mottool train jde-1088x608 --data caltech.train --validate caltech.val --best AP
        mottool train fairmot-dla34 --data mot17.train --init ctdet_coco_dla_2x.pth
        mottool train fairmot-resnet34 --data MOT17/train --init imagenet --batch 4 --lr 3e-5
        torchrun --nproc_per_node 2 -m mottool train fairmot-dla34 --data MOT17/train

    On several machines, give torchrun its --nnodes and --rdzv-endpoint too, run the same command
    on each, and use an OUT that all of them can write to.

    OUT contains PIPELINE.safetensors with its card PIPELINE.toml, which detect-embed --weights
    reads after every epoch; with --validate also PIPELINE.best.safetensors, of the best epoch so
    far; log.csv and curves.png; and training.pt, from which the same command resumes an
    interrupted training.
    """
    jobs = Jobs(as_json)
    learning = build_settings(trainable(pipeline).family.learning, given, pipeline)
    first = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun starts
    weights = jobs.run(
        pipeline,
        lambda: run(
            pipeline,
            data,
            out or WorkDir(work).training(pipeline),
            config,
            learning,
            validation=validate,
            labels=labels,
            root=root,
            pixel_range=pixel_range,
            overwrite=overwrite,
            warn=jobs.note if first else ignore_warning,
            tracking=parse_key_values(tracking, "--tracker-set"),
            licences=licences,
            retrieval=build_settings(RetrievalSettings, protocol, "train") if protocol else None,
        ),
    )
    if weights and first:
        best = weights.with_suffix(f".best{weights.suffix}")
        files, facts = "log.csv and curves.png", {}
        if best.exists():
            files, facts = f"{best.name}, {files}", {"best": str(best)}
        jobs.report(pipeline, weights, f"trained; {files} are in the same folder", **facts)
    jobs.close()
