"""Run a pipeline over a sequence and write the cache. Imports no torch, numpy, cv2 or h5py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from mottool.pipelines.interfaces import Pipeline
    from mottool.sources.sequence import Sequence

__all__ = ["batches", "detect_embed"]

T = TypeVar("T")
PREFETCHED_BATCHES = 4  # batches of frames decoded ahead of the network


def detect_embed(
    sequence: Sequence,
    out: Path,
    pipeline: Pipeline,
    overwrite: bool = False,
    warn: Callable[[str], None] = lambda message: None,
) -> Path:
    """Run `pipeline` over `sequence` and write its cache to `out`.

    A frame that a damaged video has lost has no detections, unless they need no pixels. An
    interrupted run resumes after the last frame it committed. A complete cache of the same
    source, weights and settings is kept. Raises `CacheError` if `out` was made from other inputs,
    unless `overwrite`, and `InputError` if the sequence lacks what the pipeline needs.
    """
    from mottool.cache.writer import CacheWriter, Header
    from mottool.errors import printable
    from mottool.progress import progress
    from mottool.sources.prefetch import prefetch

    run = pipeline.start(sequence, warn)
    header = Header(
        sequence=sequence.name,
        pipeline=pipeline.name,
        source=printable(str(sequence.path)),
        source_hash=sequence.fingerprint(),
        width=sequence.width,
        height=sequence.height,
        fps=sequence.fps,
        weights=pipeline.weights,
        settings=run.settings,
        first_frame=sequence.first_frame,
    )
    with CacheWriter(out, header, overwrite) as cache:
        if cache.already_complete:
            warn(f"{out} is complete already; use --overwrite to make it again")
            return out
        next_frame = sequence.first_frame + cache.committed
        start = sequence.first_frame if run.needs_all_frames else next_frame
        frames = sequence.frames(start, warn, run.needs_pixels)
        decoded = prefetch(frames, PREFETCHED_BATCHES * pipeline.batch)
        done = start - sequence.first_frame
        shown = progress(decoded, sequence.name, sequence.length, done)
        last_frame = next_frame - 1
        for batch in batches(shown, pipeline.batch):
            results = run.detect([frame for frame, _ in batch])
            for (frame, decode_time), (detections, times) in zip(batch, results, strict=True):
                if frame.missing and run.needs_pixels:
                    detections = detections.none()
                last_frame = frame.number
                if frame.number >= next_frame:
                    cache.append(detections, frame.seconds, (decode_time, *times))
        if run.last_frame > last_frame and sequence.name == sequence.whole_name:  # else in a half
            warn(
                f"{sequence.path}: its boxes continue up to frame {run.last_frame}, but "
                f"{last_frame} is its last frame; those after it are skipped"
            )
        return cache.finish()


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of `size` items; the last one may be shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
