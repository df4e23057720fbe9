"""One pipeline that writes the cache of one sequence, stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from mottool.cache.layout import LAYOUT
from mottool.cache.shards import recorded_settings
from mottool.cache.writer import CacheWriter, Header
from mottool.errors import MottoolError, printable
from mottool.pipelines.interfaces import NO_SETTINGS, Pipeline
from mottool.pipelines.staged import staged
from mottool.sources.sequence import Frame
from mottool.sources.sequence import Sequence as Source

__all__ = ["CacheRun", "Entry", "header_of"]


class Entry(NamedTuple):
    """A frame without its pixels: number, seconds, whether it was lost, seconds of decoding."""

    number: int
    seconds: float
    missing: bool
    decode: float


class CacheRun:
    """A pipeline processing a sequence, and the cache it writes.

    `complete` is True if the cache needs no more frames, and `was_complete` if it had its file
    before; `start` is the first frame that the pipeline needs. `error` is why it failed, set by the
    caller of its stages. These are those of `StagedRun`; they and `finish` raise what the pipeline
    and the cache raise.
    """

    def __init__(
        self,
        sequence: Source,
        source_hash: str,
        out: Path,
        pipeline: Pipeline,
        overwrite: bool,
        warn: Callable[[str], None],
        recorded: Mapping[str, Any] = NO_SETTINGS,
    ) -> None:
        """Start the pipeline and open or resume the cache `out`.

        `recorded` are the settings that the pipeline takes over if `out` has none yet. Raises
        `CacheError` if `out` was made from other inputs, unless `overwrite`, and `InputError` if
        the sequence lacks what the pipeline needs.
        """
        self.path, self._sequence, self._warn = out, sequence, warn
        self.batch = pipeline.batch
        self.error: MottoolError | None = None
        existing = {} if overwrite else recorded_settings(out, LAYOUT)
        self._run = run = staged(pipeline.start(sequence, warn, existing or recorded))
        self.was_complete = out.is_file()
        header = header_of(sequence.cached, source_hash, pipeline, run.settings)
        self._cache = CacheWriter(out, header, overwrite)
        self.complete, self.needs_pixels = self._cache.already_complete, run.needs_pixels
        self._next = sequence.first_frame + self._cache.committed
        self._last = self._next - 1
        self.start = sequence.first_frame if run.needs_all_frames else self._next

    def __enter__(self) -> CacheRun:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Commit the frames that were written, and close the cache."""
        self._cache.__exit__(kind, error, trace)

    def prepare(self, frame: Frame) -> Any:
        """Prepare a frame, from any thread."""
        return self._run.prepare(frame)

    def infer(self, prepared: Sequence[Any]) -> Any:
        """Run the network on the next batch of prepared frames."""
        return self._run.infer(prepared)

    def write(self, entries: Sequence[Entry], inferred: Any) -> None:
        """Decode the heads of a batch, and append its frames to the cache."""
        for entry, (detections, times) in zip(entries, self._run.finish(inferred), strict=True):
            if entry.missing and self.needs_pixels:
                detections = detections.none()
            self._last = entry.number
            if entry.number >= self._next:
                self._cache.append(detections, entry.seconds, (entry.decode, *times))

    def finish(self) -> None:
        """Complete the cache after the last frame."""
        self._warn_of_later_boxes()
        self._cache.finish()

    def _warn_of_later_boxes(self) -> None:
        last, sequence = self._run.last_frame, self._sequence
        if last > self._last and sequence.name == sequence.whole_name:  # else in a half
            self._warn(
                f"{sequence.path}: its boxes continue up to frame {last}, but "
                f"{self._last} is its last frame; those after it are skipped"
            )


def header_of(
    sequence: Source, source_hash: str, pipeline: Pipeline, settings: Mapping[str, Any]
) -> Header:
    """Return the header of the cache of a sequence; `settings` are those of the pipeline's run."""
    pixels = sequence.pixel_range
    return Header(
        sequence=sequence.name,
        pipeline=pipeline.name,
        source=printable(str(sequence.path)),
        source_hash=source_hash,
        width=sequence.width,
        height=sequence.height,
        fps=sequence.fps,
        weights=pipeline.weights,
        settings={**settings, **(pixels.to_json() if pixels else {})},
        first_frame=sequence.first_frame,
        **{field: printable(name) for field, name in pipeline.weights_files.items()},
    )
