"""Make the caches of a sequence with their records, in any process.

Imports no torch, numpy, cv2 or h5py before the first sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mottool.errors import MottoolError
from mottool.files import digest
from mottool.pipelines.build import check_weights
from mottool.pipelines.cache_record import record_cache
from mottool.pipelines.choice import PipelineConfig, full_name_of, pipeline_of
from mottool.pipelines.detect_embed import detect_embed_all
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.pipelines.interfaces import Pipeline
    from mottool.sources.sequence import Sequence as Source

__all__ = ["MadeCaches", "kept_pipelines", "load_pipelines", "make_caches"]

Warn = Callable[[str], None]


class MadeCaches(NamedTuple):
    """The caches of a sequence with the errors of those that failed, and messages for the user."""

    errors: dict[Path, MottoolError | None]
    notes: list[str]


def load_pipelines(configs: Sequence[PipelineConfig], sequences: int, warn: Warn) -> list[Pipeline]:
    """Build pipelines for a number of sequences. Raises `SettingError` as `pipeline_of`."""
    for config in configs:
        check_weights(*full_name_of(config))  # of all, before the first imports torch
    return [pipeline_of(config, sequences, warn) for config in configs]


@lru_cache(maxsize=1)
def kept_pipelines(
    configs: tuple[PipelineConfig, ...], sequences: int, inputs: str
) -> tuple[list[Pipeline], list[str]]:
    """Load pipelines as `load_pipelines`, and keep them in this process for its next task.

    Return them with the messages about them. `inputs` is the digest of their inputs for records: a
    process that serves several runs, as one of a Dask cluster does, loads changed weights again.
    """
    notes = list[str]()
    return load_pipelines(configs, sequences, notes.append), notes


def make_caches(
    sequence: Source,
    configs: tuple[PipelineConfig, ...],
    inputs: Sequence[Mapping[str, Any]],
    sequences: int,
    work: WorkDir,
    overwrite: bool,
    loaded: Sequence[Pipeline] | None = None,
    warn: Warn | None = None,
) -> MadeCaches:
    """Write the cache of each pipeline for one of `sequences`, as `detect_embed_all`.

    `inputs` are those of each pipeline for records. Pipelines that are not given as `loaded` are
    the `kept_pipelines` of this process. Messages are passed to `warn`, or returned without it.
    Raises as `load_pipelines` and `detect_embed_all`.
    """
    notes = list[str]()
    if loaded is None:
        loaded, messages = kept_pipelines(configs, sequences, digest(inputs))
        notes += messages
    pipelines = {work.cache(each.name, sequence.name): each for each in loaded}
    errors = detect_embed_all(sequence, pipelines, overwrite, warn or notes.append)
    for path, config, of_pipeline in zip(pipelines, configs, inputs, strict=True):
        if errors[path] is None:
            record_cache(path, sequence, config, of_pipeline)
    return MadeCaches(errors, notes)
