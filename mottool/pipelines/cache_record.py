"""The record of a cache: what determines it, known without running the network.

Imports no torch, numpy or h5py, because plans use it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mottool.cache.schema import SCHEMA
from mottool.checkpoints.data_files import data_files
from mottool.files import digest, file_digest
from mottool.layouts.registry import digest_of_labels, label_files
from mottool.networks.registry import NETWORKS
from mottool.pipelines.box_files import find_boxes
from mottool.pipelines.choice import PipelineConfig, full_name_of
from mottool.pipelines.names import GROUND_TRUTH
from mottool.pipelines.options import Options
from mottool.pipelines.registry import DETECTORS, EMBEDDERS, PUBLIC
from mottool.pixel_range import PixelRange, recorded_range
from mottool.records.record import is_made_from, write_record
from mottool.settings import plain_type, to_json

if TYPE_CHECKING:
    from mottool.sources.sequence import Sequence

__all__ = ["boxes_file", "cache_inputs", "pipeline_inputs", "record_cache"]

WITH_WEIGHTS = {  # detectors and embedders whose weights can have been downloaded
    name
    for name, entry in (*DETECTORS.items(), *EMBEDDERS.items())
    if {"weights", "embedder_weights"} & {*entry.options}
}
HashOf = Callable[[Path], str]

# Options that do not change what a pipeline makes, or are compared by the content of their files.
NOT_COMPARED = {"batch", "boxes", "device", "embedder", "pipeline", "runtime"}


def pipeline_inputs(config: PipelineConfig, hash_of: HashOf) -> dict[str, Any]:
    """Return what a pipeline adds to the inputs of a cache, for its record.

    `hash_of` computes the SHA-256 of a file. It is known without the network: two records can
    differ, such as by an input size that is also the default, though their caches are equal. Other
    versions of mottool find a cache fresh for as long as its schema is the same.
    """
    name, options = full_name_of(config)
    detector, _, embedder = name.partition("+")
    return {
        "pipeline": name,
        "made_with": _compared(options),
        "weights": _weights_hash(detector, options.weights, hash_of),
        "embedder_weights": _weights_hash(embedder, options.embedder_weights, hash_of),
        "schema": SCHEMA,
    }


def cache_inputs(
    of_pipeline: Mapping[str, Any],
    source_hash: str,
    boxes: Path | None,
    hash_of: HashOf,
    pixel_range: PixelRange | None,
) -> dict[str, Any]:
    """Return what determines the cache of a sequence, for its record.

    `of_pipeline` are the inputs of its pipeline, `source_hash` the fingerprint of its frames,
    `boxes` the file of its boxes, or the pattern of several (`boxes_file`), and `pixel_range` that
    of the sequence.
    """
    content = digest_of_labels(boxes, hash_of) if boxes and label_files(boxes) else None
    pixels = pixel_range.to_json()["pixel_range"] if pixel_range else None
    return {**of_pipeline, "source_hash": source_hash, "boxes": content, "pixel_range": pixels}


def boxes_file(
    config: PipelineConfig, names: Iterable[str], detections: Path | None, truth: Path | None
) -> Path | None:
    """Return the file from which a pipeline reads the boxes of a sequence, or None.

    `names` are those of the sequence and of the complete one, `detections` and `truth` are its own
    files.
    """
    pipeline, options = full_name_of(config)
    detector = pipeline.partition("+")[0]
    if detector == GROUND_TRUTH:
        return truth
    if detector != PUBLIC:
        return None
    given = options.detections
    if given is None or not given.is_dir():
        return given or detections
    return find_boxes(given, names)


def _compared(options: Options) -> dict[str, Any]:
    """Return the options that were given and that records compare, apart from files."""
    defaults, values = to_json(PipelineConfig()), to_json(options)
    fields = dataclasses.fields(options)
    names = [field.name for field in fields if plain_type(type(options), field) is not Path]
    return {
        name: values[name]
        for name in names
        if name not in NOT_COMPARED and values[name] != defaults[name]
    }


def _weights_hash(part: str, given: Path | None, hash_of: HashOf) -> str | None:
    """Return the SHA-256 of the weights of a detector or embedder and of the files beside them.

    These are its card and its `data_files`. None without weights.
    """
    path = given
    if path is None and part in NETWORKS and NETWORKS[part].bundled:
        from mottool.checkpoints.manifest import bundled_file

        path = bundled_file(NETWORKS[part].bundled)
    elif path is None and (part in NETWORKS or part in WITH_WEIGHTS):
        from mottool.checkpoints.download import find_downloaded

        path = find_downloaded(part)
    if path is None or not path.is_file():
        return None
    files = path, path.with_suffix(".toml"), *data_files(path)
    return digest([hash_of(file) for file in files if file.is_file()])


def record_cache(
    out: Path, sequence: Sequence, config: PipelineConfig, of_pipeline: Mapping[str, Any]
) -> None:
    """Write the record of the cache `out`, made from a sequence by a pipeline.

    `of_pipeline` are the inputs of the pipeline. Raises `CacheError` if the cache is unreadable.
    """
    from mottool.cache.reader import Cache

    names = sequence.name, sequence.whole_name
    boxes = boxes_file(config, names, sequence.detections, sequence.ground_truth)
    with Cache(out) as cache:
        content_hash, pixels = cache.header.source_hash, recorded_range(cache.header.settings)
        inputs = cache_inputs(of_pipeline, content_hash, boxes, file_digest, pixels)
        content = inputs | {"cache_header": cache.header_digest, "frames": cache.frame_count}
    if not is_made_from(out, content):
        write_record(out, content)
