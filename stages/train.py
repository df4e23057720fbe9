"""Stage `train`: annotated images in; weights with a card, a log and its curves out."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mottool._version import __version__
from mottool.cli.jobs import Jobs
from mottool.cli.options import as_json, merged_options, settings_options, work_option
from mottool.errors import SettingError
from mottool.pipelines.options import input_size
from mottool.settings import Settings, build_settings, parse_key_values, setting, to_json
from mottool.training.settings import LEARNERS, SETTINGS, family
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.data.dataset import Dataset
    from mottool.data.distilled_labels import JoinedLabels
    from mottool.training.checkpoint_writer import CheckpointWriter
    from mottool.training.learner import Learner, Recipe
    from mottool.training.validation import Validation

__all__ = ["Config", "command", "run"]

PAPER = "Without it, as in the pipeline's paper."
# What may change when a training goes on: it does not change its course.
FREE = {"workers", "device", "validate_every", "best"}
STATE = "training.pt"


@dataclass(frozen=True)
class Config(Settings):
    """How a pipeline is trained."""

    epochs: int | None = setting(None, f"How often every image is seen. {PAPER}", low=1)
    batch: int | None = setting(
        None, f"Images in one step of the optimiser, on all GPUs together. {PAPER}", low=1
    )
    minutes: float | None = setting(
        None,
        "Train for so long, validation not counted, in the place of --epochs; the learning rate "
        "follows the clock.",
        low=0,
    )
    lr: float | None = setting(None, f"The learning rate to begin with. {PAPER}", low=0)
    warmup: int | None = setting(
        None,
        f"Steps, at most those of one epoch, during which the learning rate rises from 0. {PAPER}",
        low=0,
    )
    ema: float | None = setting(
        None,
        "Decay of a moving average of the weights, which is then what is kept; 0: the last "
        f"weights. {PAPER}",
        low=0,
        high=1,
    )
    accumulate: int = setting(
        1, "In how many parts a step is computed, where its images do not fit at once.", low=1
    )
    precision: str = setting("fp32", "Of the network.", choices=("fp32", "fp16", "bf16"))
    input: tuple[int, int] | None = setting(
        None,
        "The network's input in pixels, multiples of 32. Without it, the size the network was "
        "published with.",
        parse=input_size,
        form="WxH",
    )
    augment: bool = setting(True, "Vary images as the pipeline's paper does.")
    init: str | None = setting(
        None,
        "What to start from: a checkpoint, ours or the authors', of which whatever fits is "
        "taken; imagenet, torchvision's weights of the backbone; or mottool-s, the weights in the "
        "box. For JDE also darknet's backbone, darknet53.conv.74. Without it, from nothing.",
        form="FILE|imagenet|NAME",
    )
    learn: str | None = setting(
        None,
        "The parts of the network that learn, as identity or occlusion,occlusion_offset; the "
        "others stay what --init made them. Without it, all of them.",
        form="PART,...",
    )
    seed: int = setting(0, "What everything random follows from.", low=0)
    validate_every: int = setting(
        1, "Epochs between two validations; the last is always one.", low=1
    )
    best: str = setting(
        "IDF1",
        "The figure of validation that tells which epoch is kept as the best; of equal ones the "
        "last. MOTA is 0 where nobody is found, and below 0 where more is false than right.",
        choices=("MOTA", "IDF1", "AP", "TPR"),
    )
    workers: int = setting(4, "Processes that read images; 0 reads them in this one.", low=0)
    device: str = setting(
        "auto", "auto, the GPUs if there are any, or cpu.", choices=("auto", "cpu")
    )


def run(
    pipeline: str,
    data: Sequence[str | Path],
    out: Path,
    config: Config | None = None,
    learning: Settings | None = None,
    validation: Sequence[str | Path] = (),
    labels: Sequence[Path] = (),
    root: Path | None = None,
    overwrite: bool = False,
    warn: Callable[[str], None] = lambda told: None,
    tracking: Mapping[str, str] | None = None,
    licences: Sequence[str] = (),
) -> Path:
    """Train `pipeline` on the datasets `data` and give the last weights, in the folder `out`.

    Beside them come their card, the best weights of those that were validated, the log, the
    curves, and the state that an interrupted training goes on from. `learning` are the family's
    own settings, by default its paper's; `labels` are what distill-labels made for the datasets,
    for TDT. `validation` are MOTChallenge folders or roots, tracked with the settings `tracking`
    of the pipeline's own tracker; `root` is where the images lie that lists name; `licences` are
    TEXT for all datasets or NAME=TEXT for one.

    Raises `SettingError` for what cannot be trained so, `InputError` for data that is broken or
    lacks what the loss needs, `CheckpointError` for a training with other settings in `out`,
    unless `overwrite`, and `TrainingError` for a loss that stops being a number. `warn` is told
    what the datasets hold, what was taken of `init`, and the figures of every epoch.
    """
    learn_by = family(pipeline)
    _need_accelerate()
    import torch

    from mottool.data.augmentation import AUGMENTATIONS
    from mottool.data.dataset import joined
    from mottool.data.formats import open_datasets
    from mottool.data.pairs import PairSampling
    from mottool.data.samples import Samples
    from mottool.data.scenes import Scenes
    from mottool.pipelines.registry import NETWORKS, resolve
    from mottool.training.checkpoint_writer import licences_of
    from mottool.training.initial_weights import initialise
    from mottool.training.run import TrainingRun
    from mottool.training.trainer import Trainer

    config, entry = config or Config(), NETWORKS[pipeline]
    datasets = open_datasets(data, warn, root)
    for each in datasets:
        told = f"{len(each)} images, {len(each.boxes)} boxes, {each.identity_count} identities"
        warn(f"{each.name}: {told}")
    named = licences_of(licences, data, datasets)
    dataset, size = joined(datasets), config.input or (entry.width, entry.height)
    torch.manual_seed(config.seed)
    learning = learning or SETTINGS[learn_by]()
    learner: Learner = resolve(LEARNERS[learn_by])(pipeline, dataset, size, learning)
    negative = isinstance(learner.pairs, PairSampling) and learner.pairs.negative
    if negative and not len(dataset.elsewhere(0)):
        warn("--negative changes nothing: all images are of one video, none shows other people")
    tracker = learner.RECIPE.tracker
    validate = _validation(pipeline, validation, size, tracker, tracking or {}, config, warn)
    teacher = _teacher(learner, pipeline, datasets, labels)
    if config.init:
        warn(initialise(learner, config.init))
    if config.learn and not config.init:
        fix = "give --init the weights of the other parts, or leave --learn out"
        raise SettingError("--learn leaves parts of the network as they are, at random", fix)
    if config.learn:
        learner.learn_only(config.learn.split(","))
    view = resolve(entry.view)(*size)
    samples: Samples | Scenes
    if learner.composition and config.augment:
        parse_key_values = learner.pairs if isinstance(learner.pairs, PairSampling) else None
        samples = Scenes(dataset, view, learner.composition, parse_key_values, config.seed, teacher)
    else:
        augmentation = AUGMENTATIONS[learn_by] if config.augment else None
        how = learner.pairs, config.seed, teacher, learner.ignores
        samples = Samples(dataset, view, augmentation, *how)
    training = Trainer(learner, samples, _plan(config, learner.RECIPE))
    settings = {"pipeline": pipeline, "data": dataset.fingerprint()}
    settings |= to_json(learning)
    if teacher:
        settings["teacher"] = teacher.teacher
    settings |= {key: value for key, value in to_json(config).items() if key not in FREE}
    keeping = _keeping(out, pipeline, config, named, validate, tracking or {})
    course = TrainingRun(
        training, keeping, out / STATE, settings, validate, config.validate_every, warn
    )
    if course.state.exists() and not overwrite:
        course.take_up()
    course.run()
    return keeping.last_weights


def _need_accelerate() -> None:
    """A `SettingError` with the remedy where the engine of training is not installed."""
    from importlib.util import find_spec

    if find_spec("accelerate") is None:
        raise SettingError("training needs accelerate", 'run pip install "mottool[train]"')


def _teacher(
    learner: Learner, pipeline: str, datasets: Sequence[Dataset], labels: Sequence[Path]
) -> JoinedLabels | None:
    """The distilled labels of the datasets, for a pipeline that learns from them."""
    from mottool.data.distilled_labels import JoinedLabels

    if learner.taught:
        return JoinedLabels(datasets, labels, learner.taught)
    if labels and learner.partly_taught:
        joined = JoinedLabels(datasets, labels, partial=True)
        learner.teach(joined.size)
        return joined
    if labels:
        raise SettingError(f"--labels mean nothing to {pipeline}", "leave them out")
    return None


def _plan(config: Config, recipe: Recipe) -> Any:
    """The paper's recipe with what the settings change of it."""
    from mottool.models.device import Compute
    from mottool.training.trainer import TrainerSettings

    names = ("epochs", "batch", "lr", "warmup", "ema")
    changed = {name: getattr(config, name) for name in names if getattr(config, name) is not None}
    return TrainerSettings(
        recipe=dataclasses.replace(recipe, **changed),
        seed=config.seed,
        accumulate=config.accumulate,
        precision={"fp32": "no"}.get(config.precision, config.precision),
        workers=config.workers,
        cpu=Compute.named(config.device).device.type == "cpu",
        seconds=None if config.minutes is None else 60 * config.minutes,
    )


