"""The choice of a pipeline with its options, as flags of `detect-embed` and keys of recipes.

Imports no torch, numpy or cv2, because help texts and plans use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mottool.association.registry import TRACKERS
from mottool.errors import SettingError
from mottool.networks.registry import DEFAULT, NETWORKS
from mottool.pipelines.names import full_name, missing_fields
from mottool.pipelines.options import Options
from mottool.pipelines.registry import PUBLIC
from mottool.settings import Settings, setting

if TYPE_CHECKING:
    from mottool.pipelines.interfaces import Pipeline
    from mottool.sources.sequence import Sequence

__all__ = [
    "PIPELINE_HELP",
    "PipelineConfig",
    "check_detections",
    "check_tracker",
    "full_name_of",
    "has_card",
    "pipeline_of",
    "unused_detections",
]


PIPELINE_HELP = (
    "What makes detections and embeddings: a network, a detector, or DETECTOR+EMBEDDER; "
    f"public is boxes from a file. By default {DEFAULT}, or public with --detections."
)


@dataclass(frozen=True)
class PipelineChoice(Settings):
    """The choice of a pipeline."""

    pipeline: str | None = setting(None, PIPELINE_HELP)
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

    check_detections(config, sequences)
    return build_pipeline(*full_name_of(config), warn)


def check_detections(config: PipelineConfig, sequences: int) -> None:
    """Raise `SettingError` if one file of detections is given for several sequences."""
    _, options = full_name_of(config)
    if options.detections and not options.detections.is_dir() and sequences > 1:
        fix = "give a folder of SEQUENCE.txt or SEQUENCE.npy"
        raise SettingError(f"{options.detections} is one file for {sequences} sequences", fix)


def check_tracker(config: PipelineConfig, tracker: str) -> None:
    """Raise `SettingError` if the pipeline does not make what the tracker matches by."""
    name, _ = full_name_of(config)
    missing = missing_fields(name, TRACKERS[tracker].needs)
    if not missing:
        return
    others = ", ".join(other for other, entry in TRACKERS.items() if not entry.needs)
    fix = f"use a --tracker that needs none, which are {others}, or --pipeline {name}+osnet_x0_25"
    if "offsets" in missing:
        fix = "use another --tracker, or --pipeline otrack"
    problem = f"{name} makes no {' and '.join(missing)}, which {tracker} matches by"
    raise SettingError(problem, fix)


def has_card(config: PipelineConfig) -> bool:
    """Return whether weights of the pipeline may have a card, which names the best tracker."""
    return full_name_of(config)[0].partition("+")[0] in NETWORKS


def full_name_of(config: PipelineConfig) -> tuple[str, Options]:
    """Return the full name of the pipeline that the settings name, and its options.

    Raises `SettingError` as `build.full_name`, and for an empty name, as of an unset variable.
    """
    if config.pipeline is not None and not config.pipeline.strip():
        raise SettingError("the name of the pipeline is empty", f"name one, such as {DEFAULT}")
    pipeline = config.pipeline or (PUBLIC if config.detections else DEFAULT)
    return full_name(pipeline, config.embedder, config.boxes, config)


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
