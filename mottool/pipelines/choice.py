"""The choice of a pipeline with its options, as flags of `detect-embed` and keys of recipes.

Imports no torch, numpy or cv2, because help texts and plans use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mottool._version import __version__
from mottool.errors import SettingError
from mottool.files import digest
from mottool.networks.registry import DEFAULT, NETWORKS
from mottool.pipelines.names import full_name
from mottool.pipelines.options import Options
from mottool.pipelines.registry import PUBLIC
from mottool.settings import Settings, plain_type, setting, to_json

if TYPE_CHECKING:
    from mottool.pipelines.interfaces import Pipeline
    from mottool.sources.sequence import Sequence

__all__ = ["PipelineConfig", "cache_inputs", "full_name_of", "pipeline_of", "unused_detections"]

# Options that do not change what a pipeline makes, or are compared by the content of their files.
NOT_COMPARED = {"batch", "boxes", "device", "embedder", "pipeline"}


@dataclass(frozen=True)
class PipelineChoice(Settings):
    """The choice of a pipeline."""

    pipeline: str | None = setting(
        None,
        "What makes detections and embeddings: a network, a detector, or DETECTOR+EMBEDDER; "
        f"public is boxes from a file. By default {DEFAULT}, or public with --detections.",
    )
    embedder: str = setting(
        "",
        "What embeds the boxes of a detector, short for +EMBEDDER after its name; none for "
        "no embeddings. By default, boxes from a file get the embeddings in the file, "
        "if it has any, else those of histogram.",
    )
    boxes: str = setting(
        "",
        "Boxes to embed at instead of the pipeline's detections: gt (each sequence's gt/gt.txt), "
        "or a file or folder as for --detections.",
    )


@dataclass(frozen=True)
class PipelineConfig(Options, PipelineChoice):
    """The choice of a pipeline, and the settings of its parts."""


def pipeline_of(config: PipelineConfig, sequences: int, warn: Callable[[str], None]) -> Pipeline:
    """Build the pipeline that the settings name, for a number of sequences."""
    from mottool.pipelines.build import build_pipeline

    name, options = full_name_of(config)
    if options.detections and not options.detections.is_dir() and sequences > 1:
        fix = "give a folder of SEQUENCE.txt or SEQUENCE.npy"
        raise SettingError(f"{options.detections} is one file for {sequences} sequences", fix)
    return build_pipeline(name, options, warn)


def full_name_of(config: PipelineConfig) -> tuple[str, Options]:
    """Return the full name of the pipeline that the settings name, and its options.

    Raises `SettingError` as `build.full_name`.
    """
    pipeline = config.pipeline or (PUBLIC if config.detections else DEFAULT)
    return full_name(pipeline, config.embedder, config.boxes, config)


def cache_inputs(
    config: PipelineConfig,
    source_hash: str,
    boxes: Path | None,
    hash_of: Callable[[Path], str],
) -> dict[str, Any]:
    """Return what determines the cache of a sequence, for its record.

    `boxes` is the file of its boxes, for pipelines that read them, and `hash_of` computes the
    SHA-256 of a file. It is known without the network: two records can differ, such as by an input
    size that is also the default, though their caches are equal.
    """
    name, options = full_name_of(config)
    detector, _, embedder = name.partition("+")
    return {
        "pipeline": name,
        "source_hash": source_hash,
        "made_with": _compared(options),
        "weights": _weights_hash(detector, options.weights, hash_of),
        "embedder_weights": _weights_hash(embedder, options.embedder_weights, hash_of),
        "boxes": hash_of(boxes) if boxes else None,
        "mottool": __version__,
    }


def _compared(options: Options) -> dict[str, Any]:
    """Return the options that were given and that records compare, apart from files."""
    defaults, values = to_json(PipelineConfig()), to_json(options)
    names = [
        field.name for field in fields(options) if plain_type(type(options), field) is not Path
    ]
    return {
        name: values[name]
        for name in names
        if name not in NOT_COMPARED and values[name] != defaults[name]
    }


def _weights_hash(part: str, given: Path | None, hash_of: Callable[[Path], str]) -> str | None:
    """Return the SHA-256 of the weights of a detector or embedder and of the files beside them.

    These are its card, and the second file of OpenVINO's. None without weights.
    """
    path = given
    if path is None and part in NETWORKS and NETWORKS[part].bundled:
        path = Path(str(files("mottool.weights") / NETWORKS[part].bundled))
    elif path is None and part:
        from mottool.checkpoints.download import find_downloaded

        path = find_downloaded(part)
    if path is None or not path.is_file():
        return None
    beside = (path.with_suffix(ending) for ending in (".toml", ".bin"))
    return digest([hash_of(file) for file in (path, *beside) if file.is_file()])


def unused_detections(config: PipelineConfig, sequences: Iterable[Sequence]) -> str:
    """Return a message about sequences with public detections that are not used; "" for none."""
    if config.pipeline or config.detections or config.boxes:
        return ""
    names = [sequence.name for sequence in sequences if sequence.detections]
    if not names:
        return ""
    subject = f"{names[0]} has" if len(names) == 1 else f"{names[0]} and {len(names) - 1} more have"
    return (
        f"{subject} public detections (det/det.txt), but {DEFAULT} detects people itself; "
        f"use --pipeline {PUBLIC} for them"
    )