def _validation(
    pipeline: str,
    sources: Sequence[str | Path],
    size: tuple[int, int],
    tracker: str,
    tracking: Mapping[str, str],
    config: Config,
    warn: Callable[[str], None],
) -> Validation | None:
    """What scores the network on held-out videos; None if none are named."""
    from mottool.association.registry import TRACKERS
    from mottool.models.device import Compute
    from mottool.pipelines.registry import NETWORKS
    from mottool.sources.discovery import find_sequences
    from mottool.training.validation import Validation

    settings = build_settings(TRACKERS[tracker].settings, tracking, f"the tracker {tracker}")
    if config.best == "TPR" and not NETWORKS[pipeline].embeds:
        raise SettingError(
            f"--best TPR is of embeddings, which {pipeline} makes none of", "use --best IDF1"
        )
    if not sources:
        if tracking:
            raise SettingError("--tracker-set means nothing without --validate", "name a video")
        warn("no --validate: nothing tells which epoch is best, and the card will hold no figures")
        return None
    compute = Compute.named(config.device, config.precision)
    return Validation(pipeline, find_sequences(sources), size, tracker, compute, settings)


def _keeping(
    out: Path,
    pipeline: str,
    config: Config,
    licences: Mapping[str, str],
    validate: Validation | None,
    tracking: Mapping[str, str],
) -> CheckpointWriter:
    """Where everything is written, and what its cards say."""
    from mottool.training.checkpoint_writer import CheckpointWriter
    from mottool.training.validation import FIGURES

    validated, fitted = "", dict[str, dict[str, Any]]()
    if validate and tracking:
        values = ", ".join(" ".join(pair) for pair in tracking.items())
        validated = f"validated with {validate.tracker}'s {values}"
        fitted[validate.tracker] = {name: getattr(validate.tracking, name) for name in tracking}
    return CheckpointWriter(
        out,
        pipeline,
        best=next(name for name in FIGURES if name.split("@")[0] == config.best),
        origin=f"mottool {__version__} train, from {config.init or 'random weights'}",
        validated=validated,
        licences=licences,
        fitted=fitted,
    )


