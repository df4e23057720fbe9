"""Make the caches of a sequence with their records, in any process.

Imports no torch, numpy, cv2 or h5py before the first sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mottool.errors import MottoolError
from mottool.files import file_digest
from mottool.pipelines.build import check_weights
from mottool.pipelines.cache_record import pipeline_inputs, record_cache
from mottool.pipelines.choice import PipelineConfig, full_name_of, pipeline_of
from mottool.pipelines.detect_embed import detect_embed_all
from mottool.records.known_files import signature
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.pipelines.interfaces import Pipeline
    from mottool.sources.sequence import Sequence as Source

__all__ = ["LoadedPipeline", "MadeCaches", "load_pipelines", "make_caches"]

Warn = Callable[[str], None]


class LoadedPipeline(NamedTuple):
    """A pipeline, the settings that it was built from, and its inputs for records."""

    pipeline: Pipeline
    config: PipelineConfig
    inputs: dict[str, Any]


class MadeCaches(NamedTuple):
    """The caches of a sequence with the errors of those that failed, and messages for the user."""

    errors: dict[Path, MottoolError | None]
    notes: list[str]


def load_pipelines(
    configs: Sequence[PipelineConfig], sequences: int, warn: Warn
) -> list[LoadedPipeline]:
    """Build pipelines for a number of sequences. Raises `SettingError` as `pipeline_of`."""
    for config in configs:
        check_weights(*full_name_of(config))  # of all, before the first imports torch
    pipelines = [pipeline_of(config, sequences, warn) for config in configs]
    return [
        LoadedPipeline(pipeline, config, pipeline_inputs(config, file_digest))
        for pipeline, config in zip(pipelines, configs, strict=True)
    ]


def make_caches(
    sequence: Source,
    configs: tuple[PipelineConfig, ...],
    sequences: int,
    work: WorkDir,
    overwrite: bool,
    loaded: list[LoadedPipeline] | None = None,
    warn: Warn | None = None,
) -> MadeCaches:
    """Write the cache of each pipeline for one of `sequences`, as `detect_embed_all`.

    Without `loaded` pipelines they are built from `configs`, once in a process. Messages are passed
    to `warn`, or returned without it. Raises as `load_pipelines` and `detect_embed_all`.
    """
    notes = list[str]()
    if loaded is None:
        files = [path for each in configs for path in (each.weights, each.embedder_weights) if path]
        loaded, messages = _loaded(configs, sequences, str([*map(signature, files)]))
        notes += messages
    caches = {work.cache(each.pipeline.name, sequence.name): each for each in loaded}
    pipelines = {path: each.pipeline for path, each in caches.items()}
    errors = detect_embed_all(sequence, pipelines, overwrite, warn or notes.append)
    for path, each in caches.items():
        if errors[path] is None:
            record_cache(path, sequence, each.config, each.inputs)
    return MadeCaches(errors, notes)


@lru_cache(maxsize=1)
def _loaded(
    configs: tuple[PipelineConfig, ...], sequences: int, weights: str
) -> tuple[list[LoadedPipeline], list[str]]:
    """Return the pipelines of a worker, and the messages about them.

    `weights` identifies the files of weights: a worker of a Dask cluster serves several runs.
    """
    notes = list[str]()
    return load_pipelines(configs, sequences, notes.append), notes
