"""Build the pipeline of a name: its detector, its embedder and their weights.

Imports no torch, numpy, cv2 or requests, because plans check names and options.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mottool.errors import SettingError, did_you_mean, ignore_warning
from mottool.networks.registry import NETWORKS, load
from mottool.pipelines import registry
from mottool.pipelines.names import FILE, NONE, embeds, is_recurrent
from mottool.pipelines.options import AUTO_BATCH, Options
from mottool.pipelines.registry import PUBLIC, PartEntry

if TYPE_CHECKING:
    from mottool.pipelines.interfaces import Embedder, Pipeline

__all__ = [
    "accepted_options",
    "build_detector",
    "build_pipeline",
    "build_teacher",
    "check_name",
    "check_options",
    "check_weights",
]

ONE_SHOT = "mottool.pipelines.one_shot"
ALWAYS = {"device", "batch"}

Warn = Callable[[str], None]


def build_pipeline(name: str, options: Options, warn: Warn = ignore_warning) -> Pipeline:
    """Build the pipeline of a full name and load its weights.

    A part without weights uses the checkpoint that `mottool weights fetch` has downloaded, which is
    reported to `warn`.

    Raises `SettingError` for unknown names, missing weights, options that do not apply to its
    parts, or a missing device, and `CheckpointError` for weights that do not fit.
    """
    detector, embedding, options = _with_weights(name, options, warn)
    detector_name, _, embedder_name = name.partition("+")
    if options.batch == AUTO_BATCH and detector_name not in NETWORKS:
        options = replace(options, batch=1)
    if embedding is None:
        pipeline: Pipeline = load(detector.factory)(name, options)
        pipeline.weights_files = {"weights_file": _file_name(detector_name, options.weights)}
        return pipeline
    from mottool.pipelines.two_stage import TwoStage

    # Embedder first: its missing weights are reported before a detector downloads its own.
    embedder = load(embedding.factory)(embedder_name, options)
    detecting: Pipeline = load(detector.factory)(detector_name, options)
    two_stage = TwoStage(name, detecting, embedder, options.embed_min_score)
    two_stage.weights_files = {
        "weights_file": _file_name(detector_name, options.weights),
        "embedder_weights_file": _file_name(embedder_name, options.embedder_weights),
    }
    return two_stage


def check_weights(name: str, options: Options) -> None:
    """Raise `SettingError` as `check_options`, and for missing weights of a part."""
    _with_weights(name, options, ignore_warning)


def check_options(name: str, options: Options) -> None:
    """Raise `SettingError` for an unknown full name, and for options that do not apply to it."""
    _checked_parts(name, options)


def _checked_parts(name: str, options: Options) -> tuple[PartEntry, PartEntry | None, Options]:
    """Return the entries of the detector and of the embedder of a full name, and the options.

    The embedder is None if there is no second stage. Raises `SettingError` as `check_options`.
    """
    detector_name, plus, embedder_name = name.partition("+")
    detector = _detector_part(detector_name)
    if is_recurrent(name) and options.batch > 1:
        problem = f"{detector_name} is recurrent: each frame needs the detections of the previous"
        raise SettingError(f"{problem} one, so frames cannot be batched", "omit --batch")
    if not plus or (detector_name, embedder_name) == (PUBLIC, FILE):
        _refuse_others(name, options, *detector.options)
        return detector, None, options
    embedder = _embedder_part(embedder_name)
    if "embedder_weights" in embedder.options and "weights" not in detector.options:
        # Only the embedder has weights, so both flags refer to it.
        if options.weights and options.embedder_weights:
            problem = f"--weights and --embedder-weights are both given, but only {embedder_name}"
            raise SettingError(f"{problem} has weights", "omit one of them")
        weights = options.embedder_weights or options.weights
        options = replace(options, weights=None, embedder_weights=weights)
    _refuse_others(name, options, "embed_min_score", *detector.options, *embedder.options)
    return detector, embedder, options


def _with_weights(
    name: str, options: Options, warn: Warn
) -> tuple[PartEntry, PartEntry | None, Options]:
    """Return `_checked_parts`, with downloaded weights for the parts of which none are given."""
    detector, embedder, options = _checked_parts(name, options)
    detector_name, _, embedder_name = name.partition("+")
    options = _with_fetched(detector_name, "weights", detector, options, warn)
    if embedder is not None:
        options = _with_fetched(embedder_name, "embedder_weights", embedder, options, warn)
    return detector, embedder, options


def check_name(name: str) -> None:
    """Raise `SettingError` for a pipeline with a detector or an embedder that there is not."""
    detector, plus, embedder = name.partition("+")
    _detector_part(detector)
    if plus:
        _embedder_part(embedder)


def build_detector(name: str, options: Options, warn: Warn = ignore_warning) -> Pipeline:
    """Build a detector or network that detects people in images, and load its weights.

    Downloaded weights are used as in `build_pipeline`. Raises the same errors, and `SettingError`
    for boxes from files and for embedders.
    """
    known = [part for part, entry in registry.DETECTORS.items() if "weights" in entry.options]
    known += NETWORKS
    if name not in known:
        fix = did_you_mean(name, known)
        raise SettingError(f"there is no detector {name!r} that reads images", fix)
    return build_pipeline(name, options, warn)


def build_teacher(name: str, options: Options, warn: Warn = ignore_warning) -> Embedder:
    """Build an embedder of crops and load its weights.

    Downloaded weights are used as in `build_pipeline`. Raises `SettingError` for unknown names,
    missing weights, or options that do not apply to it, and `CheckpointError` for weights that do
    not fit.
    """
    if name not in registry.EMBEDDERS:
        fix = did_you_mean(name, registry.EMBEDDERS)
        raise SettingError(f"there is no teacher {name!r}", fix)
    part = registry.EMBEDDERS[name]
    _refuse_others(name, options, *part.options)
    options = _with_fetched(name, "embedder_weights", part, options, warn)
    teacher: Embedder = load(part.factory)(name, options)
    return teacher


def accepted_options(name: str) -> frozenset[str]:
    """Return the names of the options that apply to the pipeline with a full name.

    Raises `SettingError` for an unknown name.
    """
    detector_name, plus, embedder_name = name.partition("+")
    accepted = ALWAYS.union(_detector_part(detector_name).options)
    if plus and (detector_name, embedder_name) != (PUBLIC, FILE):
        accepted |= set(_embedder_part(embedder_name).options)
    if "embedder_weights" in accepted:  # without other weights, both flags refer to these
        accepted |= {"weights"}
    return frozenset(accepted)


def _with_fetched(name: str, option: str, part: PartEntry, options: Options, warn: Warn) -> Options:
    """Add the downloaded checkpoint of `name` to the options, if it accepts one and has none.

    Raises `SettingError` without weights that it needs.
    """
    if option not in part.options or getattr(options, option) is not None:
        return options
    from mottool.checkpoints.download import find_downloaded, required_weights

    found = find_downloaded(name, warn)
    if part.needs_weights:
        flag = f"--{option.replace('_', '-')}"
        found = required_weights(name, found, flag, part.needs_weights)
    weights: Any = {option: found}
    return replace(options, **weights)


def _file_name(name: str, weights: Path | None) -> str:
    """Return the name of the weights file of a part: the given or the bundled one, else ""."""
    if weights is None:
        return NETWORKS[name].bundled if name in NETWORKS else ""
    return weights.name


def _detector_part(name: str) -> PartEntry:
    if name in NETWORKS:
        options = ("weights", "min_score", "input", "precision", "runtime", "occlusion_maps")
        return PartEntry(f"{ONE_SHOT}:build_pipeline", options, _needed_file(name))
    if name not in registry.DETECTORS:
        known = (*registry.DETECTORS, *NETWORKS)
        raise SettingError(f"there is no pipeline {name!r}", did_you_mean(name, known))
    return registry.DETECTORS[name]


def _embedder_part(name: str) -> PartEntry:
    if embeds(name):
        options = ("embedder_weights", "input", "precision", "runtime")
        return PartEntry(f"{ONE_SHOT}:build_embedder", options, _needed_file(name))
    if name not in registry.EMBEDDERS:
        embedding = [name for name in NETWORKS if embeds(name)]
        known = (FILE, NONE, *registry.EMBEDDERS, *embedding)
        raise SettingError(f"there is no embedder {name!r}", did_you_mean(name, known))
    return registry.EMBEDDERS[name]


def _needed_file(network: str) -> str:
    """Return what a network needs as weights: nothing if there are bundled ones."""
    return "" if NETWORKS[network].bundled else registry.AUTHORS_FILE


def _refuse_others(pipeline: str, options: Options, *accepted: str) -> None:
    """Raise `SettingError` for a given option that no part of the pipeline accepts."""
    defaults = Options()
    for option in fields(Options):
        value: Any = getattr(options, option.name)
        if value == getattr(defaults, option.name) or option.name in ALWAYS.union(accepted):
            continue
        fix = "omit it"
        if option.name.endswith("weights"):
            fix = "name the network they are for, for example --pipeline fairmot-dla34"
        flag = f"--{option.name.replace('_', '-')}"
        raise SettingError(f"{flag} does not apply to {pipeline}", fix)