@click.command("train")
@click.argument("pipeline")
@click.option(
    "--data",
    multiple=True,
    required=True,
    metavar="DATASET",
    help="What to learn from; may be given several times.",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    help="Where the images lie that lists, .json and .odgt files name.  [default: near by]",
)
@click.option(
    "--validate",
    multiple=True,
    metavar="SEQUENCE",
    help="A MOTChallenge folder, or a root of some, that is held out to score the network on; "
    "may be given several times.",
)
@click.option(
    "--tracker-set",
    "tracking",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the tracker that validation links with, as associate --set takes it; "
    "conf_thres=0.3 lets it track a network that is not sure yet. May be repeated.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of everything that is written.  [default: WORK/training/PIPELINE]",
)
@click.option(
    "--labels",
    multiple=True,
    type=click.Path(path_type=Path),
    help="TDT: what distill-labels made for a DATASET; one file for each.",
)
@click.option(
    "--data-licence",
    "licences",
    multiple=True,
    metavar="[NAME=]TEXT",
    help="The licence of the training data, for the card: of all of it, or of the dataset NAME; "
    "may be given several times.  [default: not stated]",
)
@settings_options(Config)
@merged_options(SETTINGS, "given")
@click.option("--overwrite", is_flag=True, help="Begin again where another training lies.")
@work_option
@as_json
def command(
    pipeline: str,
    data: tuple[str, ...],
    root: Path | None,
    validate: tuple[str, ...],
    tracking: tuple[str, ...],
    out: Path | None,
    labels: tuple[Path, ...],
    licences: tuple[str, ...],
    config: Config,
    given: dict[str, Any],
    overwrite: bool,
    work: Path,
    as_json: bool,
) -> None:
    """Train PIPELINE on annotated images, as its paper does.

    A DATASET is a MOTChallenge folder (DATASET@first or DATASET@second are the halves of its
    videos), a list of images with labels_with_ids, CrowdHuman's .odgt, a COCO .json, a folder in
    YOLO's form, Penn-Fudan, or re-ID crops named as in Market-1501.

    \b
        mottool train fairmot-dla34 --data MOT17/train@first --validate MOT17-02-half
        mottool train fairmot-dla34 --data mot17.train --init ctdet_coco_dla_2x.pth
        mottool train fairmot-resnet34 --data MOT17/train --init imagenet --batch 4 --lr 3e-5
        torchrun --nproc_per_node 2 -m mottool train fairmot-dla34 --data MOT17/train

    On several machines, give torchrun its --nnodes and --rdzv-endpoint too, and the same command to
    each, with an OUT that all of them see.

    OUT holds PIPELINE.safetensors with its card PIPELINE.toml, which detect-embed --weights takes
    after every epoch; with --validate also PIPELINE.best.safetensors, of the best epoch so far;
    log.csv and curves.png; and training.pt, from which the same command goes on where it was
    stopped.
    """
    batch = Jobs(as_json)
    folder = out or WorkDir(work).training(pipeline)
    learning = build_settings(SETTINGS[family(pipeline)], given, pipeline)
    first = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun starts
    warn = batch.note if first else lambda told: None
    settings = parse_key_values(tracking, "--tracker-set")
    sources = (validate, labels, root)
    weights = batch.run(
        pipeline,
        lambda: run(
            pipeline, data, folder, config, learning, *sources, overwrite, warn, settings, licences
        ),
    )
    if weights and first:
        best = weights.with_suffix(f".best{weights.suffix}")
        told = f"trained; {best.name}, log.csv and curves.png lie beside"
        if best.exists():
            batch.report(pipeline, weights, told, best=str(best))
        else:
            batch.report(pipeline, weights, told.replace(f"{best.name}, ", ""))
    batch.close()
