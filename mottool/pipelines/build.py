"""From a pipeline's name and options to the pipeline: its parts found, made and joined."""

from collections.abc import Callable, Collection
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from mottool.checkpoints.download import fetched
from mottool.errors import SettingError, did_you_mean
from mottool.networks.registry import NETWORKS, load
from mottool.pipelines import registry
from mottool.pipelines.interfaces import Embedder, Pipeline
from mottool.pipelines.options import Options
from mottool.pipelines.registry import PUBLIC, PartEntry

__all__ = ["assemble", "assemble_detector", "assemble_teacher", "full_name"]

GROUND_TRUTH = "gt"
FILE, NONE = "file", "none"  # embedders that need no work: as in the file of boxes, or no one
ONE_SHOT = "mottool.pipelines.one_shot"
ALWAYS = {"device", "batch"}

Warn = Callable[[str], None]


def full_name(name: str, embedder: str, boxes: str, options: Options) -> tuple[str, Options]:
    """The pipeline's full name, `--embedder` and `--boxes` taken in, and the options that go on.

    Either may be "". Boxes are `gt` or a path: they take the place of the pipeline's detector,
    and a network that both detects and embeds then only embeds. Without an `embedder`, `public`
    has the one that suits its file. Raises `SettingError` for what does not go together.
    """
    detector, plus, described = name.partition("+")
    if embedder:
        if plus:
            fix = f"leave out --embedder, or name {detector} alone"
            raise SettingError(f"{name} has its embedder already", fix)
        described = embedder
    if boxes:
        described = described or (detector if _embeds(detector) else "")
        if not described:
            fix = f"give --embedder, such as {next(iter(registry.EMBEDDERS))}"
            raise SettingError(f"{name} makes no embeddings for the boxes", fix)
        if boxes == GROUND_TRUTH:
            detector = GROUND_TRUTH
        elif options.detections:
            raise SettingError("--boxes and --detections are both given", "leave one of them out")
        else:
            detector, options = PUBLIC, replace(options, detections=Path(boxes))
    if detector == PUBLIC and not described:
        described = _suiting(options.detections)
    return (f"{detector}+{described}" if described not in {"", NONE} else detector), options


def assemble(name: str, options: Options, warn: Warn = lambda message: None) -> Pipeline:
    """The pipeline of a full name, its weights loaded.

    A part without its weights uses the checkpoint that `mottool weights fetch` has downloaded for
    it, and `warn` says which.

    Raises `SettingError` for unknown names, missing weights, options that mean nothing to its
    parts, or a device that is not here; `CheckpointError` for weights that do not fit.
    """
    detector_name, plus, embedder_name = name.partition("+")
    detector = _detector_part(detector_name)
    if not plus or (detector_name, embedder_name) == (PUBLIC, FILE):
        _refuse_others(name, options, *detector.options)
        options = _with_fetched(detector_name, "weights", detector.options, options, warn)
        found: Pipeline = load(detector.factory)(name, options)
        return found
    embedder = _embedder_part(embedder_name)
    if "embedder_weights" in embedder.options and "weights" not in detector.options:
        # Only one part has weights, so either flag means them.
        given = options.embedder_weights or options.weights
        options = replace(options, weights=None, embedder_weights=given)
    _refuse_others(name, options, *detector.options, *embedder.options)
    options = _with_fetched(detector_name, "weights", detector.options, options, warn)
    options = _with_fetched(embedder_name, "embedder_weights", embedder.options, options, warn)
    from mottool.pipelines.two_stage import TwoStage

    # The embedder first: if its weights are missing, that shows before a detector downloads its.
    described = load(embedder.factory)(embedder_name, options)
    return TwoStage(name, load(detector.factory)(detector_name, options), described)


def assemble_detector(name: str, options: Options, warn: Warn = lambda message: None) -> Pipeline:
    """A detector or network that finds people in images by itself, its weights loaded.

    Downloaded weights are used as `assemble` does.
    Raises as `assemble`, and `SettingError` for boxes from files and for embedders.
    """
    known = [part for part, its in registry.DETECTORS.items() if "weights" in its.options]
    known += NETWORKS
    if name not in known:
        fix = did_you_mean(name, known)
        raise SettingError(f"there is no detector {name!r} that sees images", fix)
    return assemble(name, options, warn)


def assemble_teacher(name: str, options: Options, warn: Warn = lambda message: None) -> Embedder:
    """An embedder that sees nothing but crops, its weights loaded.

    Downloaded weights are used as `assemble` does.

    Raises `SettingError` for unknown names, missing weights, or options that mean nothing to it;
    `CheckpointError` for weights that do not fit.
    """
    if name not in registry.EMBEDDERS:
        fix = did_you_mean(name, registry.EMBEDDERS)
        raise SettingError(f"there is no teacher {name!r}", fix)
    part = registry.EMBEDDERS[name]
    _refuse_others(name, options, *part.options)
    options = _with_fetched(name, "embedder_weights", part.options, options, warn)
    teacher: Embedder = load(part.factory)(name, options)
    return teacher


def _with_fetched(
    name: str, option: str, takes: Collection[str], options: Options, warn: Warn
) -> Options:
    """The options with the downloaded checkpoint of `name`, where it takes one and has none."""
    if option not in takes or getattr(options, option) is not None:
        return options
    weights: Any = {option: fetched(name, warn)}
    return replace(options, **weights)


def _embeds(name: str) -> bool:
    return name in NETWORKS and NETWORKS[name].family.embeds


def _suiting(detections: Path | None) -> str:
    """The embedder for public boxes when none is named."""
    from mottool.motchallenge.public_detections import holds_features

    return FILE if detections and holds_features(detections) else "histogram"


def _detector_part(name: str) -> PartEntry:
    if name in NETWORKS:
        takes = ("weights", "min_score", "input", "precision", "occlusion_maps")
        return PartEntry(f"{ONE_SHOT}:build_pipeline", takes)
    if name not in registry.DETECTORS:
        known = (*registry.DETECTORS, *NETWORKS)
        raise SettingError(f"there is no pipeline {name!r}", did_you_mean(name, known))
    return registry.DETECTORS[name]


def _embedder_part(name: str) -> PartEntry:
    if _embeds(name):
        return PartEntry(f"{ONE_SHOT}:build_embedder", ("embedder_weights", "input", "precision"))
    if name not in registry.EMBEDDERS:
        embedding = [name for name in NETWORKS if _embeds(name)]
        known = (FILE, NONE, *registry.EMBEDDERS, *embedding)
        raise SettingError(f"there is no embedder {name!r}", did_you_mean(name, known))
    return registry.EMBEDDERS[name]


def _refuse_others(pipeline: str, options: Options, *takes: str) -> None:
    """A `SettingError` for an option that was given though no part of the pipeline heeds it."""
    plain = Options()
    for option in fields(Options):
        given: Any = getattr(options, option.name)
        if given == getattr(plain, option.name) or option.name in ALWAYS.union(takes):
            continue
        fix = "leave it out"
        if option.name.endswith("weights"):
            fix = "name the network they are for, for example --pipeline fairmot-dla34"
        flag = f"--{option.name.replace('_', '-')}"
        raise SettingError(f"{flag} means nothing to {pipeline}", fix)
