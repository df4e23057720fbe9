"""Which pipelines are compared: their caches, found and grouped."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mottool.association.registry import TRACKERS
from mottool.cache.reader import Cache
from mottool.cache.writer import Header
from mottool.errors import InputError
from mottool.pipelines.registry import DETECTORS, NETWORKS, PUBLIC
from mottool.workdir import WorkDir

__all__ = [
    "BOXES",
    "ONE_SHOT",
    "ORACLE",
    "TWO_STAGE",
    "ComparedPipeline",
    "find_contenders",
    "kind_of",
]

ONE_SHOT, TWO_STAGE, BOXES = "one-shot", "two-stage", "boxes only"
ORACLE = "true boxes"
TRUTH = "gt"  # the detector that hands on ground truth


@dataclass(frozen=True)
class ComparedPipeline:
    """A pipeline in the comparison.

    `name` is that of the pipeline, or of its folder where several share a pipeline; `kind` is one
    of `ONE_SHOT`, `TWO_STAGE`, `BOXES` and `ORACLE`; `caches` has its cache of each sequence,
    `settings` the settings in each one's header, and `holds` what is in them beside boxes.
    `at_truth` are caches of its embeddings at the boxes of the ground truth, as far as there are
    any.
    """

    name: str
    pipeline: str
    kind: str
    caches: Mapping[str, Path]
    holds: frozenset[str] = frozenset()
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    at_truth: Mapping[str, Path] = field(default_factory=dict)

    @property
    def boxes_given(self) -> bool:
        """Whether its boxes come from files, at no recorded cost."""
        return self.pipeline.partition("+")[0] in {PUBLIC, TRUTH}

    def lacks(self, tracker: str) -> list[str]:
        """What this tracker needs and the caches do not hold: `embeddings`, `offsets`."""
        needs = TRACKERS[tracker].needs
        return [name for name in needs if name not in self.holds]


def kind_of(pipeline: str, embeds: bool) -> str:
    """Whether a pipeline finds and describes people in one pass, in two, or only finds them.

    The registry knows; of a name that is not in it, `embeds` says whether there are embeddings.
    Boxes of the ground truth are of a kind of their own.
    """
    if _of_truth(pipeline):
        return ORACLE
    if "+" in pipeline:
        return TWO_STAGE
    if pipeline in NETWORKS:
        return ONE_SHOT
    return ONE_SHOT if embeds and pipeline not in DETECTORS else BOXES


def find_contenders(places: Iterable[Path], oracle: bool = False) -> list[ComparedPipeline]:
    """The pipelines whose caches are in `places`: work folders, folders of caches, cache files.

    Caches of one folder and pipeline belong together. Those at ground-truth boxes, `gt+…`, tell
    what the embeddings of that folder's pipelines are worth, and only with `oracle` are there
    themselves, as the last. Raises `InputError` where there is no cache, or two of one pipeline
    and sequence, and `CacheError` for one that cannot be read.
    """
    groups: dict[tuple[Path, str], dict[str, Path]] = {}
    holds: dict[tuple[Path, str], set[str]] = {}
    embedder: dict[tuple[Path, str], tuple[str, str]] = {}
    settings: dict[tuple[Path, str], dict[str, Mapping[str, Any]]] = {}
    for path in _caches(places):
        with Cache(path) as cache:
            header = cache.header
            kept = {"embeddings": cache.has_embeddings, "offsets": cache.has_offsets}
        key = path.resolve().parent, header.pipeline
        own = groups.setdefault(key, {})
        other = own.setdefault(header.sequence, path)
        if other.resolve() != path.resolve():
            problem = f"{other} and {path} are both {header.pipeline}'s of {header.sequence}"
            raise InputError(problem, "name one of them")
        holds.setdefault(key, set()).update(name for name, there in kept.items() if there)
        settings.setdefault(key, {})[header.sequence] = header.settings
        embedder[key] = _embedder(header)
    at_truth = {
        (key[0].parent, *embedder[key]): own for key, own in groups.items() if _of_truth(key[1])
    }
    rivals = [key for key in groups if not _of_truth(key[1])]
    rivals += [key for key in groups if oracle and _of_truth(key[1])]
    if not rivals:
        problem = "there are only caches at ground-truth boxes, which no pipeline has found"
        raise InputError(problem, "add caches of pipelines, or give --oracle")
    names = [pipeline for _, pipeline in rivals]
    return [
        ComparedPipeline(
            pipeline if names.count(pipeline) == 1 else str(folder),
            pipeline,
            kind_of(pipeline, "embeddings" in holds[folder, pipeline]),
            groups[folder, pipeline],
            frozenset(holds[folder, pipeline]),
            settings[folder, pipeline],
            at_truth.get((folder.parent, *embedder[folder, pipeline]), {}),
        )
        for folder, pipeline in rivals
    ]


def _caches(places: Iterable[Path]) -> list[Path]:
    found = []
    for place in places:
        here = [place]
        if place.is_dir():
            unfinished = (".part.h5",)
            own = [path for path in place.glob("*.h5") if not path.name.endswith(unfinished)]
            here = WorkDir(place).caches() or sorted(own)
        if not here:
            fix = "run mottool detect-embed first, or name work folders or caches"
            raise InputError(f"there are no caches under {place}", fix)
        found += here
    return found


def _of_truth(pipeline: str) -> bool:
    return pipeline.partition("+")[0] == TRUTH


def _embedder(header: Header) -> tuple[str, str]:
    """What made a cache's embeddings: its name, and the sha256 of its weights or ""."""
    _, plus, name = header.pipeline.partition("+")
    if not plus:
        return header.pipeline, header.weights
    return name, str(header.settings.get("embedder_weights", ""))
