"""Detect and embed a long sequence in segments, in several processes, to the bytes of one.

    divide_cache       once: which frames each segment has, and the header of them all
    run_segment        each segment, in any process and order
    detect_embed       at the end: adopts the segments, and merges their shards

`detect_embed` computes what segments are missing, so that its cache is complete in any case.
"""

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from mottool.cache.hdf5 import check_same_inputs
from mottool.cache.layout import LAYOUT, Header
from mottool.cache.reader import Cache
from mottool.cache.segments import (
    FinishedSegment,
    read_division,
    read_segment,
    remove_segment,
    remove_segments,
    segment_path,
    write_division,
)
from mottool.cache.shards import open_shards, recorded_settings
from mottool.cache.writer import BLOCK
from mottool.errors import CacheError, SegmentError, ignore_warning, writing
from mottool.pipelines.cache_run import CacheRun, header_of
from mottool.pipelines.detect_embed import process
from mottool.pipelines.interfaces import Pipeline
from mottool.sources.segment import Segment, Span, divide
from mottool.sources.sequence import Sequence

__all__ = ["divide_cache", "run_segment"]


def divide_cache(
    sequence: Sequence,
    out: Path,
    pipeline: Pipeline,
    frames: int,
    overwrite: bool = False,
    warn: Callable[[str], None] = ignore_warning,
) -> None:
    """Divide the cache `out` into segments of at least so many frames, unless it is complete.

    Segments end where a block of the cache and a batch of the pipeline end. An earlier division of
    the same inputs is kept; `overwrite` removes it, and a complete cache. Raises `SegmentError` if
    one process must make the cache, and otherwise as `detect_embed`.
    """
    recorded = {} if overwrite else recorded_settings(out, LAYOUT)
    run = pipeline.start(sequence, warn, recorded)
    header = header_of(sequence, sequence.fingerprint(), pipeline, run.settings)
    shards = open_shards(out, LAYOUT, header, overwrite)
    if shards is None:
        with Cache(out) as cache:
            check_same_inputs(out, cache.header, header, LAYOUT)
        return
    try:
        if run.needs_all_frames:
            problem = f"{pipeline.name} needs the detections of the frame before"
            raise SegmentError(problem, "leave out --segment-frames")
        if not _is_divided(out, header, pipeline):
            if shards.committed:
                problem = f"{out} was begun in one process, which goes on"
                raise SegmentError(problem, "leave out --segment-frames")
            unit = math.lcm(BLOCK, pipeline.batch)
            spans = divide(sequence, unit * -(-frames // unit))
            with writing(out):
                remove_segments(out)
                out.unlink(missing_ok=True)  # while it has its file, a cache counts as complete
            division = {"header": asdict(header), "batch": pipeline.batch, "problem": ""}
            write_division(out, division | {"spans": [asdict(span) for span in spans]})
    finally:
        shards.close()
    if problem := read_division(out)["problem"]:
        raise SegmentError(problem, "check that the video is complete")


def _is_divided(out: Path, header: Header, pipeline: Pipeline) -> bool:
    """Return whether a cache is divided already, for the same inputs."""
    division = read_division(out)
    try:
        check_same_inputs(out, Header(**division["header"]), header, LAYOUT)
        [Span(**span) for span in division["spans"]]
    except (CacheError, KeyError, TypeError):
        return False
    return division.get("batch") == pipeline.batch and isinstance(division.get("problem"), str)


def run_segment(
    sequence: Sequence,
    out: Path,
    pipeline: Pipeline,
    number: int,
    count: int,
    overwrite: bool = False,
    warn: Callable[[str], None] = ignore_warning,
) -> None:
    """Detect and embed the segment `number` from 0 of the cache `out`, and every `count`-th after.

    Nothing is done if the cache is not divided, as if it is complete, and for a segment that is
    finished; one that was interrupted is resumed. Raises `SegmentError` if the frames of a segment
    are not those of a decoding from the beginning, and otherwise as `detect_embed`.
    """
    division = read_division(out)
    if not division or division["problem"] or division["batch"] != pipeline.batch:
        return
    header, spans = Header(**division["header"]), [Span(**span) for span in division["spans"]]
    for span in spans[number::count]:
        path = segment_path(out, span.first - sequence.first_frame)
        if read_segment(path):
            continue
        segment = Segment.of(sequence, span)
        parts = segment, header.source_hash, path, pipeline, overwrite, warn, header.settings
        try:
            with _SegmentRun(*parts) as run:
                process(segment, [run], warn)
        except SegmentError as error:  # those after it cannot be used either
            with writing(path):
                remove_segment(path)
            write_division(out, division | {"problem": error.problem})
            raise
        if run.error:
            raise run.error


class _SegmentRun(CacheRun):
    """A pipeline processing a segment; `finish` leaves its shards to the complete cache."""

    def finish(self) -> None:
        """Mark the segment as finished."""
        segment = self._sequence
        assert isinstance(segment, Segment)
        span, checked = segment.span, segment.checked
        if span.is_last:
            self._warn_of_later_boxes()
        first, frames = span.first - segment.original.first_frame, span.last - span.first + 1
        self._cache.finish_segment(
            FinishedSegment(first, frames, span.is_last, checked.begin, checked.end)
        )
