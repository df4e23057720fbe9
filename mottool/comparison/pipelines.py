"""Find the caches of the compared pipelines, and group them by pipeline."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mottool.association.registry import TRACKERS
from mottool.cache.reader import Cache
from mottool.cache.writer import Header
from mottool.errors import InputError
from mottool.metrics.inputs import find_caches
from mottool.metrics.speed import has_given_boxes
from mottool.networks.registry import NETWORKS
from mottool.pipelines.registry import DETECTORS
from mottool.splits import parse_source

__all__ = [
    "BOXES",
    "ONE_SHOT",
    "ORACLE",
    "TWO_STAGE",
    "ComparedPipeline",
    "find_pipelines",
    "kind_of",
]

ONE_SHOT, TWO_STAGE, BOXES = "one-shot", "two-stage", "boxes only"
ORACLE = "true boxes"
GROUND_TRUTH_DETECTOR = "gt"  # its boxes are the ground truth's


@dataclass(frozen=True)
class ComparedPipeline:
    """A pipeline in the comparison.

    `name` is that of the pipeline, or of its folder if several folders share a pipeline; `kind` is
    one of `ONE_SHOT`, `TWO_STAGE`, `BOXES` and `ORACLE`. `caches` and `settings` are the cache of
    each sequence and the settings in its header. `fields` are those that any of the caches has
    beside boxes. `at_ground_truth` are caches of the pipeline's embeddings at ground-truth boxes,
    for the sequences that have one.
    """

    name: str
    pipeline: str
    kind: str
    caches: Mapping[str, Path]
    fields: frozenset[str] = frozenset()
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    at_ground_truth: Mapping[str, Path] = field(default_factory=dict)

    @property
    def boxes_given(self) -> bool:
        """Whether its boxes come from files, without a recorded time."""
        return has_given_boxes(self.pipeline)

    def missing_fields(self, tracker: str) -> list[str]:
        """Return the fields a tracker needs that no cache has: `embeddings`, `offsets`."""
        return [name for name in TRACKERS[tracker].needs if name not in self.fields]


def kind_of(pipeline: str, embeds: bool) -> str:
    """Return whether a pipeline detects and embeds in one pass, in two, or only detects.

    The registry decides. For names that are not in it, `embeds` says whether there are embeddings.
    Pipelines on ground-truth boxes are `ORACLE`.
    """
    if _is_ground_truth(pipeline):
        return ORACLE
    if "+" in pipeline:
        return TWO_STAGE
    if pipeline in NETWORKS:
        return ONE_SHOT
    return ONE_SHOT if embeds and pipeline not in DETECTORS else BOXES


def find_pipelines(paths: Iterable[Path], oracle: bool = False) -> list[ComparedPipeline]:
    """Find the pipelines whose caches are in `paths`: work folders, folders of caches, cache files.

    `PATH@SPLIT` is a part of the caches. Caches of one folder and pipeline belong together. Caches
    at ground-truth boxes, `gt+…`, become `at_ground_truth` of the pipelines with the same embedder
    in the same work folder; `oracle` also lists them as pipelines, last. Raises `InputError` if
    there is no cache, or if there are two of one pipeline and sequence, and `CacheError` for one
    that cannot be read.
    """
    caches: dict[tuple[Path, str], dict[str, Path]] = {}
    fields: dict[tuple[Path, str], set[str]] = {}
    embedder: dict[tuple[Path, str], tuple[str, str]] = {}
    settings: dict[tuple[Path, str], dict[str, Mapping[str, Any]]] = {}
    for path in _find_caches(paths):
        with Cache(path) as cache:
            header = cache.header
            present = {"embeddings": cache.has_embeddings, "offsets": cache.has_offsets}
        pipeline, sequence = header.pipeline, header.sequence
        key = path.resolve().parent, pipeline
        known = caches.setdefault(key, {}).setdefault(sequence, path)
        if known.resolve() != path.resolve():
            problem = f"{known} and {path} are both caches of {pipeline} for {sequence}"
            raise InputError(problem, "name one of them")
        fields.setdefault(key, set()).update(name for name, value in present.items() if value)
        settings.setdefault(key, {})[sequence] = header.settings
        embedder[key] = _embedder(header)
    at_ground_truth = {
        (folder.parent, *embedder[folder, pipeline]): by_sequence
        for (folder, pipeline), by_sequence in caches.items()
        if _is_ground_truth(pipeline)
    }
    compared = [key for key in caches if not _is_ground_truth(key[1])]
    compared += [key for key in caches if oracle and _is_ground_truth(key[1])]
    if not compared:
        problem = "there are only caches at ground-truth boxes, none of a detector"
        raise InputError(problem, "add caches of pipelines, or give --oracle")
    names = [pipeline for _, pipeline in compared]
    return [
        ComparedPipeline(
            pipeline if names.count(pipeline) == 1 else str(folder),
            pipeline,
            kind_of(pipeline, "embeddings" in fields[folder, pipeline]),
            caches[folder, pipeline],
            frozenset(fields[folder, pipeline]),
            settings[folder, pipeline],
            at_ground_truth.get((folder.parent, *embedder[folder, pipeline]), {}),
        )
        for folder, pipeline in compared
    ]


def _find_caches(paths: Iterable[Path]) -> list[Path]:
    caches = []
    for path in paths:
        folder, _ = parse_source(path)
        files, _ = find_caches([path])
        if folder.exists() and not files:
            fix = "run mottool detect-embed first, or name work folders or caches"
            raise InputError(f"there are no caches under {folder}", fix)
        caches += files or [folder]
    return caches


def _is_ground_truth(pipeline: str) -> bool:
    return pipeline.partition("+")[0] == GROUND_TRUTH_DETECTOR


def _embedder(header: Header) -> tuple[str, str]:
    """Return the embedder of a cache: its name, and the SHA-256 of its weights or ""."""
    _, plus, name = header.pipeline.partition("+")
    if not plus:
        return header.pipeline, header.weights
    return name, str(header.settings.get("embedder_weights", ""))
