"""Set up a training: data, learner, validation and outputs, from a network's entry and settings.

Imports no torch, numpy, cv2 or h5py at the top, since `train --help` reads the settings here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mottool._version import __version__
from mottool.errors import SettingError, ignore_warning
from mottool.files import existing_path
from mottool.metrics.registry import columns
from mottool.metrics.settings import RetrievalSettings
from mottool.networks.entry import NetworkEntry
from mottool.networks.learning import SCHEDULES
from mottool.networks.registry import NETWORKS, load, trainable
from mottool.pipelines.options import device_setting, input_size
from mottool.settings import Settings, build_settings, setting, to_json
from mottool.training.schedule import changed_recipe, parse_drops, require_fit

if TYPE_CHECKING:
    from mottool.data.dataset import Dataset
    from mottool.data.distilled_labels import JoinedLabels
    from mottool.data.samples import Samples
    from mottool.data.scenes import Scenes
    from mottool.pixel_range import PixelRange
    from mottool.sources.sequence import Sequence as Source
    from mottool.training.checkpoint_writer import CheckpointWriter
    from mottool.training.learner import Learner
    from mottool.training.trainer import TrainerSettings
    from mottool.training.validation import Validation

__all__ = ["TrainSettings", "train"]

PUBLISHED = "By default as in the network's paper."
FREE = {"workers", "device", "validate_every", "best"}  # may change when a training is resumed
STATE = "training.pt"

Warn = Callable[[str], None]


def _initial_weights(text: str) -> str:
    """Return the text if it is `imagenet`, a network with bundled weights or an existing file."""
    if text != "imagenet" and not (text in NETWORKS and NETWORKS[text].bundled):
        existing_path(Path(text))
    return text


@dataclass(frozen=True)
class TrainSettings(Settings):
    """How a network is trained."""

    epochs: int | None = setting(
        None, f"Number of passes over the training images. {PUBLISHED}", low=1
    )
    steps: int | None = setting(
        None,
        "Number of optimiser steps, instead of --epochs; the last epoch can be partial.",
        low=1,
    )
    batch: int | None = setting(
        None, f"Images per optimiser step, on all GPUs together. {PUBLISHED}", low=1
    )
    minutes: float | None = setting(
        None,
        "Train for this time, without validation, instead of --epochs; the learning rate follows "
        "the time.",
        low=0.01,
    )
    lr: float | None = setting(None, f"The highest learning rate. {PUBLISHED}", low=0)
    schedule: str | None = setting(
        None,
        "How the learning rate falls: tenfold at each of --drops (steps), or to the end of the "
        f"training along half a cosine. {PUBLISHED}",
        choices=SCHEDULES,
    )
    drops: tuple[int, ...] | None = setting(
        None,
        "Epochs after which the learning rate is divided by ten, such as 20,27. By default the "
        "parts of the training after which it is in the network's paper.",
        parse=parse_drops,
        form="EPOCH,...",
    )
    warmup: int | None = setting(
        None,
        "Steps in which the learning rate rises from --start-lr: linearly, or for JDE with the "
        f"fourth power of the step and within one epoch. {PUBLISHED}",
        low=0,
    )
    start_lr: float | None = setting(
        None, f"Learning rate of the first step of the warm-up. {PUBLISHED}", low=0
    )
    clip: float | None = setting(
        None,
        "Largest norm of the gradient of a step, which is scaled down if it is larger; 0 for no "
        "limit. By default that of the network's recipe, mostly 0.",
        low=0,
    )
    ema: float | None = setting(
        None,
        "Decay of the moving average of the weights, which is saved; 0 saves the last weights. "
        f"{PUBLISHED}",
        low=0,
        high=1,
    )
    accumulate: int = setting(
        1, "Number of parts that a step is computed in, if its images do not fit in memory.", low=1
    )
    precision: str = setting("fp32", "Precision of the network.", choices=("fp32", "fp16", "bf16"))
    input: tuple[int, int] | None = setting(
        None,
        "Input size of the network in pixels, multiples of 32. By default the size that the "
        "network was published with.",
        parse=input_size,
        form="WxH",
    )
    augment: bool = setting(True, "Augment images as in the network's paper.")
    init: str | None = setting(
        None,
        "Initial weights: a checkpoint, ours or the authors', of which all tensors that fit are "
        "used; imagenet for torchvision's weights of the backbone; or mottool-s for the bundled "
        "weights. For JDE also darknet's backbone, darknet53.conv.74. By default random weights.",
        parse=_initial_weights,
        form="FILE|imagenet|NAME",
    )
    learn: str | None = setting(
        None,
        "Parts of the network to train, such as identity or occlusion,occlusion_offset; the others "
        "keep the weights of --init. By default all parts.",
        form="PART,...",
    )
    seed: int = setting(0, "Seed of all random numbers.", low=0)
    validate_every: int = setting(
        1, "Epochs between two validations; the last epoch is always validated.", low=1
    )
    best: str | None = setting(
        None,
        "Metric of the validation that selects the best epoch; of equal ones the last. MOTA is 0 "
        "without detections, and below 0 with more false than true positives. By default IDF1, or "
        "AP without videos.",
        choices=columns("train"),
    )
    workers: int = setting(
        4, "Processes that read images; 0 reads them in the main process.", low=0
    )
    device: str = device_setting()


def train(
    name: str,
    data: Sequence[str | Path],
    out: Path,
    config: TrainSettings | None = None,
    learning: Settings | None = None,
    validation: Sequence[str | Path] = (),
    labels: Sequence[Path] = (),
    root: Path | None = None,
    pixel_range: PixelRange | None = None,
    overwrite: bool = False,
    warn: Warn = ignore_warning,
    tracking: Mapping[str, str] | None = None,
    licences: Sequence[str] = (),
    retrieval: RetrievalSettings | None = None,
) -> Path:
    """Train the network `name` on the datasets `data`; return the last weights in the folder `out`.

    The folder also gets their card, the best weights of a validation, the log, its curves, and the
    state from which an interrupted training is resumed. `learning` are the settings of the
    network's family, by default its paper's. `labels` are files of distill-labels for the
    datasets. `validation` are datasets; MOTChallenge sequences are also tracked, with the settings
    `tracking` of the family's tracker. With `retrieval`, Rank1 and mAP are computed by that
    protocol. `root` is the folder of images that lists refer to, `pixel_range` as in
    `open_datasets`. `licences` are TEXT for all datasets or NAME=TEXT for one.

    Raises `SettingError` for settings that do not apply, `InputError` for data that is damaged or
    lacks what the loss needs, `CheckpointError` if `out` holds a training with other settings,
    unless `overwrite`, `BusyError` if another training is writing to it, and `TrainingError` if the
    loss becomes NaN or infinite. `warn` receives the content of the datasets, the tensors taken
    from `init`, and the metrics of every epoch.
    """
    entry = trainable(name)
    if find_spec("accelerate") is None:
        raise SettingError("training needs accelerate", "install it: pip install accelerate")
    import torch

    from mottool.data.dataset import join_datasets
    from mottool.data.formats import open_datasets, open_held_out
    from mottool.training.checkpoint_writer import licences_of
    from mottool.training.initial_weights import initialise
    from mottool.training.run import TrainingRun
    from mottool.training.trainer import Trainer
    from mottool.training.validation import warn_of_shared

    config, tracking = config or TrainSettings(), tracking or {}
    plan = _trainer_settings(entry, config)
    learning = learning or entry.family.learning()
    datasets = open_datasets(data, warn, root, pixel_range)
    for part in datasets:
        content = f"{len(part)} images, {len(part.boxes)} boxes, {part.identity_count} identities"
        warn(f"{part.name}: {content}")
    dataset, size = join_datasets(datasets), config.input or entry.input_size
    named_licences = licences_of(licences, data, datasets)
    torch.manual_seed(config.seed)
    learner: Learner = load(entry.family.learner)(name, dataset, size, learning)
    held_out = open_held_out(validation, warn, root, pixel_range)
    warn_of_shared(datasets, *held_out, warn)
    embeds = learner.embeds and entry.family.embeds
    best = _best_metric(entry, config, *held_out, retrieval, embeds)
    validate = _validation(entry, *held_out, size, tracking, retrieval, config, warn, embeds)
    teacher = _teacher(learner, name, datasets, labels)
    if config.init:
        warn(initialise(learner, config.init, entry.torchvision_backbone))
    if config.learn and not config.init:
        fix = "give --init the weights of the other parts, or omit --learn"
        raise SettingError("--learn would leave the other parts at random weights", fix)
    if config.learn:
        learner.learn_only(config.learn.split(","))
    samples = _samples(entry, learner, dataset, size, config, teacher, warn)
    trainer = Trainer(learner, samples, plan)
    if remark := require_fit(plan.recipe, config, trainer.epoch_steps):
        warn(remark)
    settings = {"pipeline": name, "data": dataset.fingerprint()} | to_json(learning)
    if teacher:
        settings["teacher"] = teacher.teacher
    settings |= {key: value for key, value in to_json(config).items() if key not in FREE}
    settings["validation"] = validate.content() if validate else None
    writer = _writer(out, name, best, config, named_licences, validate, tracking)
    run = TrainingRun(trainer, writer, out / STATE, settings, validate, config.validate_every, warn)
    with run.locked():
        if run.state.exists() and not overwrite:
            run.resume()
        run.run()
    return writer.last_weights


def _check_negatives(negative: float, dataset: Dataset, warn: Warn) -> None:
    """Refuse a share of negative pairs, other than the default, without still images."""
    from mottool.data.dataset import STILL
    from mottool.networks.learning import NEGATIVE

    stills = (dataset.videos == STILL).nonzero()[0]
    if not len(stills) and negative not in (0, NEGATIVE):
        fix = "omit --negative, or train on still images too"
        raise SettingError("--negative has no effect: all images are frames of videos", fix)
    if negative and len(stills) and not len(dataset.elsewhere(int(stills[0]))):
        warn("there are no negative pairs: no other image shows other people")


def _samples(
    entry: NetworkEntry,
    learner: Learner,
    dataset: Dataset,
    size: tuple[int, int],
    config: TrainSettings,
    teacher: JoinedLabels | None,
    warn: Warn,
) -> Samples | Scenes:
    """Create the training samples: augmented images, pairs of images, or composed scenes."""
    from mottool.data.samples import Samples
    from mottool.data.scenes import Scenes
    from mottool.networks.learning import PairSampling

    pairs = learner.pairs if isinstance(learner.pairs, PairSampling) else None
    if pairs:
        _check_negatives(pairs.negative, dataset, warn)
    preprocessor = load(entry.family.preprocessor)(*size)
    if learner.composition and config.augment:
        return Scenes(dataset, preprocessor, learner.composition, pairs, config.seed, teacher)
    augmentation = entry.family.augmentation if config.augment else None
    return Samples(
        dataset, preprocessor, augmentation, learner.pairs, config.seed, teacher, learner.ignores
    )


def _teacher(
    learner: Learner, name: str, datasets: Sequence[Dataset], labels: Sequence[Path]
) -> JoinedLabels | None:
    """Open the distilled labels of the datasets, if the network learns from them."""
    from mottool.data.distilled_labels import JoinedLabels

    if learner.taught:
        return JoinedLabels(datasets, labels, learner.taught)
    if labels and learner.partly_taught:
        join_datasets = JoinedLabels(datasets, labels, partial=True)
        learner.teach(join_datasets.size)
        return join_datasets
    if labels:
        raise SettingError(f"--labels does not apply to {name}", "omit it")
    return None


def _trainer_settings(entry: NetworkEntry, config: TrainSettings) -> TrainerSettings:
    """Return the recipe of the paper with the values that the settings change."""
    from mottool.models.device import Compute
    from mottool.training.trainer import TrainerSettings

    assert entry.family.recipe is not None  # of every network that can be trained
    return TrainerSettings(
        recipe=changed_recipe(entry.family.recipe, config),
        seed=config.seed,
        accumulate=config.accumulate,
        precision={"fp32": "no"}.get(config.precision, config.precision),
        workers=config.workers,
        device=Compute.named(config.device).device,
        seconds=None if config.minutes is None else 60 * config.minutes,
    )


def _best_metric(
    entry: NetworkEntry,
    config: TrainSettings,
    sequences: Sequence[Source],
    datasets: Sequence[Dataset],
    retrieval: RetrievalSettings | None,
    embeds: bool,
) -> str:
    """Return the metric that selects the best epoch; raise `SettingError` if it is not computed."""
    default = "AP" if datasets and not sequences else "IDF1"
    best = config.best or default
    if best in {"TPR", "Rank1", "mAP"} and not embeds:
        problem = f"--best {best} needs embeddings, which {entry.name} does not have"
        raise SettingError(problem, f"use --best {default}")
    if best in {"Rank1", "mAP"} and retrieval is None:
        raise SettingError(f"--best {best} needs a protocol", "add --gallery sequence or pooled")
    if best in {"MOTA", "IDF1"} and datasets and not sequences:
        problem = f"--best {best} needs videos, but no MOTChallenge sequence is validated"
        raise SettingError(problem, "use --best AP, or add a sequence with --validate")
    return best


def _validation(
    entry: NetworkEntry,
    sequences: Sequence[Source],
    datasets: Sequence[Dataset],
    size: tuple[int, int],
    tracking: Mapping[str, str],
    retrieval: RetrievalSettings | None,
    config: TrainSettings,
    warn: Warn,
    embeds: bool,
) -> Validation | None:
    """Create what scores the network on held-out data; None without data."""
    from mottool.association.registry import TRACKERS
    from mottool.models.device import Compute
    from mottool.training.validation import Validation

    tracker = entry.family.tracker if embeds or not entry.family.embeds else "sort"
    settings = build_settings(TRACKERS[tracker].settings, tracking, f"the tracker {tracker}")
    if tracking and not sequences:
        fix = "name a MOTChallenge sequence" if datasets else "name a video"
        where = "videos" if datasets else "--validate"
        raise SettingError(f"--tracker-set does not apply without {where}", fix)
    if retrieval and not (sequences or datasets):
        raise SettingError("--gallery does not apply without --validate", "name a dataset")
    if retrieval and not embeds:
        raise SettingError(f"{entry.name} makes no embeddings to search with", "omit --gallery")
    if not sequences and not datasets:
        warn("no --validate: no best epoch is selected, and the card will contain no metrics")
        return None
    compute = Compute.named(config.device, config.precision)
    parts = size, tracker, compute, settings
    return Validation(entry.name, sequences, *parts, datasets, retrieval, embeds)


def _writer(
    out: Path,
    name: str,
    best: str,
    config: TrainSettings,
    licences: Mapping[str, str],
    validate: Validation | None,
    tracking: Mapping[str, str],
) -> CheckpointWriter:
    """Create the writer of weights and their cards."""
    from mottool.training.checkpoint_writer import CheckpointWriter
    from mottool.training.validation import FIGURES

    validated, fitted = "", dict[str, dict[str, Any]]()
    if validate and tracking:
        values = ", ".join(" ".join(pair) for pair in tracking.items())
        validated = f"validated with {validate.tracker}'s {values}"
        fitted[validate.tracker] = {key: getattr(validate.tracking, key) for key in tracking}
    return CheckpointWriter(
        out,
        name,
        best=next(metric for metric in FIGURES if metric.split("@")[0] == best),
        origin=f"mottool {__version__} train, from {config.init or 'random weights'}",
        validated=validated,
        licences=licences,
        fitted=fitted,
    )
